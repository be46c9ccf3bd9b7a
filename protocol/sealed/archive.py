"""The archive inside a sealed application: an uncompressed ustar file that has exactly one spelling.

Every tar program reads it. Our reader takes a member only when writing it anew gives the same bytes, so
links, extended headers, other owners, padding that hides something or bytes after the end cannot get in.
"""

from collections.abc import Iterable
from functools import lru_cache

BLOCK = 512
_END = bytes(2 * BLOCK)
_LONGEST_NAME = 100
_LARGEST = 8**11 - 1  # eleven octal digits
_OWNER = b"\0".join([b"0000600", b"0000000", b"0000000", b""])  # mode, user, group
_TIME = b"00000000000\0"
_REST = b"0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8 + 155 + 12)  # a plain file
_SUM_OF_REST = sum(_OWNER + _TIME + b" " * 8 + _REST)  # the checksum is computed over itself as spaces


class BadArchive(ValueError):
    """Not an archive as this module writes it."""


def write_archive(members: Iterable[tuple[str, bytes | memoryview]]) -> bytes:
    """(name, bytes) one after the other. ValueError for a name ustar cannot hold."""
    return b"".join(archive_of(members))


def archive_of(members: Iterable[tuple[str, bytes | memoryview]]) -> list[bytes | memoryview]:
    """The same in parts, the members' bytes as they are."""
    parts: list[bytes | memoryview] = []
    for name, data in members:
        parts += [_header(name, len(data)), data, bytes(-len(data) % BLOCK)]
    return [*parts, _END]


def read_archive(archive: bytes) -> list[tuple[str, bytes]]:
    """The members in order. BadArchive unless `write_archive` of them gives `archive`."""
    members = []
    at = 0
    while archive[at : at + BLOCK] != _END[:BLOCK]:
        name, size = _read_header(archive[at : at + BLOCK])
        at += BLOCK
        data = archive[at : at + size]
        padding = archive[at + size : at + size + -size % BLOCK]
        if len(data) != size or len(padding) != -size % BLOCK or any(padding):
            raise BadArchive("a member that is cut off, or padding that is not empty")
        members.append((name, data))
        at += size + len(padding)
    if archive[at:] != _END:
        raise BadArchive("an end that is not two empty blocks")
    return members


@lru_cache(maxsize=64)
def _header(name: str, size: int) -> bytes:
    """POSIX.1-1988 ustar: a plain file of nobody in particular, of 1970, readable by its owner alone."""
    raw = name.encode("ascii")
    if not 0 < len(raw) <= _LONGEST_NAME or not 0 <= size <= _LARGEST:
        raise ValueError("a name or size that ustar cannot hold")
    octal = b"%011o" % size
    checksum = _SUM_OF_REST + sum(raw) + sum(octal)
    return b"%b%b%b\0%b%06o\0 %b" % (raw.ljust(100, b"\0"), _OWNER, octal, _TIME, checksum, _REST)


def _read_header(block: bytes) -> tuple[str, int]:
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        size = int(block[124:135], 8)
        known = _header(name, size) == block
    except ValueError as problem:
        raise BadArchive("a header that cannot be read") from problem
    if not known:
        raise BadArchive("a header that this archive never has")
    return name, size
