"""An officer's security key instead of a key under a PIN: assertions made here, byte by byte."""

import hashlib
from datetime import timedelta

import msgspec
import pytest

from protocol.identity import Role
from protocol.sealed.manifest import FIRST_PREV
from protocol.sealed.outer import check_signatures, read_outer
from protocol.sealed.packet import BadPacket, Signer, open_packet, prepare
from tests.protocol.certificates import NOW, authority, leaf
from tests.protocol.sealed.application import PARTS, build_world
from tests.protocol.sealed.authenticator import answer, authenticator_data, client_data, text

WORLD = build_world()
KEY = leaf(Role.OFFICER_KEY, "an.peeters", WORLD.officer_ca)
CHAIN = (KEY.certificate, WORLD.officer_ca.certificate)
PREPARED = prepare(PARTS, WORLD.core(officer_signature="webauthn", prev=FIRST_PREV), WORLD.recipients)
SAID = client_data(PREPARED.challenge)
GOOD = answer(KEY.key, CHAIN, SAID)


def packet(assertion=GOOD, prepared=PREPARED):
    return prepared.finish(WORLD.kit_signer, assertion).data


def refused(assertion, at=NOW):
    with pytest.raises(BadPacket) as refusal:
        check_signatures(read_outer(packet(assertion)), WORLD.roots, WORLD.roots, at)
    return refusal.value.code


def changed(**members):
    return msgspec.structs.replace(GOOD, **members)


def test_a_packet_signed_with_a_security_key_is_opened_and_says_so():
    opened = open_packet(packet(), WORLD.identities, WORLD.roots, WORLD.roots, NOW)
    assert opened.parts == PARTS
    assert opened.outer.manifest.officer_signature == "webauthn"
    assert "MEUC" not in repr(opened.outer.signatures.officer)


def test_the_challenge_is_the_hash_of_the_manifest():
    assert PREPARED.challenge == hashlib.sha256(read_outer(packet()).manifest_bytes).digest()


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:1", "http://localhost:65535"])
def test_the_kiosk_may_have_any_port(origin):
    said = client_data(PREPARED.challenge, origin=origin, crossOrigin=..., other_keys_can_be_added_here="x")
    check_signatures(read_outer(packet(answer(KEY.key, CHAIN, said))), WORLD.roots, WORLD.roots, NOW)


def said(**changes):
    return answer(KEY.key, CHAIN, client_data(PREPARED.challenge, **changes))


def with_data(data):
    return answer(KEY.key, CHAIN, SAID, data)


@pytest.mark.parametrize(
    "assertion",
    [
        said(type="webauthn.create"),
        said(type=...),
        said(challenge=text(bytes(32))),
        said(challenge=text(PREPARED.challenge) + "="),
        said(challenge=...),
        said(origin="https://localhost:8740"),
        said(origin="http://localhost.evil.example"),
        said(origin="http://127.0.0.1:8740"),
        said(origin="http://localhost:8740/"),
        said(origin=1),
        said(origin=...),
        said(crossOrigin=True),
        answer(KEY.key, CHAIN, b"{}"),
        answer(KEY.key, CHAIN, b"[]"),
        answer(KEY.key, CHAIN, b"\xff"),
        answer(KEY.key, CHAIN, SAID[:-1] + b',"type":"webauthn.get"}'),
        answer(KEY.key, CHAIN, b"[" * 2000),
        with_data(authenticator_data(rp_id="thuisloket.be")),
        with_data(authenticator_data(flags=0x01)),
        with_data(authenticator_data(flags=0x04)),
        with_data(authenticator_data(flags=0x00)),
        with_data(authenticator_data(flags=0x0D)),
        with_data(authenticator_data(flags=0x1D)),
        with_data(authenticator_data(flags=0x45)),
        with_data(authenticator_data(flags=0x85) + b"\xa0"),
        with_data(authenticator_data()[:-1]),
        with_data(b""),
        answer(WORLD.officer.key, CHAIN, SAID),
        changed(client_data=text(SAID.replace(b"8740", b"8741"))),
        changed(authenticator_data=text(authenticator_data(counter=8))),
        changed(signature=text(b"\0" * 70)),
        changed(signature=""),
        changed(signature="?"),
        changed(signature="AB"),
        changed(client_data="A" * 9000),
        changed(x5c=["AAAA"]),
        changed(x5c=["?"]),
        changed(x5c=[GOOD.x5c[0] + "?", *GOOD.x5c[1:]]),
    ],
    ids=range(38),
)
def test_an_assertion_that_is_not_a_verified_answer_to_this_manifest_is_refused(assertion):
    assert refused(assertion) == "officer-signature"


def by(holder, *issuers):
    return answer(holder.key, (holder.certificate, *(one.certificate for one in issuers)), SAID)


def test_the_key_is_vouched_for_as_the_security_key_of_this_officer():
    assert refused(by(WORLD.officer, WORLD.officer_ca)) == "unknown-role"
    other = leaf(Role.OFFICER_KEY, "jan.claes", WORLD.officer_ca)
    assert refused(by(other, WORLD.officer_ca)) == "wrong-signer"
    assert refused(changed(x5c=[])) == "certificate-untrusted"
    assert (
        refused(by(leaf(Role.OFFICER_KEY, "an.peeters", authority("elsewhere")))) == "certificate-untrusted"
    )
    old = leaf(Role.OFFICER_KEY, "an.peeters", WORLD.officer_ca, end=NOW - timedelta(days=1))
    assert refused(by(old, WORLD.officer_ca)) == "certificate-expired"


def test_one_kind_of_signature_cannot_stand_in_for_the_other():
    with pytest.raises(BadPacket, match="signatures-malformed"):
        PREPARED.finish(WORLD.kit_signer, WORLD.officer_signer)
    with pytest.raises(BadPacket, match="signatures-malformed"):
        packet(GOOD, prepare(PARTS, WORLD.core(), WORLD.recipients))
    pinned = prepare(PARTS, WORLD.core(), WORLD.recipients).finish(WORLD.kit_signer, Signer(KEY.key, CHAIN))
    with pytest.raises(BadPacket, match="unknown-role"):
        check_signatures(read_outer(pinned.data), WORLD.roots, WORLD.roots, NOW)


def test_the_answer_for_one_application_does_not_sign_another():
    other = prepare(PARTS, WORLD.core(officer_signature="webauthn"), WORLD.recipients)
    with pytest.raises(BadPacket, match="officer-signature"):
        check_signatures(read_outer(packet(GOOD, other)), WORLD.roots, WORLD.roots, NOW)


def test_an_assertion_of_another_shape_is_malformed():
    outer = read_outer(packet())
    members = msgspec.to_builtins(outer.signatures)
    for officer in ({}, {**members["officer"], "more": ""}, {**members["officer"], "x5c": "a"}, None, []):
        raw = msgspec.json.encode({"kit": members["kit"], "officer": officer}, order="sorted")
        size = len(outer.manifest_bytes)
        data = b"thuisloket-packet/1\n" + size.to_bytes(4) + outer.manifest_bytes + len(raw).to_bytes(4) + raw
        with pytest.raises(BadPacket, match="signatures-malformed"):
            read_outer(data)
