"""The unlock code: both sides agree, and nothing fits another kit, officer, challenge or hour."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol.unlock_code import (
    DIGITS,
    BadCode,
    Challenge,
    agree,
    genuine,
    read_challenge,
    read_code,
    write_challenge,
    write_code,
)

KIT, OFFICER = "kit-brugge-01", "an.peeters"
ADMINISTRATOR = X25519PrivateKey.from_private_bytes(bytes(range(32)))
EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
CHALLENGE = Challenge(KIT, OFFICER, EPHEMERAL.public_key().public_bytes_raw())
UNTIL = datetime(2026, 11, 24, 12, tzinfo=UTC)
# the literal vectors of docs/protocol.md 8
SHOWN = "6P07-5NHP-B20D-3BQA-6ADD-Z491-70W5-3V91-MA73-PXF9-CQ8D-5K8P-C9AE-DM5Q"
TYPED = "1285 1133 8841 1070 9514 9758 7379 3492 1124 8642 1889"


def test_kit_and_administrator_agree_on_the_same() -> None:
    mine = agree(EPHEMERAL, ADMINISTRATOR.public_key().public_bytes_raw(), CHALLENGE)
    theirs = agree(ADMINISTRATOR, CHALLENGE.point, CHALLENGE)
    assert mine == theirs
    code = read_code(write_code(theirs, CHALLENGE, UNTIL))
    assert (code.key, code.not_after) == (mine.key, UNTIL)
    assert genuine(code, mine.mac, CHALLENGE)


def test_the_literal_vectors_hold() -> None:
    assert write_challenge(CHALLENGE) == SHOWN
    assert write_code(agree(ADMINISTRATOR, CHALLENGE.point, CHALLENGE), CHALLENGE, UNTIL) == TYPED


def test_a_challenge_is_read_as_people_write_it() -> None:
    spoken = SHOWN.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert read_challenge(spoken, KIT, OFFICER) == CHALLENGE


@pytest.mark.parametrize(
    ("text", "kit_id", "officer_id"),
    [
        (SHOWN, "kit-brugge-02", OFFICER),
        (SHOWN, KIT, "bram.maes"),
        (SHOWN.replace("6P07", "6P0H"), KIT, OFFICER),
        (SHOWN[:-1], KIT, OFFICER),
        (SHOWN + "0", KIT, OFFICER),
        ("U" + SHOWN[1:], KIT, OFFICER),
        ("", KIT, OFFICER),
        (SHOWN, "no kit", OFFICER),
    ],
)
def test_a_challenge_misheard_or_of_another_is_refused(text: str, kit_id: str, officer_id: str) -> None:
    with pytest.raises(BadCode):
        read_challenge(text, kit_id, officer_id)


@pytest.mark.parametrize("text", ["", "1" * (DIGITS - 1), "1" * (DIGITS + 1), "x" * DIGITS, "9" * DIGITS])
def test_what_cannot_be_a_code_is_none(text: str) -> None:
    with pytest.raises(BadCode):
        read_code(text)


@given(st.binary(min_size=32, max_size=32), st.integers(0, (1 << 20) - 1))
def test_every_code_is_read_as_it_was_written_and_fits_nothing_else(point: bytes, hours: int) -> None:
    challenge = Challenge(KIT, OFFICER, point)
    halves = agree(ADMINISTRATOR, CHALLENGE.point, challenge)
    until = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    code = read_code(write_code(halves, challenge, until))
    assert (code.key, code.not_after) == (halves.key, until)
    assert genuine(code, halves.mac, challenge)
    for other in (Challenge("kit-brugge-02", OFFICER, point), Challenge(KIT, "bram.maes", point)):
        assert not genuine(code, halves.mac, other)
        assert agree(ADMINISTRATOR, CHALLENGE.point, other).key != halves.key


def test_an_hour_that_no_code_can_hold_is_the_callers_mistake() -> None:
    halves = agree(ADMINISTRATOR, CHALLENGE.point, CHALLENGE)
    for year in (2025, 2150):
        with pytest.raises(ValueError, match="hour"):
            write_code(halves, CHALLENGE, datetime(year, 1, 1, tzinfo=UTC))


def test_a_point_that_agrees_with_everybody_is_refused() -> None:
    with pytest.raises(BadCode):
        agree(ADMINISTRATOR, bytes(32), CHALLENGE)
    with pytest.raises(BadCode):
        Challenge(KIT, OFFICER, b"short")
