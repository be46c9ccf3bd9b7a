"""Who we speak to, and as whom: TLS 1.3, our own roots and no others, the kit's certificate."""

import ssl
from pathlib import Path


class TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho lets go of such a socket without closing it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """A fresh context; made anew for every connection, so that a renewed certificate is taken up by itself.

    The system's authorities are not consulted: only the roots in `ca` count, and the host's name is checked.
    OSError (ssl.SSLError among them) when a file is missing or does not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = TidySocket
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cafile=ca)
    made.load_cert_chain(certificate, key)
    return made
