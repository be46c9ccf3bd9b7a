"""The services' signed recipient lists, handed on to kits: a list lives thirty days at most, and nobody is
to carry a new one to every kit. The fleet judges them as a kit does: none is handed on that is refused there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocol import signed
from protocol.sealed.recipients import LONGEST, BadRecipients, RecipientList, verify_list
from server.settings import Service, lines


@dataclass(frozen=True)
class Held:
    """A line's list; `code` says why it cannot be used, and then there is none. `kid`: of the list key."""

    line: str
    kid: str = ""
    token: str = ""
    about: RecipientList | None = None
    code: str = ""


def look(services: Mapping[str, Service], now: datetime) -> list[Held]:
    """Of every line, as it lies on the disk now."""
    return [_read(name, service, now) for name, service in lines(services)]


def for_kit(services: Mapping[str, Service], kid: str, held: str, now: datetime) -> str | None:
    """The newest valid list that the key `kid` has signed; None when there is none, or the kit has it
    (`held` is its SHA-256)."""
    found = [each for each in look(services, now) if each.kid == kid and each.about is not None]
    newest = max(found, key=lambda each: each.about.issued if each.about else "", default=None)
    if newest is None or hashlib.sha256(newest.token.encode()).hexdigest() == held:
        return None
    return newest.token


def _read(line: str, service: Service, now: datetime) -> Held:
    try:
        key = load_pem_public_key(service.list_key.read_bytes())
        with service.recipients.open("rb") as file:
            token = file.read(2 * LONGEST).decode("ascii").strip()
    except (OSError, ValueError):
        return Held(line, code="recipients-unreadable")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return Held(line, code="list-key-unreadable")
    try:
        about = verify_list(token, key, now)
    except BadRecipients as problem:
        return Held(line, code=problem.code)
    return Held(line, signed.key_id(key), token, about)
