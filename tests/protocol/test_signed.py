import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protocol.identity import Role, subject
from protocol.signed import (
    LONGEST,
    LONGEST_HEADER,
    BadSignature,
    key_id,
    sign,
    sign_detached,
    verify,
    verify_chain,
    verify_detached_chain,
)
from tests.protocol.certificates import DAY, END, NOW, authority, issue, leaf
from tests.protocol.tokens import b64, header_of, token

ROOT = authority("root")
CA = authority("officer CA", ROOT, 0)
OFFICER = leaf(Role.OFFICER, "an.peeters", CA)
CHAIN = [OFFICER.certificate, CA.certificate]
ROOTS = [ROOT.certificate]
KEY = ec.generate_private_key(ec.SECP256R1())
KID = key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}
HEADER = {"alg": "ES256", "typ": "thuisloket/receipt", "kid": KID}


def refused(call, *arguments):
    with pytest.raises(BadSignature) as refusal:
        call(*arguments)
    return refusal.value.code


@given(st.binary(max_size=300))
def test_a_payload_comes_back_as_it_was_signed(payload):
    assert verify(sign("receipt", payload, KEY, KID), "receipt", KEYS) == payload


def test_a_chained_document_gives_payload_and_signer():
    made = sign("manifest", b"payload", OFFICER.key, key_id(OFFICER.key.public_key()), CHAIN)
    assert verify_chain(made, "manifest", ROOTS, Role.OFFICER, NOW) == (b"payload", OFFICER.certificate)


def test_a_detached_signature_fits_its_own_payload_only():
    made = sign_detached("manifest", b"payload", OFFICER.key, key_id(OFFICER.key.public_key()), CHAIN)
    assert ".." in made
    assert (
        verify_detached_chain(made, "manifest", b"payload", ROOTS, Role.OFFICER, NOW) == OFFICER.certificate
    )
    assert (
        refused(verify_detached_chain, made, "manifest", b"Payload", ROOTS, Role.OFFICER, NOW) == "signature"
    )
    attached = made.replace("..", f".{b64(b'payload')}.")
    assert (
        refused(verify_detached_chain, attached, "manifest", b"payload", ROOTS, Role.OFFICER, NOW)
        == "malformed"
    )


def test_a_header_in_another_order_than_ours_is_fine():
    assert verify(token(dict(reversed(HEADER.items())), b"x", KEY), "receipt", KEYS) == b"x"


def test_every_changed_character_is_refused():
    made = sign("receipt", b'{"v":1}', KEY, KID)
    for at, was in enumerate(made):
        for other in {"A", "B", ".", "=", "é"} - {was}:
            assert refused(verify, made[:at] + other + made[at + 1 :], "receipt", KEYS)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (HEADER | {"alg": "none"}, "header"),
        (HEADER | {"alg": "HS256"}, "header"),
        (HEADER | {"alg": "ES384"}, "header"),
        (HEADER | {"alg": "es256"}, "header"),
        (HEADER | {"typ": "thuisloket/manifest"}, "kind"),
        (HEADER | {"typ": "JWT"}, "kind"),
        (HEADER | {"kid": "another"}, "unknown-key"),
        (HEADER | {"kid": ""}, "header"),
        (HEADER | {"kid": "../key"}, "header"),
        (HEADER | {"kid": 1}, "header"),
        (HEADER | {"jku": "https://example.org"}, "header"),
        (HEADER | {"jwk": {}}, "header"),
        (HEADER | {"crit": ["b64"], "b64": False}, "header"),
        (HEADER | {"x5c": []}, "header"),
        ({name: HEADER[name] for name in ("alg", "typ")}, "header"),
        ({}, "header"),
        ([], "header"),
        (b"", "header"),
        (b"\xff", "header"),
        (b"[" * 20_000, "header"),
        (json.dumps(HEADER).encode()[:-1] + b',"alg":"ES256"}', "header"),
        (HEADER | {"kid": "x" * LONGEST_HEADER}, "header"),
    ],
)
def test_a_header_with_anything_else_in_it_is_refused(header, code):
    assert refused(verify, token(header, b"{}", KEY), "receipt", KEYS) == code


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c.d", "é..", "a" * (LONGEST + 1)],
    ids=lambda text: text[:9],
)
def test_something_that_is_no_compact_jws_is_refused(text):
    assert refused(verify, text, "receipt", KEYS) in {"malformed", "header"}


def test_a_signature_of_another_length_or_out_of_range_is_refused():
    head, body, _ = sign("receipt", b"x", KEY, KID).split(".")
    for raw in (b"", b"\0" * 63, b"\0" * 65, b"\0" * 64, b"\xff" * 64):
        assert refused(verify, f"{head}.{body}.{b64(raw)}", "receipt", KEYS) == "signature"


def test_base64_with_padding_or_spare_bits_is_refused():
    head, body, signature = sign("receipt", b"x", KEY, KID).split(".")
    for other in (
        signature + "==",
        signature[:-1] + "-_"[signature[-1] == "-"],
        signature + "A",
        body + "\n",
    ):
        assert refused(verify, f"{head}.{body}.{other}", "receipt", KEYS) in {"malformed", "signature"}


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OFFICER}))
def test_a_signer_in_another_role_is_refused(role):
    made = sign("manifest", b"x", OFFICER.key, key_id(OFFICER.key.public_key()), CHAIN)
    assert refused(verify_chain, made, "manifest", ROOTS, role, NOW) == "certificate-role"


def chained(holder, *issuers, **changes):
    return token(header_of("manifest", holder, *issuers) | changes, b"x", holder.key)


def test_every_way_a_chain_can_be_wrong_has_its_code():
    other = authority("another root")
    stranger = leaf(Role.OFFICER, "an.peeters", other)
    unused = issue(subject(Role.OFFICER, "an.peeters"), CA, [])
    cases = {
        chained(stranger): "certificate-untrusted",
        chained(OFFICER): "certificate-untrusted",
        chained(unused, CA): "certificate-usage",
        chained(OFFICER, CA, kid="another"): "header",
        chained(OFFICER, CA, x5c=[]): "header",
        chained(OFFICER, CA, x5c=["AA=="]): "header",
        chained(OFFICER, CA, x5c=["not base64"]): "header",
        chained(OFFICER, CA, x5c=header_of("x", OFFICER, CA, CA, CA)["x5c"]): "header",
        token(HEADER | {"typ": "thuisloket/manifest"}, b"x", KEY): "header",
        token(header_of("manifest", OFFICER, CA), b"x", KEY): "signature",
    }
    for made, code in cases.items():
        assert refused(verify_chain, made, "manifest", ROOTS, Role.OFFICER, NOW) == code
    assert refused(verify_chain, chained(OFFICER, CA), "manifest", ROOTS, Role.OFFICER, END + DAY) == (
        "certificate-expired"
    )


@pytest.mark.parametrize("kind", ["", "Receipt", "re ceipt", "x" * 41])
def test_an_impossible_kind_is_a_mistake_of_the_caller(kind):
    with pytest.raises(ValueError):
        sign(kind, b"", KEY, KID)


def test_a_key_that_does_not_fit_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError):
        sign("receipt", b"", ec.generate_private_key(ec.SECP384R1()), "kid")
    with pytest.raises(ValueError):
        sign("receipt", b"", KEY, KID, CHAIN)
    with pytest.raises(ValueError):
        sign("receipt", b"", OFFICER.key, "another", CHAIN)
