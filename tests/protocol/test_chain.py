import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.chain import BadChain, check_chain, load_certificate
from protocol.identity import Role, subject
from tests.protocol.certificates import DAY, END, NOW, YEAR, authority, issue, key_usage, leaf, name_of

ROOT = authority("root")
KIT_CA = authority("kit CA", ROOT, 0)
KIT = leaf(Role.KIT_SIGN, "kit-brugge-01", KIT_CA)
LEAF, ISSUER, ANCHOR = KIT.certificate, KIT_CA.certificate, ROOT.certificate


def test_a_leaf_and_its_issuing_ca_lead_to_the_root():
    check_chain([LEAF, ISSUER], [authority("another").certificate, ANCHOR], NOW)


def test_a_leaf_issued_by_the_root_itself_needs_nothing_between():
    check_chain([leaf(Role.OFFICER, "an.peeters", ROOT).certificate], [ANCHOR], NOW)


def wrong(chain, roots, at=NOW):
    with pytest.raises(BadChain) as refusal:
        check_chain(chain, roots, at)
    return refusal.value.code


def test_a_chain_that_leads_elsewhere_is_untrusted():
    same_name = authority("root")
    assert wrong([LEAF, ISSUER], [same_name.certificate]) == "certificate-untrusted"
    assert wrong([LEAF, ISSUER], []) == "certificate-untrusted"
    assert wrong([LEAF], [ANCHOR]) == "certificate-untrusted"
    assert wrong([ISSUER, LEAF], [ANCHOR]) == "certificate-untrusted"
    assert wrong([leaf(Role.OFFICER, "an.peeters", same_name).certificate, ISSUER], [ANCHOR]) == (
        "certificate-untrusted"
    )


@pytest.mark.parametrize("length", [0, 4])
def test_a_chain_of_another_length_is_untrusted(length):
    assert wrong([LEAF, ISSUER, ISSUER, ISSUER][:length], [ANCHOR]) == "certificate-untrusted"


def test_a_leaf_cannot_issue():
    forged = leaf(Role.KIT_SIGN, "kit-brugge-02", KIT)
    assert wrong([forged.certificate, LEAF, ISSUER], [ANCHOR]) == "certificate-untrusted"


def test_an_issuer_without_the_marks_of_a_ca_cannot_issue():
    bare = issue(name_of("bare"), ROOT, [], curve=ec.SECP384R1())
    unmarked = issue(
        name_of("no key usage"),
        ROOT,
        [(x509.BasicConstraints(ca=True, path_length=0), True)],
        curve=ec.SECP384R1(),
    )
    signer = issue(
        name_of("may not sign"),
        ROOT,
        [(x509.BasicConstraints(ca=True, path_length=0), True), (key_usage(digital_signature=True), True)],
        curve=ec.SECP384R1(),
    )
    for issuer in (bare, unmarked, signer):
        made = leaf(Role.KIT_SIGN, "kit-brugge-02", issuer)
        assert wrong([made.certificate, issuer.certificate], [ANCHOR]) == "certificate-untrusted"


def test_a_path_longer_than_its_ca_allows_is_untrusted():
    below = authority("below", KIT_CA)
    made = leaf(Role.KIT_SIGN, "kit-brugge-02", below)
    assert wrong([made.certificate, below.certificate, ISSUER], [ANCHOR]) == "certificate-untrusted"
    open_root = authority("open root")
    middle = authority("middle", open_root)
    lower = authority("lower", middle, 0)
    fine = leaf(Role.KIT_SIGN, "kit-brugge-02", lower)
    check_chain([fine.certificate, lower.certificate, middle.certificate], [open_root.certificate], NOW)


def test_an_unknown_critical_extension_is_refused_and_an_uncritical_one_is_not():
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
    for critical in (True, False):
        extensions = [
            (key_usage(digital_signature=True), True),
            (x509.UnrecognizedExtension(oid, b"\x05\x00"), critical),
        ]
        made = issue(subject(Role.OFFICER, "an.peeters"), KIT_CA, extensions).certificate
        if critical:
            assert wrong([made, ISSUER], [ANCHOR]) == "certificate-untrusted"
        else:
            check_chain([made, ISSUER], [ANCHOR], NOW)


@pytest.mark.parametrize(
    ("at", "fine"),
    [(NOW - YEAR - DAY, False), (NOW - YEAR, True), (END, True), (END + DAY, False)],
)
def test_each_certificate_is_valid_at_the_instant_asked_about(at, fine):
    if fine:
        check_chain([LEAF, ISSUER], [ANCHOR], at)
    else:
        assert wrong([LEAF, ISSUER], [ANCHOR], at) == "certificate-expired"


def test_an_expired_issuer_or_root_is_noticed_too():
    old_ca = authority("old CA", ROOT, 0, end=NOW - DAY)
    made = leaf(Role.KIT_SIGN, "kit-a", old_ca)
    assert wrong([made.certificate, old_ca.certificate], [ANCHOR]) == "certificate-expired"
    old_root = authority("old root", end=NOW - DAY)
    assert wrong([leaf(Role.KIT_SIGN, "kit-a", old_root).certificate], [old_root.certificate]) == (
        "certificate-expired"
    )


def test_weak_hashes_and_other_kinds_of_key_are_untrusted():
    sha512 = (
        x509.CertificateBuilder()
        .subject_name(subject(Role.OFFICER, "an.peeters"))
        .issuer_name(ANCHOR.subject)
        .public_key(LEAF.public_key())
        .serial_number(7)
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + YEAR)
    )
    assert wrong([sha512.sign(ROOT.key, hashes.SHA512())], [ANCHOR]) == "certificate-untrusted"
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_root = (
        x509.CertificateBuilder()
        .subject_name(name_of("rsa"))
        .issuer_name(name_of("rsa"))
        .public_key(rsa_key.public_key())
        .serial_number(8)
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + YEAR)
        .sign(rsa_key, hashes.SHA256())
    )
    assert wrong([rsa_root], [rsa_root]) == "certificate-untrusted"


def test_a_certificate_with_an_unreadable_part_is_a_value_error():
    der = LEAF.public_bytes(Encoding.DER)
    assert load_certificate(der) == LEAF
    # the same extension twice: cryptography notices only when extensions are asked for
    usage = bytes.fromhex("0603551d0f0101ff04040302")
    constraints = bytes.fromhex("0603551d130101ff0402")
    at = der.index(constraints)
    assert usage in der
    twice = der[:at] + bytes.fromhex("0603551d0f") + der[at + 5 :]
    with pytest.raises(ValueError):
        load_certificate(twice)
    with pytest.raises(ValueError):
        load_certificate(b"\x30\x00")
