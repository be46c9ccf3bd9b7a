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
    """Reads the list anew at every use: a newer one may have come while the kit runs, by hand or from the
    fleet. Whoever brought it, it counts by its signature, and the one issued last is used. What has been read
    and verified once is not verified again, but for its dates."""

    def __init__(self, path: Path, list_key: ec.EllipticCurvePublicKey, brought: Path | None = None) -> None:
        """`brought`: where the list lies that came from the fleet, once there is one."""
        self._path, self._brought = path, brought
        self._list_key = list_key
        self._read_before: dict[str, RecipientList] = {}  # by what the file held
        self._text: dict[str, tuple[tuple[int, ...], str]] = {}  # as it was when the file looked so

    def valid(self, service_id: str, at: datetime, newest: datetime | None = None) -> RecipientList:
        """The list for a service, valid `at`, and issued no earlier than the `newest` seen.

        KitError recipients-expired, recipients-untrusted."""
        try:
            held = self._verified(self._newest())
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
        token = self._newest()
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

    def _newest(self) -> str:
        """The text of the list that was issued last; the file's, where none from the fleet counts."""
        if self._brought is None:
            return self._read(self._path)
        try:
            token = self._read(self._brought)
            came = self._verified(token)
        except (KitError, BadRecipients):  # none has come, or not one of this service
            return self._read(self._path)
        try:
            there = self._verified(self._read(self._path))
        except (KitError, BadRecipients):
            return token
        newer = read_instant(came.issued) > read_instant(there.issued) and came.service_id == there.service_id
        return token if newer else self._read(self._path)

    def _verified(self, token: str) -> RecipientList:
        held = self._read_before.get(token) or read_list(token, self._list_key)
        self._read_before = {**dict(list(self._read_before.items())[-1:]), token: held}
        return held

    def _read(self, path: Path) -> str:
        try:
            name = str(path)  # a path as a key of a dict is compared part by part
            there = path.stat()
            look = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
            read = self._text.get(name)
            if read is None or read[0] != look:
                with path.open("rb") as file:
                    read = self._text[name] = look, file.read(2 * LONGEST).decode("ascii")
            return read[1]
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
