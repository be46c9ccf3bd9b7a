"""One secret a visit in a place of its own on the disk, so that it can be overwritten there.

What SQLite deletes leaves copies: its log is cut off, and what was cut off lies in free blocks of the file
system until something else is written there. A key that must be gone needs a second half that was never
written anywhere else. This file is never cut and never renamed: a slot is written where it will be
overwritten (decision 0095). ext4 writes in place; what flash keeps of it is the disk encryption's to guard.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

SLOT = 4096  # bytes: a block of the file system, so that a torn write hurts no neighbour
SECRET = 32
_EMPTY = bytes(SLOT)

TABLES = (
    # which visit's key needs which slot; a row of `visit_key` without one (the kit's own) needs none
    "CREATE TABLE IF NOT EXISTS visit_slot (visit_id TEXT PRIMARY KEY REFERENCES visit_key ON DELETE CASCADE,"
    " slot INTEGER NOT NULL UNIQUE CHECK (slot >= 0)) STRICT",
)


class Slots:
    """`take` only inside a writing transaction: its lock is what keeps two processes off the same slot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)

    def take(self, used: Iterable[int]) -> tuple[int, bytes]:
        """A slot and the new secret in it, on disk. Never one that is used, or not yet overwritten."""
        taken = set(used)
        handle = self._open_or_make()
        try:
            number = 0
            while number in taken or not _is_empty(os.pread(handle, SLOT, number * SLOT)):
                number += 1
            secret = secrets.token_bytes(SECRET)
            _write(handle, secret.ljust(SLOT, b"\0"), number)
            os.fdatasync(handle)
        finally:
            os.close(handle)
        return number, secret

    def read(self, number: int) -> bytes | None:
        """The secret in a slot; None when there is none (any more)."""
        try:
            handle = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            block = os.pread(handle, SLOT, number * SLOT)
        finally:
            os.close(handle)
        return None if _is_empty(block) else block[:SECRET]

    def overwrite(self, numbers: Iterable[int]) -> None:
        """These secrets are gone when this returns. OSError when the disk refuses."""
        handle = self._open(os.O_WRONLY)
        try:
            for number in numbers:
                _write(handle, _EMPTY, number)
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def left_over(self, used: Iterable[int]) -> list[int]:
        """Slots that hold a secret nobody uses: a cut of the power came before they were overwritten."""
        taken = set(used)
        try:
            handle = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return []
        try:
            count = -(-os.fstat(handle).st_size // SLOT)
            return [
                number
                for number in range(count)
                if number not in taken and not _is_empty(os.pread(handle, SLOT, number * SLOT))
            ]
        finally:
            os.close(handle)

    def _open(self, flags: int) -> int:
        return os.open(self._name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _open_or_make(self) -> int:
        """Its name is on disk before the first secret in it counts."""
        try:
            return self._open(os.O_RDWR)
        except FileNotFoundError:
            handle = self._open(os.O_RDWR | os.O_CREAT)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return handle


def _is_empty(block: bytes) -> bool:
    return not any(block)


def _write(handle: int, block: bytes, number: int) -> None:
    if os.pwrite(handle, block, number * SLOT) != len(block):
        raise OSError("a slot was not written whole")
