"""The competent service's recipient list on the kit: to whom to seal, whose receipts to believe."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from device.errors import Code, KitError, Remedy
from protocol.instant import read_instant
from protocol.sealed.recipients import (
    LONGEST,
    BadRecipients,
    RecipientList,
    check_time,
    read_list,
    verify_list,
)

_EXPIRED = "recipients-expired"


class Recipients:
    """Reads the list anew at every use: the administrator may replace it while the kit runs. What has been
    read and verified once is not verified again, but for its dates."""

    def __init__(self, path: Path, list_key: ec.EllipticCurvePublicKey) -> None:
        self._path = path
        self._list_key = list_key
        self._read_before: tuple[str, RecipientList] | None = None
        self._text: tuple[tuple[int, ...], str] | None = None  # as it was when the file looked so

    def valid(self, service_id: str, at: datetime, newest: datetime | None = None) -> RecipientList:
        """The list for a service, valid `at`, and issued no earlier than the `newest` seen.

        KitError recipients-expired, recipients-untrusted."""
        try:
            held = self._verified(self._read())
            check_time(held, at, newest)
        except BadRecipients as problem:
            code = Code.RECIPIENTS_EXPIRED if problem.code == _EXPIRED else Code.RECIPIENTS_UNTRUSTED
            raise KitError(code, Remedy.WORKSHOP, problem.detail) from problem
        if held.service_id != service_id:
            raise KitError(Code.RECIPIENTS_UNTRUSTED, Remedy.WORKSHOP, "a list for another service")
        return held

    def receipt_keys(self, at: datetime) -> Mapping[str, ec.EllipticCurvePublicKey]:
        """Whose receipts count. An expired list still says that: what was sealed before may be answered now.

        KitError recipients-untrusted."""
        token = self._read()
        try:
            try:
                held = verify_list(token, self._list_key, at)
            except BadRecipients as problem:
                if problem.code != _EXPIRED:
                    raise
                last_moment = read_instant(problem.detail) - timedelta(milliseconds=1)
                held = verify_list(token, self._list_key, last_moment)
        except (BadRecipients, ValueError) as problem:
            raise KitError(Code.RECIPIENTS_UNTRUSTED, Remedy.WORKSHOP, "no receipt keys") from problem
        return held.public_receipt_keys()

    def _verified(self, token: str) -> RecipientList:
        before = self._read_before
        held = before[1] if before is not None and before[0] == token else read_list(token, self._list_key)
        self._read_before = token, held
        return held

    def _read(self) -> str:
        try:
            there = self._path.stat()
            look = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
            if self._text is None or self._text[0] != look:
                with self._path.open("rb") as file:
                    self._text = look, file.read(2 * LONGEST).decode("ascii")
            return self._text[1]
        except (OSError, UnicodeDecodeError) as problem:
            raise KitError(
                Code.RECIPIENTS_UNTRUSTED, Remedy.WORKSHOP, "no list that can be read"
            ) from problem


def read_recovery_key(path: Path) -> bytes:
    """The administrator's X25519 key of unlock codes, from PEM. KitError bad-config."""
    try:
        with path.open("rb") as file:
            key = load_pem_public_key(file.read(8192))
    except (OSError, ValueError, UnsupportedAlgorithm) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} is no public key") from problem
    if not isinstance(key, X25519PublicKey):
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} is not an X25519 key")
    return key.public_bytes_raw()


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """A pinned P-256 key in PEM. KitError bad-config."""
    try:
        with path.open("rb") as file:
            key = load_pem_public_key(file.read(8192))
    except (OSError, ValueError, UnsupportedAlgorithm) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} is no public key") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} is not on P-256")
    return key


def read_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """Root certificates in PEM. KitError bad-config."""
    try:
        with path.open("rb") as file:
            return tuple(x509.load_pem_x509_certificates(file.read(65_536)))
    except (OSError, ValueError) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} holds no certificates") from problem
