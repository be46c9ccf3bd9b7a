"""The device's share of the store key, held in a file: for development and for boards without a TPM."""

import os
import secrets
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from device.errors import Code, KitError, Remedy
from device.ports import Enclosed

SECRET = 32  # bytes


class FileKeySource:
    """A file of 32 random bytes, readable by the agent's user alone.

    Whoever copies the disk copies it too, so the dashboard shows the kit's protection as reduced."""

    protection: Literal["hardware", "reduced"] = "reduced"

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def create(cls, path: Path) -> "FileKeySource":
        """Write a new secret. FileExistsError when there is one: replacing it would lose every record."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET))
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return cls(path)

    def device_secret(self) -> bytes:
        """KitError bad-config when the file is missing, of another length, or open to others."""
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                secret = file.read(SECRET + 1)
        except OSError as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "the device secret cannot be read") from problem
        if stat.S_IMODE(mode) & 0o077:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "the device secret is open to other users")
        if len(secret) != SECRET:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"the device secret is not {SECRET} bytes")
        return secret

    def enclose(self, proof: bytes) -> Enclosed:
        """The device secret, whatever the proof: a file counts no tries; Argon2id alone slows guesses."""
        return Enclosed(self.device_secret(), b"")

    def release(self, ticket: bytes, proof: bytes) -> bytes:
        return self.device_secret()

    def forget(self, ticket: bytes) -> None:
        """Nothing was kept for one officer alone."""

    def keep_only(self, tickets: Collection[bytes]) -> None:
        """As `forget`."""
