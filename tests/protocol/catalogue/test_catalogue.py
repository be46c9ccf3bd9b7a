"""The shipped entries, and what the loader refuses."""

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

from protocol.catalogue import BadCatalogue, in_force, parse, shipped
from protocol.catalogue.loader import collect
from tests.catalogue import POSSESSION, SERVICE, text, with_possession

TEXT = files("protocol.catalogue").joinpath("be.eid.application.toml").read_text("utf-8")


def test_the_identity_card_entry_has_its_steps_ladder_and_words() -> None:
    entry = shipped()["be.eid.application"]
    service = entry.service
    assert entry.digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert service.steps == (
        "card",
        "inform",
        "procedure",
        "photo",
        "fingers",
        "signature",
        "review",
        "seal",
    )
    assert service.fingers.ladder == ("index", "middle", "ring", "little", "thumb")
    assert service.fingers.temporary.validity_months == 12
    assert service.retention.biometric_days_max <= 90
    urgent = service.procedure("urgent")
    assert urgent is not None
    assert urgent.before == "15:00"
    assert service.procedure("overnight") is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[photo]", "[picture]", "picture"),
        ("tries = 5", "tries = 0", "photo.tries"),
        ('version = "2026-11"', 'version = "2026"', "version"),
        ('"card", "inform"', '"inform", "card"', "begin with card"),
        ('"review", "seal"]', '"seal", "review"]', "end with review and seal"),
        ('"photo", "fingers"', '"photo", "photo"', "twice"),
        ('"photo", "fingers"', '"photo", "iris"', "steps"),
        ('ladder = ["index",', 'ladder = ["thumb",', "ladder"),
        ('ladder = ["index", "middle", "ring", "little", "thumb"]', "ladder = []", "ladder"),
        ('id = "urgent"\n', 'id = "normal"\n', "twice"),
        ('before = "15:00"', 'before = "25:00"', "HH:MM"),
        ("biometric_days_max = 90", "biometric_days_max = 91", "biometric_days_max"),
        ('nl = "Identiteitskaart aanvragen"', 'nl = ""', "title"),
        ('service = "be.eid.application"', 'service = "EID"', "service"),
        ("[title]", "[title", "TOML"),
    ],
)
def test_a_doubtful_entry_is_refused_and_the_place_is_named(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(BadCatalogue) as wrong:
        parse(TEXT.replace(old, new).encode())
    if says != "TOML":
        assert says in str(wrong.value)


def test_an_entry_that_is_far_too_long_is_not_parsed() -> None:
    with pytest.raises(BadCatalogue, match="at most"):
        parse(TEXT.encode() + b"#" * 70_000)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadCatalogue):
        parse(b"\xff\xfe")


def test_an_entry_in_the_file_of_another_is_refused() -> None:
    with pytest.raises(BadCatalogue, match=r"be\.eid\.delivery\.toml speaks of be\.eid\.application"):
        collect([("be.eid.delivery.toml", TEXT.encode())])


def test_a_folder_of_entries_comes_in_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    assert in_force(None) == shipped()
    entry = with_possession()
    own = text().replace('"inform", ', '"inform", "possession", ', 1) + POSSESSION
    (tmp_path / f"{SERVICE}.toml").write_text(own)
    (tmp_path / "notes.txt").write_text("nothing of ours")
    assert in_force(tmp_path)[SERVICE].service == entry.service
    assert in_force(tmp_path)[SERVICE].digest != shipped()[SERVICE].digest


def test_a_folder_without_entries_or_that_is_none_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadCatalogue):
            in_force(folder)
    (tmp_path / f"{SERVICE}.toml").mkdir()
    with pytest.raises(BadCatalogue, match="directory"):
        in_force(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    ['[possession]\nexceptions = ["refuses"]\n', '[possession]\nexceptions = ["no-card", "bored"]\n', ""],
    ids=["no way on without a card", "an unknown reason", "no rules"],
)
def test_an_entry_whose_step_could_not_be_done_is_refused(wrong: str) -> None:
    with pytest.raises(BadCatalogue):
        with_possession(wrong)


def test_nobody_is_asked_for_a_pin_before_the_explanation() -> None:
    early = text().replace('"inform", "procedure"', '"procedure"').replace('"card",', '"card", "possession",')
    with pytest.raises(BadCatalogue, match="before knowing what for"):
        parse((early + POSSESSION).encode())
