"""A TLS connection read in large pieces.

OpenSSL on a socket asks the kernel twice a record, and mosquitto sends a record a message. Here one `recv`
fetches what has arrived, and OpenSSL takes it apart in memory: at ten thousand messages a second that is the
larger part of what receiving costs.
"""

import socket
import ssl

PIECE = 256 * 1024
_RECORD = 32 * 1024


class Stream:
    """Connects when made. OSError (TLS errors and time-outs too) from then on means that it has ended."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, patience_s: float) -> None:
        self._socket = socket.create_connection((host, port), patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        try:
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes:
        """What has arrived, b"" for nothing yet; waits only when nothing has. ConnectionError at the end."""
        self._fetch()
        pieces = []
        while True:
            try:
                piece = self._tls.read(_RECORD)
            except ssl.SSLWantReadError:
                break
            if not piece:
                raise ConnectionError("closed by the broker")
            pieces.append(piece)
        self._flush()
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """All of it, or an OSError."""
        self._tls.write(data)
        self._flush()

    def close(self) -> None:
        self._socket.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fetch()
            else:
                self._flush()
                return

    def _fetch(self) -> None:
        data = self._socket.recv(PIECE)
        if not data:
            raise ConnectionError("closed by the broker")
        self._in.write(data)

    def _flush(self) -> None:
        if self._out.pending:
            self._socket.sendall(self._out.read())
