"""The list of a kit's officers: what is signed is what is read, and nothing else is."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.ids import new_ulid
from protocol.roster import KIND, BadRoster, Listed, Roster, Waiting, sign, verify

KEY = ec.generate_private_key(ec.SECP256R1())
KID = signed.key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}
AN, JO = Listed("an.peeters", "An Peeters"), Listed("jo.maes", "Jo Maes")


def a_roster(**changed: object) -> Roster:
    usual: dict[str, object] = {
        "kit_id": "kit-brugge-01",
        "nonce": new_ulid(),
        "version": 3,
        "issued": "2026-11-23T09:00:00Z",
        "hours": 168,
        "officers": (AN, JO),
        "enrolments": (Waiting("jo.maes", "AAAA"),),
    }
    return Roster(**{**usual, **changed})  # type: ignore[arg-type]


def test_what_the_fleet_signed_is_read_again() -> None:
    told = a_roster()
    assert verify(sign(told, KEY, KID), KEYS) == told
    assert told.names == {"an.peeters": "An Peeters", "jo.maes": "Jo Maes"}


@pytest.mark.parametrize(
    "changed",
    [
        {"kit_id": "kit"},
        {"nonce": "x"},
        {"version": 0},
        {"issued": "2026-11-23"},
        {"issued": "2026-13-23T09:00:00Z"},
        {"hours": 0},
        {"hours": 721},
        {"officers": ()},
        {"officers": (AN, AN)},
        {"officers": (Listed("an.peeters", ""),), "enrolments": ()},
        {"officers": (Listed("an.peeters", "An\u202e"),), "enrolments": ()},
        {"officers": (Listed("An", "An"),), "enrolments": ()},
        {"officers": tuple(Listed(f"o{n}", "O") for n in range(65)), "enrolments": ()},
        {"enrolments": (Waiting("nobody.here", "AAAA"),)},
        {"enrolments": (Waiting("jo.maes", "AAAA"), Waiting("jo.maes", "AAAA"))},
        {"enrolments": (Waiting("jo.maes", "AAAAA"),)},
        {"enrolments": (Waiting("jo.maes", "A+AA"),)},
    ],
)
def test_a_list_that_cannot_be_one_is_neither_signed_nor_read(changed: dict[str, object]) -> None:
    told = a_roster(**changed)
    with pytest.raises(BadRoster) as refused:
        sign(told, KEY, KID)
    assert refused.value.code == "roster-malformed"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (signed.sign(KIND, b"{}", KEY, KID), "roster-malformed"),
        (signed.sign(KIND, b"not json", KEY, KID), "roster-malformed"),
        (signed.sign("bag", canonical.dumps({}), KEY, KID), "roster-untrusted"),
        (sign(a_roster(), ec.generate_private_key(ec.SECP256R1()), KID), "roster-untrusted"),
        (sign(a_roster(), KEY, "another"), "roster-untrusted"),
        ("a.b.c", "roster-untrusted"),
    ],
)
def test_what_another_signed_is_refused(token: str, code: str) -> None:
    with pytest.raises(BadRoster) as refused:
        verify(token, KEYS)
    assert refused.value.code == code
