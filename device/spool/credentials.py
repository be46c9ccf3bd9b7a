"""The certificate a process of the kit shows, with its key: the one in use, and the one on trial.

A folder of its own (`credentials/1`, `credentials/2`, ...) for each renewal, and a file `current` with the
number of the one in use: replacing that file is what changes over, so whenever the power goes, either the old
one or the new one is whole and in use. Before the first renewal, and again when a person has put newer files
there, it is what the kit came with.

key.pem           0600; missing where the key lies elsewhere (in a TPM, laid out in memory)
certificate.pem   the leaf, then its issuing CA: there once it was granted
authorities.pem   the roots to trust with it
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.spool import safefile
from device.spool.layout import read_number

_FOLDER, _PUBLIC, _SECRET = 0o2750, 0o640, 0o600


@dataclass(frozen=True)
class Papers:
    """Files in PEM: the certificate with its issuing CA, its key, and the roots to trust."""

    certificate: Path
    key: Path
    authorities: Path

    def chain(self) -> list[x509.Certificate]:
        """Leaf first. OSError, ValueError."""
        return x509.load_pem_x509_certificates(self.certificate.read_bytes())

    def secret(self) -> ec.EllipticCurvePrivateKey:
        """OSError, ValueError when it is no such key."""
        return read_key(self.key)


class Credentials:
    """Those in `root`, beside what the kit came with (`given`). `spare`: a key that was laid out for the next
    renewal, where keys are not made here. One process writes; any may read what is in use."""

    def __init__(self, root: Path, given: Papers, writer: str, spare: Path | None = None) -> None:
        self._root, self._given, self._writer, self._spare = root, given, writer, spare

    def present(self) -> Papers:
        """What is in use."""
        number = self._current()
        renewed = self._papers(number)
        if not number or not renewed.certificate.exists() or _born(self._given) > _born(renewed):
            return self._given
        return renewed

    def begin(self, *, fresh: bool) -> ec.EllipticCurvePrivateKey:
        """The key to ask a certificate for, on disk before it is asked for, and the same after a power cut:
        a fresh one, or else the spare one, or else the one in use."""
        folder = self._slot(self._current() + 1)
        if fresh and not (folder / "key.pem").exists():
            self._make(folder)
            key = ec.generate_private_key(ec.SECP256R1())
            data = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            safefile.put(folder / "key.pem", data, writer=self._writer, mode=_SECRET)
        return read_key(self._key_for_trial(folder))

    def grant(self, chain: bytes, authorities: bytes) -> Papers:
        """Keep what was granted for that key; it is on trial from now on."""
        folder = self._slot(self._current() + 1)
        self._make(folder)
        safefile.put(folder / "authorities.pem", authorities, writer=self._writer, mode=_PUBLIC)
        safefile.put(folder / "certificate.pem", chain, writer=self._writer, mode=_PUBLIC)
        return self._papers(self._current() + 1)

    def on_trial(self) -> Papers | None:
        """What was granted and has not proven itself yet."""
        papers = self._papers(self._current() + 1)
        return papers if papers.certificate.exists() else None

    def promote(self) -> None:
        """What is on trial is in use from now on."""
        number = str(self._current() + 1).encode()
        safefile.put(self._root / "current", number, writer=self._writer, mode=_PUBLIC)

    def drop_trial(self) -> None:
        """It will not do, or nobody needs it: its key too is forgotten."""
        shutil.rmtree(self._slot(self._current() + 1), ignore_errors=True)

    def is_told(self) -> bool:
        """Whether the fleet knows which one is in use."""
        return read_number(self._root / "told") >= self._current()

    def note_told(self) -> None:
        """The fleet knows; what came before has no use any more, and goes."""
        current = self._current()
        safefile.put(self._root / "told", str(current).encode(), writer=self._writer, mode=_PUBLIC)
        for number in range(max(1, current - 8), current):
            shutil.rmtree(self._slot(number), ignore_errors=True)

    def _current(self) -> int:
        return read_number(self._root / "current")

    def _slot(self, number: int) -> Path:
        return self._root / str(number)

    def _make(self, folder: Path) -> None:
        for each in (self._root, folder):
            safefile.make_folder(each, _FOLDER)

    def _papers(self, number: int) -> Papers:
        folder = self._slot(number)
        certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        if not key.exists():
            key = _fitting(certificate, self._elsewhere())
        return Papers(certificate, key, folder / "authorities.pem")

    def _key_for_trial(self, folder: Path) -> Path:
        own, present = folder / "key.pem", self.present()
        if own.exists():
            return own
        spare = self._spare
        if spare is not None and spare.exists() and _public(spare) != _public(present.key):
            return spare
        return present.key

    def _elsewhere(self) -> Sequence[Path]:
        return [self._given.key, *([self._spare] if self._spare is not None else [])]


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """OSError, ValueError when it is no key of ours."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name}: not an elliptic curve key")
    return key


def _public(key: Path) -> object:
    return read_key(key).public_key()


def _fitting(certificate: Path, keys: Sequence[Path]) -> Path:
    """The one of `keys` that the certificate is for; the first where that cannot be told."""
    with suppress(OSError, ValueError):
        wanted = x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_key()
        for key in keys:
            with suppress(OSError, ValueError):
                if _public(key) == wanted:
                    return key
    return keys[0]


def _born(papers: Papers) -> float:
    """When its certificate began; long ago when it cannot be read."""
    try:
        return papers.chain()[0].not_valid_before_utc.timestamp()
    except (OSError, ValueError, IndexError):
        return 0.0
