"""What the reference service asks for anew, in its ledger: one line for each application, and which packet
supplements which. It knows a person by a digest under its own key, never by name or number.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.instant import read_instant
from protocol.recapture import Part
from protocol.sealed.packet import Opened
from protocol.sealed.supplement import Original

TABLES = """
CREATE TABLE IF NOT EXISTS whole (
    packet_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, service_id TEXT NOT NULL, supplements TEXT NOT NULL,
    holder TEXT NOT NULL, parts TEXT NOT NULL, until TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Whole:
    """A packet as far as a later one may have to do with it. `supplements`: the packet it brings parts for,
    or nothing. `parts`, `until`: what is waited for now, empty when nothing is."""

    packet_id: str
    tenant: str
    service_id: str
    supplements: str
    holder: str
    parts: tuple[Part, ...] = ()
    until: str = ""

    @property
    def original(self) -> Original:
        until: datetime | None = read_instant(self.until) if self.until else None
        of = bool(self.supplements)
        return Original(self.tenant, self.service_id, of, self.parts, until, self.holder)


def row_of(whole: Whole) -> tuple[str, ...]:
    """As TABLES has it."""
    about = (whole.packet_id, whole.tenant, whole.service_id, whole.supplements, whole.holder)
    return (*about, json.dumps(whole.parts), whole.until)


def whole_of(row: Sequence[str]) -> Whole:
    packet_id, tenant, service_id, supplements, holder, parts, until = row
    return Whole(packet_id, tenant, service_id, supplements, holder, tuple(json.loads(parts)), until)


class Persons:
    """Tells persons apart without knowing them: a keyed digest of the national number, the key derived from
    the service's own receipt key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        secret = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._key = HKDF(hashes.SHA256(), 32, None, b"thuisloket/reference/holder").derive(secret)

    def of(self, opened: Opened) -> str:
        """Empty when no card was read."""
        number = holder_of(opened)
        return hmac.digest(self._key, number.encode(), "sha256").hex() if number else ""


def holder_of(opened: Opened) -> str:
    """The national number on the card that was read, or nothing."""
    for part in opened.parts:
        if part.name == "identity.json":
            try:
                return str(json.loads(part.data)["identity"]["national_number"])
            except (ValueError, KeyError, TypeError):
                return ""
    return ""
