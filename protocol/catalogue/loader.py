"""Reads catalogue entries strictly: unknown keys, unknown steps and doubtful rules are refused."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import msgspec

from protocol.catalogue.schema import Service

LIMIT = 65_536
"""Longest entry that is read, in bytes."""


class BadCatalogue(ValueError):
    """The entry is not one this program may follow; the message says which key and why."""


@dataclass(frozen=True)
class Entry:
    """A service, and the SHA-256 (hex) of the exact bytes it was read from: what the manifest names."""

    service: Service
    digest: str


def parse(data: bytes) -> Entry:
    """Entry of the TOML text `data`; raises BadCatalogue."""
    if len(data) > LIMIT:
        raise BadCatalogue(f"entry of {len(data)} bytes, at most {LIMIT}")
    try:
        service = msgspec.toml.decode(data, type=Service)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:  # a ValidationError names the key
        raise BadCatalogue(str(wrong)) from wrong
    return Entry(service, hashlib.sha256(data).hexdigest())


def shipped() -> Mapping[str, Entry]:
    """The entries that come with this program, by service id."""
    return collect(
        (file.name, file.read_bytes())
        for file in files("protocol.catalogue").iterdir()
        if file.name.endswith(".toml")
    )


def in_force(folder: Path | None) -> Mapping[str, Entry]:
    """The shipped entries; an entry in `folder` comes in the place of the shipped one, or beside them.

    BadCatalogue, also when the folder cannot be read."""
    if folder is None:
        return shipped()
    try:
        own = collect((path.name, path.read_bytes()) for path in sorted(folder.glob("*.toml")))
    except OSError as problem:
        raise BadCatalogue(f"{folder}: {problem.strerror}") from problem
    if not own:
        raise BadCatalogue(f"{folder} holds no entry")
    return MappingProxyType({**shipped(), **own})


def collect(found: Iterable[tuple[str, bytes]]) -> Mapping[str, Entry]:
    """Entries by service id, of (file name, content); an entry lies in the file of its name."""
    entries = {}
    for name, data in found:
        entry = parse(data)
        if name != f"{entry.service.service}.toml":
            raise BadCatalogue(f"{name} speaks of {entry.service.service}")
        entries[entry.service.service] = entry
    return MappingProxyType(entries)
