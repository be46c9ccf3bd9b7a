"""A unix socket by which a test or the demo changes an emulator while it runs: one JSON object a line each
way.
"""

import json
import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_LINE = 1 << 16

Handler = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Does what one request asks, and may answer facts; ValueError when it cannot, whose text is answered."""


class Control:
    """Serves requests while the emulator waits: `serve` is where every emulator spends its idle time."""

    def __init__(self, path: Path | None, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._selector = selectors.DefaultSelector()
        self._lines: dict[socket.socket, bytearray] = {}
        self._listener: socket.socket | None = None
        if path is not None:
            path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen(4)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self, seconds: float, also: int | None = None) -> None:
        """Wait at most `seconds`, doing what is asked meanwhile; less when descriptor `also` becomes
        readable.
        """
        if also is not None:
            self._selector.register(also, selectors.EVENT_READ)
        try:
            ready = self._selector.select(max(0.0, seconds))
        finally:
            if also is not None:
                self._selector.unregister(also)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket):
                self._read(key.fileobj)

    def close(self) -> None:
        for peer in list(self._lines):
            self._drop(peer)
        if self._listener is not None:
            self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._selector.close()

    def _accept(self) -> None:
        assert self._listener is not None
        peer, _ = self._listener.accept()
        self._lines[peer] = bytearray()
        self._selector.register(peer, selectors.EVENT_READ)

    def _drop(self, peer: socket.socket) -> None:
        self._selector.unregister(peer)
        del self._lines[peer]
        peer.close()

    def _read(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(4096)
        except ConnectionError:
            data = b""
        line = self._lines[peer]
        line += data
        if not data or len(line) > LONGEST_LINE:
            self._drop(peer)
            return
        while (end := line.find(b"\n")) >= 0:
            request, self._lines[peer] = bytes(line[:end]), line[end + 1 :]
            line = self._lines[peer]
            try:
                peer.sendall(json.dumps(self._answer(request)).encode() + b"\n")
            except ConnectionError:
                self._drop(peer)
                return

    def _answer(self, request: bytes) -> dict[str, Any]:
        try:
            wish = json.loads(request)
            if not isinstance(wish, dict):
                raise ValueError("a request is an object")
            facts = self._handler(wish)
        except (ValueError, KeyError, TypeError) as error:  # JSON and Unicode errors are ValueErrors
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return {"ok": True, **(facts or {})}


def ask(path: Path, **wish: Any) -> dict[str, Any]:
    """Send one request to an emulator (for tests and the demo); its facts. ValueError when refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(os.fspath(path))
        peer.sendall(json.dumps(wish).encode() + b"\n")
        answer: dict[str, Any] = json.loads(peer.makefile("rb").readline(LONGEST_LINE))
    if not answer["ok"]:
        raise ValueError(answer["error"])
    return answer
