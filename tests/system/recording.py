"""Somebody in the middle of the kit's HTTPS who has the keys of both ends, and writes down what is said.

To the kit it is the fleet (with the fleet's own certificate), to the fleet it is the kit (with the kit's).
"""

import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from provisioning.demo.running import Demo

PATIENCE_S = 60.0


class Recorder:
    """`heard` is every byte that was said inside TLS, a list entry for each read."""

    def __init__(self, demo: Demo) -> None:
        certs, kit = demo.world.layout.fleet / "certs", demo.world.layout.kit / "certs"
        self._to_kit = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._to_kit.load_cert_chain(certs / "server.pem", certs / "server.key")
        self._to_fleet = ssl.create_default_context(cafile=str(certs / "authorities.pem"))
        self._to_fleet.load_cert_chain(kit / "kit-tls.pem", kit / "kit-tls.key")
        self._fleet = ("127.0.0.1", demo.world.ports["kits"])
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self.heard: list[bytes] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """The programs that speak through it have been stopped."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._door.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._between, args=(raw,), daemon=True))
            self._threads[-1].start()

    def _between(self, raw: socket.socket) -> None:
        """One thread for both ways, for as long as both speak: OpenSSL forbids two in one connection, and
        one that reads a session ticket while the other writes the first request may hang.
        """
        with (
            suppress(OSError),
            closing(raw),
            self._to_kit.wrap_socket(raw, server_side=True) as kit,
            socket.create_connection(self._fleet, PATIENCE_S) as plain,
            self._to_fleet.wrap_socket(plain, server_hostname="127.0.0.1") as fleet,
        ):
            other = {kit: fleet, fleet: kit}
            while True:
                # What TLS holds already decrypted does not make a socket readable.
                held = [end for end in other if end.pending()]
                for here in held or select.select(list(other), [], [])[0]:
                    if (said := _hear(here)) is None:
                        continue
                    if not said:
                        return
                    self.heard.append(said)
                    other[here].settimeout(PATIENCE_S)
                    other[here].sendall(said)


def _hear(end: ssl.SSLSocket) -> bytes | None:
    """What it says: nothing at its end, None when it said something to TLS alone."""
    end.setblocking(False)
    try:
        return end.recv(65_536)
    except ssl.SSLWantReadError:
        return None


@contextmanager
def recording(demo: Demo) -> Iterator[Recorder]:
    """From here on the kit's uplink speaks through a recorder; all is there when the block is left."""
    recorder = Recorder(demo)
    config = demo.world.layout.kit_toml
    before = config.read_text()
    address = re.compile(rf'"https://127\.0\.0\.1:{demo.world.ports["kits"]}/?"')
    assert len(address.findall(before)) == 1
    demo.programs.stop("uplink")
    config.write_text(address.sub(f'"https://127.0.0.1:{recorder.port}"', before))
    demo.programs.again("uplink")
    try:
        yield recorder
    finally:
        demo.programs.stop("uplink")
        config.write_text(before)
        demo.programs.again("uplink")
        recorder.close()
