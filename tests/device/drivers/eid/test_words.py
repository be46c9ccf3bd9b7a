"""Every verdict a card can get can be said to the officer, in four languages, with what is lawful next."""

import re
import tomllib
from pathlib import Path

import pytest

import device.drivers.eid
import device.kiosk
from device.errors import Code

ROOM = Path(device.drivers.eid.__file__).parent
WORDS = tomllib.loads((Path(device.kiosk.__file__).parent / "words.toml").read_text())
LANGUAGES = {"nl", "fr", "de", "en"}
CODES = frozenset(  # of the contract
    """
    untrusted-root rrn-certificate rrn-chain rrn-expired identity-signature address-signature tlv encoding
    birth-date photo-hash photo-format chip-number basic-key-hash auth-cert-mismatch not-genuine card-expired
    no-auth-certificate weak-signature card-swapped card-removed card-mute reader-in-use no-reader
    """.split()  # noqa: SIM905  as the contract has them
)
ANNEX_12 = {"nl": "bijlage 12", "fr": "annexe 12", "de": "Anlage 12", "en": "annex 12"}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_reason_and_flag_has_words_in_four_languages(code: str) -> None:
    assert set(WORDS["reason"][code]) == LANGUAGES
    assert all(len(text) > 10 for text in WORDS["reason"][code].values())


def test_the_judge_says_nothing_that_is_not_in_the_contract() -> None:
    found = r'(?:require\([^"]*|remark\([^"]*|reason(?:=| = )|rejected\()"([a-z-]+)"'
    said = {code for path in ROOM.glob("*.py") for code in re.findall(found, path.read_text())}
    assert len(said) > 12
    assert said - {"failed", "strong"} <= CODES  # what is compared with, not said


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_rejected_card_names_the_lawful_way_on(language: str) -> None:
    assert ANNEX_12[language] in WORDS["failure"]["card-rejected"]["do"][language]


@pytest.mark.parametrize(
    "code",
    [
        *(Code.NOT_AN_EID, Code.CARD_REJECTED, Code.CARD_REMOVED, Code.CARD_SWAPPED, Code.CARD_MUTE),
        *(Code.READER_IN_USE, Code.NO_READER, Code.NO_CARD, Code.NOT_GENUINE, Code.TWO_CARDS),
    ],
)
def test_every_trouble_with_a_card_says_what_happened_and_what_to_do(code: Code) -> None:
    for part in ("what", "do"):
        assert set(WORDS["failure"][code][part]) == LANGUAGES
