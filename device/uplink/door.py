"""HTTPS to the fleet: one connection, bounded answers, nothing followed, nothing cached."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from device.uplink.problems import LinkDown, code_of

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def read(self, shape: type[T]) -> T:
        """The JSON body. LinkDown bad-answer when it is anything else (a portal's page, a proxy's error)."""
        self.refuse_portal()
        if self.headers.get_content_type() != "application/json":
            raise LinkDown("bad-answer", f"{self.status}, not JSON")
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise LinkDown("bad-answer", f"{self.status}, not the JSON of the protocol") from problem

    def refuse_portal(self) -> None:
        """LinkDown portal when somebody on the way answers in the fleet's place: a page, or "go elsewhere"."""
        if 300 <= self.status < 400 or self.status == 511 or self.headers.get_content_type() == "text/html":
            raise LinkDown("portal", f"{self.status}, {self.headers.get_content_type()}")

    def number(self, header: str) -> int | None:
        """A header that is a plain number of bytes; None when it is missing or is not."""
        text = self.headers.get(header, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


class Door:
    """For one thread; `abort` alone may be called by another. Every failure is LinkDown."""

    def __init__(
        self, base: str, context: Callable[[], ssl.SSLContext], connect_s: float, read_s: float
    ) -> None:
        parts = urlsplit(base)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"not https://host:port: {base[:80]!r}")
        self._host, self._port = parts.hostname, parts.port or 443
        self._context = context
        self._connect_s, self._read_s = connect_s, read_s
        self._connection: http.client.HTTPSConnection | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._aborted = False

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        limit: int,
    ) -> Answer:
        """Ask, and read an answer of at most `limit` bytes."""
        try:
            connection = self._connected()
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read(limit + 1)
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise LinkDown(code_of(problem), type(problem).__name__) from problem
        if len(content) > limit:
            self.close()
            raise LinkDown("bad-answer", f"more than {limit} bytes")
        if answer.will_close:
            self.close()
        return Answer(answer.status, answer.headers, content)

    def post(self, path: str, body: object, *, limit: int) -> Answer:
        return self.call(
            "POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"}, limit=limit
        )

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._socket = None

    def abort(self) -> None:
        """Make a call that is under way, and every later one, fail soon."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                try:
                    # Below TLS on purpose: SSLSocket.shutdown pulls its state from under the other thread.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    return  # it is gone already

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is not None:
            return self._connection
        if self._aborted:
            raise ConnectionAbortedError
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=self._connect_s, context=self._context()
        )
        connection.connect()
        connection.sock.settimeout(self._read_s)
        with self._lock:
            if self._aborted:  # meanwhile
                connection.close()
                raise ConnectionAbortedError
            self._connection, self._socket = connection, connection.sock
        return connection
