"""What one issuing CA has signed and taken back: the register from which its revocation list is made."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from provisioning.durable import write_secret

Reason = Literal["key-compromise", "superseded", "cessation-of-operation", "unspecified"]


class Issued(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    serial: str  # lower-case hex
    role: str
    name: str
    until: datetime
    key: str = ""  # its key id; not known of those issued before this was written down


class Revoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    serial: str
    at: datetime
    reason: Reason


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole register; `crl_number` grows by one with every list that is signed (RFC 5280, 5.2.3)."""

    crl_number: int = 0
    issued: tuple[Issued, ...] = ()
    revoked: tuple[Revoked, ...] = ()

    def find(self, serial: str) -> Issued | None:
        return next((entry for entry in self.issued if entry.serial == serial), None)

    def is_revoked(self, serial: str) -> bool:
        return any(entry.serial == serial for entry in self.revoked)


def read_register(path: Path) -> Register:
    """The register at `path`; an empty one where none was written yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Register)
    except FileNotFoundError:
        return Register()


def write_register(path: Path, register: Register) -> None:
    write_secret(path, msgspec.json.format(msgspec.json.encode(register), indent=1))
