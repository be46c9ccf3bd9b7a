"""A competent service that answers what the test says, over real HTTPS; it keeps what it was sent."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.server.town import Town


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    key: str
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Stand:
    """`replies` are given in turn; the last one stays. `drop`: close without an answer."""

    replies: list[Reply | Callable[[Asked], Reply] | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def stand(town: Town) -> Iterator[Stand]:
    made = Stand()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, self.headers.get("Idempotency-Key", ""), body)
            made.asked.append(asked)
            reply = made.replies.pop(0) if len(made.replies) > 1 else made.replies[0]
            if reply is None:
                self.close_connection = True
                return
            answer = reply(asked) if callable(reply) else reply
            self.send_response(answer.status)
            for name, value in (*answer.headers, ("Content-Length", str(len(answer.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    pki = town.ground.pki
    server = ThreadingHTTPServer(("127.0.0.1", town.ports["service"]), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.folder / "service-service.test.pem", pki.folder / "service-service.test.key")
    context.load_verify_locations(pki.clients)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
