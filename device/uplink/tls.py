"""Who we speak to, and as whom: TLS 1.3, our own roots and no others, the kit's certificate.

A kit's clock may stand at 1970 (its battery is dead) or years ahead. OpenSSL would then take the fleet's
certificate for one of another time, and a kit could never send again. So we look at the time ourselves: by
the kit's clock as long as it can be right, else by the newest instant that the fleet itself has told this
kit (or the birth of the kit's own certificate), which is a floor that never goes back
(docs/decisions/0111-a-clock-that-cannot-be-right.md).
"""

import errno
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from device.spool.credentials import Papers
from device.spool.timesource import is_plausible

NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME; the ssl module has no name for it
NOT_YET, EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class KitContext(ssl.SSLContext):
    """`newest`: not older than this is the present."""

    newest: datetime


class TidySocket(ssl.SSLSocket):
    """Looks at the time of the peer's certificate, and closes itself when the handshake fails, or when
    nobody is there to shake hands with: paho lets go of the first without closing it, the library itself of
    the second."""

    def getpeername(self) -> Any:
        """ConnectionResetError when the connection ended before TLS began: what `wrap_socket` asks first."""
        try:
            return super().getpeername()
        except OSError as gone:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended before TLS began") from gone

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
            check_time(self.getpeercert() or {}, datetime.now(UTC), self.context)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise  # not blocking: it goes on in a moment
        except OSError:
            self.close()
            raise


class Trust:
    """The context of one thread, kept for as long as its files stay the same: TLS takes sessions up again
    only within one context, and a renewed certificate must count from the next connection on."""

    def __init__(self, present: Callable[[], Papers], newest: Callable[[], datetime]) -> None:
        self._present, self._newest = present, newest
        self._made: tuple[tuple[int, ...], KitContext] | None = None

    def context(self) -> KitContext:
        """OSError as of `context`."""
        papers = self._present()
        files = (papers.authorities, papers.certificate, papers.key)
        stamp = tuple(each for path in files for each in (path.stat().st_mtime_ns, path.stat().st_ino))
        if self._made is None or self._made[0] != stamp:
            self._made = stamp, context(*files, self._newest())
        made = self._made[1]
        made.newest = max(made.newest, self._newest())
        return made


def context(ca: Path, certificate: Path, key: Path, newest: datetime) -> KitContext:
    """A fresh context; made anew for every connection, so that a renewed certificate is taken up by itself.
    `newest` is the newest instant that the fleet has told.

    The system's authorities are not consulted: only the roots in `ca` count, and the host's name is checked.
    OSError (ssl.SSLError among them) when a file is missing or does not fit."""
    made = KitContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = TidySocket
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_flags |= NO_CHECK_TIME
    made.newest = max(newest, born(certificate))
    with _about(ca):
        made.load_verify_locations(cafile=ca)
    with _about(certificate, key):
        made.load_cert_chain(certificate, key)
    return made


def born(certificate: Path) -> datetime:
    """When the kit's own certificate began: the present is not older. OSError when there is none in the
    file."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_before_utc
    except ValueError as problem:
        raise ssl.SSLError(f"{certificate.name}: not a certificate in PEM") from problem


@contextmanager
def _about(*files: Path) -> Iterator[None]:
    """The same problem with the names of the files: OpenSSL does not say them."""
    names = ", ".join(map(str, files))
    try:
        yield
    except ssl.SSLError as problem:
        raise ssl.SSLError(f"{names}: {problem}") from problem
    except OSError as problem:
        raise type(problem)(problem.errno, problem.strerror, names) from problem


def check_time(peer: Mapping[str, object], now: datetime, context: ssl.SSLContext) -> None:
    """ssl.SSLCertVerificationError when the peer's certificate is of another time. `now`: the kit's clock."""
    assert isinstance(context, KitContext)
    begins, ends = (_seconds(peer.get(name)) for name in ("notBefore", "notAfter"))
    if is_plausible(now, context.newest):
        if now.timestamp() < begins:
            raise _of_another_time(NOT_YET, "certificate is not yet valid")
        if now.timestamp() > ends:
            raise _of_another_time(EXPIRED, "certificate has expired")
    elif context.newest.timestamp() > ends:
        raise _of_another_time(EXPIRED, "certificate had expired when the fleet was last heard")


def _seconds(said: object) -> int:
    return ssl.cert_time_to_seconds(said) if isinstance(said, str) else 0


def _of_another_time(code: int, words: str) -> ssl.SSLCertVerificationError:
    problem = ssl.SSLCertVerificationError(1, words)
    problem.verify_code, problem.verify_message = code, words
    return problem
