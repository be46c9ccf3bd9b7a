import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.identity import BadIdentity, Role, check_use, role_of, serial_of, subject
from tests.protocol.certificates import authority, issue, key_usage, leaf

ROOT = authority("root")
NAMES = {
    Role.KIT_TLS: "kit-brugge-01",
    Role.KIT_SIGN: "kit-brugge-01",
    Role.OFFICER: "an.peeters",
    Role.OFFICER_KEY: "an.peeters",
    Role.SERVER: "fleet.example.be",
    Role.BROKER: "localhost",
    Role.INGEST: "fleet-ingest-1",
    Role.SERVICE: "127.0.0.1",
    Role.CUSTODIAN: "fleet.brugge",
    Role.COLLECTOR: "afhalen.example.be",
}


@pytest.mark.parametrize("role", Role)
def test_a_certificate_says_its_role_and_name_and_may_be_used_for_it(role):
    made = leaf(role, NAMES[role], ROOT).certificate
    assert role_of(made) == (role, NAMES[role])
    check_use(made, role)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (Role.KIT_TLS, "brugge-01"),
        (Role.KIT_TLS, "kit-Brugge"),
        (Role.KIT_TLS, "kit-" + "x" * 29),
        (Role.KIT_SIGN, "kit-"),
        (Role.KIT_SIGN, "kit-a/#"),
        (Role.KIT_SIGN, "kit-a\n"),
        (Role.OFFICER, "x"),
        (Role.OFFICER, "An Peeters"),
        (Role.SERVER, ""),
        (Role.SERVER, ".example"),
        (Role.BROKER, "a" * 65),
    ],
)
def test_a_name_that_does_not_fit_its_role_is_refused(role, name):
    with pytest.raises(BadIdentity) as refusal:
        subject(role, name)
    assert refusal.value.code == "certificate-subject"


def rdns(*parts: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name(
        x509.RelativeDistinguishedName(x509.NameAttribute(oid, text) for oid, text in part) for part in parts
    )


ORG, OU, CN = NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (rdns(), "certificate-subject"),
        (rdns([(CN, "kit-a")]), "certificate-subject"),
        (rdns([(OU, "kit-tls")], [(ORG, "Thuisloket")], [(CN, "kit-a")]), "certificate-subject"),
        (rdns([(ORG, "Thuisloket")], [(OU, "kit-tls"), (CN, "kit-a")]), "certificate-subject"),
        (
            rdns([(ORG, "Thuisloket"), (OU, "officer")], [(OU, "kit-tls")], [(CN, "kit-a")]),
            "certificate-subject",
        ),
        (
            rdns([(ORG, "Thuisloket")], [(OU, "kit-tls")], [(CN, "kit-a")], [(CN, "kit-b")]),
            "certificate-subject",
        ),
        (rdns([(ORG, "thuisloket")], [(OU, "kit-tls")], [(CN, "kit-a")]), "certificate-subject"),
        (rdns([(ORG, "Thuisloket")], [(OU, "kit-tls")], [(CN, "an.peeters")]), "certificate-subject"),
        (rdns([(ORG, "Thuisloket")], [(OU, "admin")], [(CN, "kit-a")]), "unknown-role"),
        (rdns([(ORG, "Thuisloket")], [(OU, "KIT-TLS")], [(CN, "kit-a")]), "unknown-role"),
    ],
)
def test_a_subject_of_another_shape_has_no_role(name, code):
    made = issue(name, ROOT, [(key_usage(digital_signature=True), True)]).certificate
    with pytest.raises(BadIdentity) as refusal:
        role_of(made)
    assert refusal.value.code == code


CLIENT = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
DOCUMENTS = (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]), False)
SIGNS = (key_usage(digital_signature=True), True)
END = (x509.BasicConstraints(ca=False, path_length=None), True)


@pytest.mark.parametrize(
    ("role", "extensions", "curve"),
    [
        (Role.KIT_TLS, [END, SIGNS], None),
        (Role.KIT_SIGN, [END, SIGNS, CLIENT], None),
        (Role.SERVER, [END, SIGNS, CLIENT], None),
        (
            Role.KIT_TLS,
            [
                SIGNS,
                (
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                    False,
                ),
            ],
            None,
        ),
        (Role.KIT_SIGN, [END, SIGNS], None),
        (Role.KIT_SIGN, [END, DOCUMENTS], None),
        (Role.KIT_SIGN, [END, DOCUMENTS, (key_usage(), True)], None),
        (
            Role.KIT_SIGN,
            [END, DOCUMENTS, (key_usage(digital_signature=True, key_cert_sign=True), True)],
            None,
        ),
        (Role.KIT_SIGN, [(x509.BasicConstraints(ca=True, path_length=None), True), SIGNS, DOCUMENTS], None),
        (Role.KIT_SIGN, [END, SIGNS, DOCUMENTS], ec.SECP384R1()),
    ],
)
def test_a_key_meant_for_something_else_is_refused(role, extensions, curve):
    made = issue(subject(role, NAMES[role]), ROOT, extensions, curve=curve).certificate
    with pytest.raises(BadIdentity) as refusal:
        check_use(made, role)
    assert refusal.value.code == "certificate-usage"


def test_a_serial_number_is_spelled_in_lower_case_hex():
    made = issue(subject(Role.OFFICER, "an.peeters"), ROOT, [], serial=0x0ABC).certificate
    assert serial_of(made) == "abc"
