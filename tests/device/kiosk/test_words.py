"""Everything the kiosk can be told has words, and the words are short enough to be read by everybody."""

import re
from pathlib import Path
from typing import get_args

import pytest

from device.agent import events
from device.agent.courier import Why
from device.agent.snapshot import Busy, ErrandKind, ErrandProblem, VisitLine, VisitView
from device.errors import Code, Remedy
from device.kiosk.app import words
from device.kiosk.place import Screen
from device.ports import Finger, Hand, State
from look import LANGUAGES

WORDS = words()
DEVICE = Path(__file__).parents[3] / "device"
REASONS = (
    *("untrusted-root", "rrn-certificate", "rrn-chain", "rrn-expired", "identity-signature"),
    *("address-signature", "tlv", "encoding", "birth-date", "photo-hash", "photo-format", "chip-number"),
    *("basic-key-hash", "auth-cert-mismatch", "not-genuine", "card-expired", "no-auth-certificate"),
    *("weak-signature", "card-swapped", "card-removed", "card-mute", "reader-in-use", "no-reader"),
)
HINTS = (
    *("blank", "not-a-finger", "too-dry", "too-wet", "too-light", "too-hard", "off-centre", "partial"),
    *("upside-down", "low-contrast", "wrong-resolution", "same-finger", "different-finger"),
    *("too-dark", "too-bright", "blurred", "too-small"),
)


def literals(hint: object, name: str) -> tuple[str, ...]:
    return tuple(value for value in get_args(hint.__annotations__[name]) if value)


@pytest.mark.parametrize("code", Code)
def test_every_failure_says_what_happened_and_what_to_do(code: Code) -> None:
    assert f"failure.{code}.what" in WORDS
    assert f"failure.{code}.do" in WORDS


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_says_who_can_help(remedy: Remedy) -> None:
    assert f"remedy.{remedy}" in WORDS


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_and_flag_of_the_contract_has_words(code: str) -> None:
    assert f"reason.{code}" in WORDS


@pytest.mark.parametrize("code", HINTS)
def test_every_hint_has_words(code: str) -> None:
    assert f"hint.{code}" in WORDS


def test_whatever_a_driver_says_it_is_doing_has_words() -> None:
    said = {
        code
        for path in [*(DEVICE / "drivers").rglob("*.py"), *(DEVICE / "agent").rglob("*.py")]
        for code in re.findall(r"progress\([^()]*(?:\([^()]*\)[^()]*)*\"([a-z-]+)\"\)", path.read_text())
    }
    assert said
    assert not [code for code in said if f"doing.{code}" not in WORDS]


@pytest.mark.parametrize(
    ("prefix", "codes"),
    [
        ("step", get_args(events.Step)),
        ("hand", get_args(Hand)),
        ("finger.right", get_args(Finger)),
        ("finger.left", get_args(Finger)),
        ("fingers.except", get_args(events.FingerReason)),
        ("fingers.except", get_args(events.Lasting)),
        ("abandon", literals(events.Abandoned, "reason")),
        ("waive", literals(events.CardWaived, "reason")),
        ("possession.except", get_args(events.PossessionReason)),
        ("waive", literals(events.CardWaived, "document")),
        ("signature.except", literals(events.SignatureExcepted, "reason")),
        ("visits.state", literals(VisitLine, "state")),
        ("busy", literals(Busy, "what")),
        ("device", (*get_args(State), "example")),
        ("carry.why", get_args(Why)),
        ("carry.running", get_args(ErrandKind)),
        ("carry.done", get_args(ErrandKind)),
    ],
)
def test_every_choice_and_state_has_words(prefix: str, codes: tuple[str, ...]) -> None:
    assert codes
    assert not [code for code in codes if f"{prefix}.{code}" not in WORDS]


def test_every_place_of_a_sealed_application_has_a_title_and_words() -> None:
    states = literals(VisitView, "sealed")
    assert not [state for state in states if f"state.{state}.title" not in WORDS]
    assert not [state for state in states if f"state.{state}.words" not in WORDS]


@pytest.mark.parametrize("part", ["what", "do"])
def test_every_way_an_errand_can_fail_has_words(part: str) -> None:
    problems = [problem for problem in get_args(ErrandProblem) if problem]
    assert not [problem for problem in problems if f"carry.problem.{problem}.{part}" not in WORDS]


def test_every_screen_has_its_template() -> None:
    folder = DEVICE / "kiosk" / "templates" / "kiosk"
    names = {*get_args(Screen), "inform-who", "fingers-kept", "busy-ink", "possession-pin", "possession-not"}
    names |= {"unlock-card"}
    assert not [name for name in names if not (folder / f"{name}.html").exists()]


def test_no_text_is_there_that_no_screen_shows() -> None:
    source = "".join(
        path.read_text() for path in (DEVICE / "kiosk").rglob("*") if path.suffix in (".html", ".py")
    )
    made_of_codes = re.compile(
        r"(failure|form|remedy|held|sending\.state|reason|hint|doing|step|hand|finger|abandon|waive|visits\.state|carry\.(why|running|done|problem)|busy|device|state"
        r"|fingers\.(except|effect)|signature\.except|possession\.(not|do|except)|procedure|photo\.hint|who\.genuine|review)\."
    )
    shown = set(re.findall(r"[\"']([a-z0-9.-]+)[\"']", source))
    unused = [key for key in WORDS if not key.startswith("look.") and key not in shown]
    assert not [key for key in unused if not made_of_codes.match(key)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_short(language: str) -> None:
    """B1: at most fifteen words in Dutch; the other languages need a few more for the same."""
    most = {"nl": 15, "fr": 18, "de": 16, "en": 18}[language]
    long = [
        (key, sentence)
        for key in WORDS
        for sentence in re.split(r"[.?!:]\s", WORDS.unfilled(key, language))
        if len(sentence.split()) > most
    ]
    assert not long


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_everyday_words(language: str) -> None:
    hard = {
        "nl": r"\b(dient|gelieve|middels|tevens|indien|betreffende|authenticat\w+|biometri\w+|e-?ID)\b",
        "fr": r"\b(veuillez|nonobstant|susmentionné\w*|biométri\w+)\b",
        "de": r"\b(bezüglich|diesbezüglich|obliegt|biometrisch\w*)\b",
        "en": r"\b(hereby|pursuant|aforementioned|biometric\w*)\b",
    }[language]
    found = [key for key in WORDS if re.search(hard, WORDS.unfilled(key, language), re.IGNORECASE)]
    assert not found
