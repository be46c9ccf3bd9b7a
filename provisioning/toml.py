"""Writes TOML: tables of texts, whole numbers, truths, days and lists of texts: all that our files hold."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

Value = str | int | bool | date | Path | Sequence[str] | Mapping[str, "Value"]


def text(table: Mapping[str, Value]) -> str:
    """The table as a file: its own keys first, then its tables, in their order."""
    return "\n".join(_lines(table, ())) + "\n"


def _lines(table: Mapping[str, Value], place: tuple[str, ...]) -> list[str]:
    lines = [f"[{'.'.join(map(_key, place))}]"] if place else []
    lines += [
        f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)
    ]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_lines(value, (*place, key))]
    return lines


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _quoted(key)


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | date):
        return str(value)
    if isinstance(value, str | Path):
        return _quoted(str(value))
    assert not isinstance(value, Mapping)
    return f"[{', '.join(map(_quoted, value))}]"


def _quoted(value: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves and TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
