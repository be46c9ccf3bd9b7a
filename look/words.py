"""Every text on a screen: TOML files with the four languages side by side, checked at load.

A file holds tables; a table whose values are strings is one text and has exactly `nl`, `fr`, `de`, `en`:

    [visit.empty]
    nl = "Er zijn vandaag geen bezoeken."
    fr = ...

The key of that text is `visit.empty`. `{name}` is a value filled in by the caller; all four languages must
use the same ones. Why TOML and not gettext: docs/decisions/0050-words-in-toml.md.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

LANGUAGES = ("nl", "fr", "de", "en")
OWN = Path(__file__).with_name("words.toml")  # the layout's own texts; in every set of words

_PART = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class WordsError(ValueError):
    """A words file that must not be used; the message names file and key."""


class Words:
    """All texts of a program. Calling it gives one: `words("visit.empty", "nl")`."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]]) -> None:
        self._texts = texts

    @classmethod
    def load(cls, *paths: Path) -> "Words":
        """Read look's own words and these files. WordsError: something is missing, double or ill-formed."""
        texts: dict[str, dict[str, str]] = {}
        for path in (OWN, *paths):
            for key, text in _read(path):
                if key in texts:
                    raise WordsError(f"{path}: {key}: there is another text with this key")
                texts[key] = text
        return cls(texts)

    def __call__(self, key: str, language: str, **values: object) -> str:
        """The text of `key`. KeyError when the key, the language or a value is missing: that is a bug."""
        return self._texts[key][language].format_map({name: str(value) for name, value in values.items()})

    def unfilled(self, key: str, language: str) -> str:
        """The text as it is in the file, with its `{names}`."""
        return self._texts[key][language]

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def _read(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WordsError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise WordsError(f"{path}: cannot be read: {error.strerror}") from error
    yield from _texts(path, "", content)


def _texts(path: Path, prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if not _PART.fullmatch(name):
            raise WordsError(f"{path}: {key}: a key is lower case letters, digits and hyphens")
        if not isinstance(value, dict):
            raise WordsError(f"{path}: {key}: expected a table with {', '.join(LANGUAGES)}")
        if any(isinstance(inner, dict) for inner in value.values()):
            yield from _texts(path, f"{key}.", value)
        else:
            yield key, _text(path, key, value)


def _text(path: Path, key: str, value: Mapping[str, Any]) -> dict[str, str]:
    missing = [language for language in LANGUAGES if language not in value]
    if missing:
        raise WordsError(f"{path}: {key}: no words in {', '.join(missing)}")
    extra = [name for name in value if name not in LANGUAGES]
    if extra:
        raise WordsError(f"{path}: {key}: {', '.join(extra)} is not one of {', '.join(LANGUAGES)}")
    for language in LANGUAGES:
        if not isinstance(value[language], str) or not value[language].strip():
            raise WordsError(f"{path}: {key}: {language} is empty or not a string")
    names = {language: _placeholders(path, key, language, value[language]) for language in LANGUAGES}
    for language, used in names.items():
        if used != names["nl"]:
            raise WordsError(
                f"{path}: {key}: {language} fills in {sorted(used)}, nl fills in {sorted(names['nl'])}"
            )
    return {language: value[language] for language in LANGUAGES}


def _placeholders(path: Path, key: str, language: str, text: str) -> set[str]:
    names = set()
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise WordsError(f"{path}: {key}: {language}: {error}") from error
    for _, name, specification, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or specification or conversion:
            raise WordsError(f"{path}: {key}: {language}: {{{name}}} must be a plain name")
        names.add(name)
    return names
