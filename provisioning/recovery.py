"""The administrator's key of unlock codes, for officers who forgot their PIN (docs/protocol.md 8).

`recovery/key.pem` in the authority's folder, made when the first kit is. Together with a kit in the hand it
opens that kit's store, so it belongs where the root key is: not on the fleet's server, nor on a kit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import unlock_code
from provisioning.durable import write_secret
from provisioning.generations import AuthorityError


@dataclass(frozen=True)
class Given:
    """An unlock code and until when it is good."""

    code: str
    not_after: datetime


def public_pem(authority: Path) -> bytes:
    """The public half, for a kit's trust folder; the key pair is made where there is none yet."""
    if not _path(authority).exists():
        _make(_path(authority))
    return (
        _read(authority)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def give_code(authority: Path, kit_id: str, officer_id: str, challenge: str, life: timedelta) -> Given:
    """A code for what the kit shows. AuthorityError when challenge, names and key do not go together."""
    if not timedelta(hours=1) <= life <= unlock_code.LONGEST:
        raise AuthorityError("a code lives between one hour and seven days")
    key = _read(authority)
    # The code names whole hours: the last one is given in full.
    not_after = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + life + timedelta(hours=1)
    try:
        told = unlock_code.read_challenge(challenge, kit_id, officer_id)
        halves = unlock_code.agree(key, told.point, told)
        return Given(unlock_code.write_code(halves, told, not_after), not_after)
    except unlock_code.BadCode as problem:
        raise AuthorityError(f"no code: {problem}") from problem


def _path(authority: Path) -> Path:
    return authority / "recovery" / "key.pem"


def _make(path: Path) -> None:
    pem = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(path, pem)


def _read(authority: Path) -> X25519PrivateKey:
    path = _path(authority)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise AuthorityError(f"{path}: no key of unlock codes; fetch it from the safe") from problem
    if not isinstance(key, X25519PrivateKey):
        raise AuthorityError(f"{path}: not an X25519 key")
    return key
