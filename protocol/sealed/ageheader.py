"""The textual header of an age v1 file (c2sp.org/age): version line, stanzas, MAC; strict and bounded."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from protocol.bad import Bad

VERSION = b"age-encryption.org/v1\n"
END = b"---"
LONGEST = 64 * 1024  # bytes of header we read; two recipients and a manifest stanza take 3.5 KB
MOST_STANZAS = 20
_COLUMNS = 64
_MAC = 32
_ARGUMENT = re.compile(r"[!-~]+")  # VCHAR


class BadAge(Bad):
    """code: age-header, truncated, wrong-recipient, header-mac, payload-corrupt."""


@dataclass(frozen=True)
class Stanza:
    """`-> kind argument ...` and its body."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class Header:
    stanzas: tuple[Stanza, ...]
    mac: bytes
    covered: bytes  # what the MAC is computed over: up to and including the three dashes
    size: int  # bytes, the final line feed included


def encode64(data: bytes) -> str:
    """Base64 without padding (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()


def decode64(text: str) -> bytes:
    """The bytes of unpadded base64. ValueError for any spelling but the canonical one."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as problem:
        raise ValueError("not base64") from problem
    if encode64(data) != text:
        raise ValueError("not canonical base64")
    return data


def write_stanzas(stanzas: Iterable[Stanza]) -> bytes:
    """Stanzas as they stand between VERSION and END, all three of which the MAC covers. ValueError for an
    impossible argument."""
    lines = []
    for stanza in stanzas:
        body = encode64(stanza.body)
        lines.append(_first_line(stanza.kind, stanza.arguments))
        # the last line is always shorter than a full one, if need be empty
        lines += [body[at : at + _COLUMNS] for at in range(0, len(body) + 1, _COLUMNS)]
    return "\n".join([*lines, ""]).encode()


@lru_cache(maxsize=64)  # that of a label is the same in every packet
def _first_line(kind: str, arguments: tuple[str, ...]) -> str:
    words = (kind, *arguments)
    if not all(_ARGUMENT.fullmatch(word) for word in words):
        raise ValueError("a stanza argument holds something but visible ASCII")
    return f"-> {' '.join(words)}"


def read_header(data: bytes) -> Header:
    """The header at the start of `data`. BadAge age-header, or truncated when `data` ends inside it."""
    lines = _Lines(data)
    if lines.take() + b"\n" != VERSION:
        raise BadAge("age-header", "another version")
    stanzas: list[Stanza] = []
    while (line := lines.take()).startswith(b"-> "):
        stanzas.append(_read_stanza(line, lines))
        if len(stanzas) > MOST_STANZAS:
            raise BadAge("age-header", f"more than {MOST_STANZAS} stanzas")
    if not stanzas or not line.startswith(b"--- "):
        raise BadAge("age-header", "a line that is neither stanza nor MAC")
    mac = _decode(line[4:])
    if len(mac) != _MAC:
        raise BadAge("age-header", "MAC of the wrong length")
    covered = data[: lines.at - len(line) - 1 + 3]
    return Header(tuple(stanzas), mac, covered, lines.at)


class _Lines:
    """Lines of a header, one after the other, never past LONGEST bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self) -> bytes:
        end = self._data.find(b"\n", self.at, LONGEST)
        if end < 0:
            if len(self._data) >= LONGEST:
                raise BadAge("age-header", f"longer than {LONGEST} bytes")
            raise BadAge("truncated", "the file ends inside the header")
        line = self._data[self.at : end]
        self.at = end + 1
        return line


def _read_stanza(line: bytes, lines: _Lines) -> Stanza:
    try:
        words = line[3:].decode("ascii").split(" ")
    except UnicodeDecodeError as problem:
        raise BadAge("age-header", "a stanza that is not ASCII") from problem
    if not all(_ARGUMENT.fullmatch(word) for word in words):
        raise BadAge("age-header", "a stanza argument")
    body = b""
    while len(part := lines.take()) == _COLUMNS:
        body += part
    if len(part) > _COLUMNS:
        raise BadAge("age-header", "a line longer than 64 columns")
    return Stanza(words[0], tuple(words[1:]), _decode(body + part))


def _decode(text: bytes) -> bytes:
    try:
        return decode64(text.decode("ascii"))
    except ValueError as problem:
        raise BadAge("age-header", "base64 that is not canonical") from problem
