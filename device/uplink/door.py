"""HTTPS to the fleet: one connection, bounded answers, nothing followed, nothing cached."""

import http.client
import io
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from device.uplink.path import dial
from device.uplink.problems import LinkDown, code_of
from device.uplink.tail import Tail
from device.uplink.wire import Wire

T = TypeVar("T")
NUDGE = "/kit/v1/uploads"  # HEAD of it asks for nothing
_ASKS = 8


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
        """LinkDown portal when somebody on the way answers in the fleet's place: a page, or "go
        elsewhere"."""
        if 300 <= self.status < 400 or self.status == 511 or self.headers.get_content_type() == "text/html":
            raise LinkDown("portal", f"{self.status}, {self.headers.get_content_type()}")

    def number(self, header: str) -> int | None:
        """A header that is a plain number of bytes; None when it is missing or is not."""
        text = self.headers.get(header, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


class Door:
    """For one thread; `abort` alone may be called by another. Every failure is LinkDown, and closes the door.

    Requests may be sent ahead of the answers to earlier ones (HTTP/1.1 pipelining); answers come in their
    order."""

    def __init__(
        self,
        base: str,
        trust: Callable[[], ssl.SSLContext],
        connect_s: float,
        read_s: float,
        dead_s: float = 1.2,
    ) -> None:
        parts = urlsplit(base)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"not https://host:port: {base[:80]!r}")
        self._host, self._port = parts.hostname, parts.port or 443
        self._trust = trust
        self._connect_s, self._read_s, self._dead_s = connect_s, read_s, dead_s
        self._wire: Wire | None = None
        self._reader: io.BufferedReader | None = None
        self._session: tuple[ssl.SSLContext, ssl.SSLSession | None] | None = None
        self._methods: deque[tuple[str, bool]] = deque()  # of the answers to come; whether somebody waits
        self._tail: Tail | None = None
        self._aborted = threading.Event()
        self._is_used = False  # this connection, for more than questions

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Ask without waiting; `receive` brings the answer."""
        with self._failing():
            self._connected().put(self._head(method, path, body, headers) + body)
        self._is_used = self._is_used or bool(body)
        self._methods.append((method, True))
        self._tail = None

    def receive(self, limit: int, *, is_last: bool = False) -> Answer:
        """The next answer, of at most `limit` bytes. `is_last`: nothing is sent after what it answers, so
        nudges follow it until it is here (`tail`)."""
        with self._failing():
            if self._wire is None or self._reader is None:
                raise ConnectionResetError
            if is_last and self._tail is None:
                self._tail = Tail(self._nudge)
            self._wire.tail = self._tail
            said, content = self._next(self._reader, limit)
        if len(content) > limit:
            self.close()
            raise LinkDown("bad-answer", f"more than {limit} bytes")
        if said.will_close:
            self.close()
        return Answer(said.status, said.headers, content)

    @property
    def is_ready(self) -> bool:
        """There is a connection, and nothing is awaited of it."""
        return self._wire is not None and not self._methods

    def keep_ready(self) -> None:
        """Have a connection that works, for what will be sent soon. LinkDown.

        One that a packet went over is made anew: what BBR holds of it is as large as that packet made it. A
        new one is asked a few times at once: Linux lets an idle connection begin with one packet more for
        each of its first ten that arrived."""
        if self._is_used:
            self.close()
        asks = 1 if self.is_open else _ASKS
        for _ in range(asks):
            self.send("HEAD", NUDGE, b"", {})
        for _ in range(asks):
            self.receive(0)
        if self._wire is not None:
            self._wire.rest(True)

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
        self.send(method, path, body, headers or {})
        return self.receive(limit)

    def post(self, path: str, body: object, *, limit: int) -> Answer:
        return self.call(
            "POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"}, limit=limit
        )

    def close(self, *, is_broken: bool = False) -> None:
        wire, self._wire, self._reader = self._wire, None, None
        self._methods.clear()
        self._is_used = False
        if wire is not None:
            if self._session is not None:
                self._session = self._session[0], wire.tls.session
            if is_broken:
                wire.drop()
            else:
                wire.close()

    def abort(self) -> None:
        """Make a call that is under way, and every later one, fail soon."""
        self._aborted.set()

    def _next(self, reader: io.BufferedReader, limit: int) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer that somebody waits for; those to nudges before it are dropped."""
        while True:
            method, is_awaited = self._methods.popleft()
            said = http.client.HTTPResponse(cast(Any, _Read(reader)), method=method)
            said.begin()
            content = said.read(limit + 1)
            if is_awaited:
                return said, content

    def _head(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _nudge(self) -> bytes:
        self._methods.append(("HEAD", False))
        return self._head("HEAD", NUDGE, b"", {})

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as problem:
            self.close(is_broken=True)
            raise LinkDown(code_of(problem), type(problem).__name__) from problem

    def _connected(self) -> Wire:
        if self._wire is not None:
            self._wire.rest(False)
            return self._wire
        if self._aborted.is_set():
            raise ConnectionAbortedError
        context = self._trust()
        session = self._session[1] if self._session is not None and self._session[0] is context else None
        self._session = context, None  # a ticket is used once (RFC 8446, C.4)
        is_over = self._aborted.is_set
        tcp = dial(self._host, self._port, self._connect_s, is_over)
        self._wire = Wire.open(
            tcp,
            context,
            self._host,
            session,
            self._connect_s,
            self._read_s,
            self._dead_s,
            is_over,
        )
        self._reader = io.BufferedReader(self._wire)
        return self._wire


class _Read:
    """What HTTPResponse wants of a socket. One reader for all answers of a connection: each may read
    ahead."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> "_Shared":
        assert mode == "rb"
        return _Shared(self._reader)


class _Shared(io.BufferedIOBase):
    """A reader that is not closed with the answer that was read from it."""

    def __init__(self, reader: io.BufferedReader) -> None:
        super().__init__()
        self._reader = reader

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return self._reader.read(size)

    def read1(self, size: int = -1) -> bytes:
        return self._reader.read1(size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._reader.readline(size if size is not None else -1)

    def readinto(self, buffer: Any) -> int:
        return self._reader.readinto(buffer)

    def peek(self, size: int = 0) -> bytes:
        return self._reader.peek(size)
