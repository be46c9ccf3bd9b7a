"""Asking for a lease and granting one: only of the kit that signs, only by the fleet, only for who asked."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.identity import Role
from protocol.lease import (
    ASKED,
    GRANTED,
    Asked,
    BadLease,
    Granted,
    open_granted,
    seal_granted,
    sign_asked,
    verify_asked,
)
from protocol.sealed import age, agekeys
from tests.protocol.certificates import authority, leaf

ROOT = authority("Root")
ISSUING = authority("Issuing", ROOT, 0)
KIT = leaf(Role.KIT_SIGN, "kit-a", ISSUING)
CHAIN = (KIT.certificate, ISSUING.certificate)
NOW = KIT.certificate.not_valid_before_utc
NONCE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
IDENTITY, RECIPIENT = agekeys.generate()
COMMAND = ec.generate_private_key(ec.SECP256R1())
KID = signed.key_id(COMMAND.public_key())
KEYS = {KID: COMMAND.public_key()}
WISH = Asked(kit_id="kit-a", epoch=3, nonce=NONCE, recipient=RECIPIENT)
GIVEN = Granted("kit-a", NONCE, 3, bytes(range(32)), b"", 48, 12, "2026-11-23T09:30:00Z")


def asked_badly(token: str) -> str:
    with pytest.raises(BadLease) as problem:
        verify_asked(token, [ROOT.certificate], NOW)
    return problem.value.code


def granted_badly(data: bytes, identity: str = IDENTITY) -> str:
    with pytest.raises(BadLease) as problem:
        open_granted(data, identity, KEYS)
    return problem.value.code


def test_both_come_back_as_they_were_sent() -> None:
    token = sign_asked(WISH, KIT.key, CHAIN)
    assert len(token) <= 12_000
    assert verify_asked(token, [ROOT.certificate], NOW) == WISH
    sealed = seal_granted(GIVEN, RECIPIENT, COMMAND, KID)
    assert len(sealed) <= 16_384
    assert open_granted(sealed, IDENTITY, KEYS) == GIVEN
    assert GIVEN.share not in sealed


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": -1},
        {"nonce": "now"},
        {"recipient": "age1pq1nobody"},
        {"recipient": "x" * 2401},
        {"v": 2},
        {"officer": "an"},
    ],
)
def test_a_request_that_breaks_a_rule_is_malformed(changes: dict[str, Any]) -> None:
    payload = canonical.dumps({**msgspec.to_builtins(WISH), **changes})
    token = signed.sign(ASKED, payload, KIT.key, signed.key_id(KIT.key.public_key()), CHAIN)
    assert asked_badly(token) == "lease-malformed"


def test_a_request_of_another_kit_role_or_root_is_not_believed() -> None:
    other = msgspec.structs.replace(WISH, kit_id="kit-b")
    assert asked_badly(sign_asked(other, KIT.key, CHAIN)) == "lease-untrusted"
    officer = leaf(Role.OFFICER, "an.peeters", ISSUING)
    assert asked_badly(sign_asked(WISH, officer.key, (officer.certificate, ISSUING.certificate))) == (
        "lease-untrusted"
    )
    stranger = leaf(Role.KIT_SIGN, "kit-a", authority("Stranger"))
    assert asked_badly(sign_asked(WISH, stranger.key, (stranger.certificate,))) == "lease-untrusted"
    assert asked_badly("no token") == "lease-untrusted"


@pytest.mark.parametrize(
    "changes",
    [
        {"share": "short"},
        {"share": "A" * 42 + "B"},  # bits that a spelling of 32 bytes leaves out
        {"epoch": 0},
        {"hours": 0},
        {"hours": 169},
        {"visits": 0},
        {"issued": "2026-02-30T09:30:00Z"},
        {"name": "Roos"},
    ],
)
def test_a_grant_that_breaks_a_rule_is_malformed(changes: dict[str, Any]) -> None:
    wire = {
        "v": 1,
        "kit_id": "kit-a",
        "nonce": NONCE,
        "epoch": 3,
        "share": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "following": "",
        "hours": 48,
        "visits": 12,
        "issued": "2026-11-23T09:30:00Z",
    }
    payload = canonical.dumps({**wire, **changes})
    token = signed.sign(GRANTED, payload, COMMAND, KID)
    assert granted_badly(age.encrypt(token.encode(), [RECIPIENT])) == "lease-malformed"
    good = signed.sign(GRANTED, canonical.dumps(wire), COMMAND, KID)
    assert open_granted(age.encrypt(good.encode(), [RECIPIENT]), IDENTITY, KEYS) == GIVEN


def test_a_grant_of_another_fleet_for_another_agent_or_of_another_kind_is_refused() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    theirs = seal_granted(GIVEN, RECIPIENT, stranger, signed.key_id(stranger.public_key()))
    assert granted_badly(theirs) == "lease-untrusted"
    mine = seal_granted(GIVEN, RECIPIENT, COMMAND, KID)
    assert granted_badly(mine, agekeys.generate()[0]) == "lease-unreadable"
    assert granted_badly(mine[:-1]) == "lease-unreadable"
    assert granted_badly(b"\xff" * 20_000) == "lease-unreadable"
    kind = signed.sign("bag", b"{}", COMMAND, KID)
    assert granted_badly(age.encrypt(kind.encode(), [RECIPIENT])) == "lease-untrusted"


def test_what_a_grant_cannot_hold_is_not_sealed() -> None:
    for bad in ({"hours": 1000}, {"visits": 0}, {"share": b"short"}):
        members = {name: getattr(GIVEN, name) for name in GIVEN.__dataclass_fields__}
        with pytest.raises(BadLease):
            seal_granted(Granted(**{**members, **bad}), RECIPIENT, COMMAND, KID)
