"""Reads fleet.toml into frozen structs; what is wrong is named with its place in the file."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from protocol.identity import SERVICE_ID
from server.settings import Fleet


class BadConfig(Exception):
    """fleet.toml cannot be used; the message says where and why."""


def read(path: Path) -> Fleet:
    """The configuration in `path`. Relative paths in it are relative to its folder. BadConfig."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise BadConfig(f"{path}: cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadConfig(f"{path}: not TOML: {problem}") from problem
    folder = path.resolve().parent

    def hook(kind: type[Any], value: object) -> object:
        del kind  # Path is the only type in there that TOML does not know
        if not isinstance(value, str):
            raise ValueError("expected a path")
        return folder / value

    try:
        config = msgspec.convert(_without_empty(content), Fleet, dec_hook=hook)
    except msgspec.ValidationError as problem:
        raise BadConfig(f"{path}: {problem}") from problem
    for name in ("url", "owner_url"):
        _check_url(path, name, getattr(config.database, name))
    for service_id in config.services:
        if not SERVICE_ID.fullmatch(service_id):
            raise BadConfig(f"{path}: not the name of a service - at `$.services`")
    return config


def _check_url(path: Path, name: str, url: str) -> None:
    if not url:
        return
    # Half a second of imports, which a fleet on the embedded default does not pay here.
    from sqlalchemy.exc import ArgumentError

    from server.db.engine import read_url

    try:
        read_url(url)
    except (ValueError, ArgumentError) as problem:
        raise BadConfig(f"{path}: {problem} - at `$.database.{name}`") from problem


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """An empty text is a key that was left out."""
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != ""
    }
