"""A TLS socket that leaves nothing open behind a handshake that failed."""

import errno
import ssl
from typing import Any


class TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, or when nobody is there to shake hands with: paho lets go of
    the first without closing it, the library itself of the second. Else a broker that is restarted, or
    that refuses a certificate, costs a descriptor until somebody collects it."""

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
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise  # not blocking: it goes on in a moment
        except OSError:
            self.close()
            raise
