"""Texts are complete in four languages, or the program does not start."""

from pathlib import Path

import pytest

from look import LANGUAGES, Words, WordsError
from look.words import OWN

GOOD = """
[visit.empty]
nl = "Er zijn geen bezoeken."
fr = "Il n’y a pas de visites."
de = "Es gibt keine Besuche."
en = "There are no visits."

[visit.count]
nl = "Bezoeken: {count}"
fr = "Visites : {count}"
de = "Besuche: {count}"
en = "Visits: {count}"
"""


def load(folder: Path, *texts: str) -> Words:
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return Words.load(*paths)


def test_a_text_is_found_by_key_and_language(tmp_path: Path) -> None:
    words = load(tmp_path, GOOD)
    assert words("visit.empty", "fr") == "Il n’y a pas de visites."
    assert "visit.empty" in words
    assert "visit.full" not in words


def test_values_are_filled_in_and_braces_in_them_are_only_text(tmp_path: Path) -> None:
    words = load(tmp_path, GOOD)
    assert words("visit.count", "nl", count=3) == "Bezoeken: 3"
    assert words("visit.count", "nl", count="{count}") == "Bezoeken: {count}"
    assert words.unfilled("visit.count", "nl") == "Bezoeken: {count}"


def test_the_layouts_own_words_are_always_there() -> None:
    words = Words.load()
    assert all(key.startswith("look.") for key in words)
    assert all(words("look.skip", language) for language in LANGUAGES)
    assert OWN.exists()


def test_what_is_not_there_is_a_bug_not_an_empty_text(tmp_path: Path) -> None:
    words = load(tmp_path, GOOD)
    with pytest.raises(KeyError):
        words("visit.full", "nl")
    with pytest.raises(KeyError):
        words("visit.empty", "es")
    with pytest.raises(KeyError):
        words("visit.count", "nl")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[a]\nnl = "x"\nfr = "x"\nde = "x"\n', "a: no words in en"),
        ('[a]\nnl = "x"\nfr = "x"\nde = "x"\nen = "x"\nes = "x"\n', "a: es is not one of"),
        ('[a]\nnl = "x"\nfr = " "\nde = "x"\nen = "x"\n', "a: fr is empty"),
        ('[a]\nnl = 1\nfr = "x"\nde = "x"\nen = "x"\n', "a: nl is empty or not a string"),
        ('[a]\nnl = "{x}"\nfr = "{y}"\nde = "{x}"\nen = "{x}"\n', "a: fr fills in ['y']"),
        ('[a]\nnl = "{x}"\nfr = "x"\nde = "{x}"\nen = "{x}"\n', "a: fr fills in []"),
        ('[a]\nnl = "{x.y}"\nfr = "x"\nde = "x"\nen = "x"\n', "must be a plain name"),
        ('[a]\nnl = "{x:>9999}"\nfr = "x"\nde = "x"\nen = "x"\n', "must be a plain name"),
        ('[a]\nnl = "{x!r}"\nfr = "x"\nde = "x"\nen = "x"\n', "must be a plain name"),
        ('[a]\nnl = "{}"\nfr = "x"\nde = "x"\nen = "x"\n', "must be a plain name"),
        ('[a]\nnl = "{"\nfr = "x"\nde = "x"\nen = "x"\n', "a: nl:"),
        ('a = "x"\n', "expected a table"),
        ('["A b"]\nnl = "x"\nfr = "x"\nde = "x"\nen = "x"\n', "a key is lower case"),
        ('[a]\nnl = "x"\nfr = "x"\nde = "x"\nen = "x"\n[a.b]\nnl = "x"\n', "expected a table"),
        ("[a\n", "not TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(WordsError) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)
    assert str(tmp_path / "0.toml") in str(refused.value)


def test_one_key_is_in_one_file_only(tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="another text with this key"):
        load(tmp_path, GOOD, GOOD)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="cannot be read"):
        Words.load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(WordsError, match="not TOML"):
        Words.load(tmp_path / "bytes.toml")
