"""mosquitto behind a front that refuses every CONNECT but that of MQTT 3.1.1, as a broker of that age does.

What is behind it is a real broker's 3.1.1: the front only looks at the first packet. It ends the kit's TLS,
and holds its own, with the kit's certificate, to the broker, which so knows who it is.
"""

import selectors
import socket
import ssl
import threading
from pathlib import Path

from tests.mosquitto import free_port
from tests.pki import Files

OLD = 4  # protocol level of MQTT 3.1.1; 5 is 5
REFUSED = b"\x20\x02\x00\x01"  # CONNACK 1, unacceptable protocol version (MQTT 3.1.1, 3.2.2.3)


class OldBroker:
    """`levels`: of each CONNECT that came, in order. `takes`: those that are let through. `said`: what the
    broker answered in each session that was."""

    def __init__(self, behind: int, roots: Path, own: Files, kit: Files, *, hangs_up: bool = False) -> None:
        self.port, self.levels, self.takes = free_port(), [], {OLD}  # type: ignore[var-annotated]
        self.said: list[bytearray] = []
        self._behind, self._hangs_up = behind, hangs_up
        self._inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(roots))
        self._inside.load_cert_chain(own.certificate, own.key)
        self._inside.verify_mode = ssl.CERT_REQUIRED
        self._outside = ssl.create_default_context(cafile=str(roots))
        self._outside.check_hostname = False
        self._outside.load_cert_chain(kit.certificate, kit.key)
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        try:
            with plain, self._inside.wrap_socket(plain, server_side=True) as kit:
                first = kit.recv(4096)
                level = first[first.index(b"MQTT") + 4]
                self.levels.append(level)
                if level not in self.takes:
                    if not self._hangs_up:
                        kit.sendall(REFUSED)
                    return
                with (
                    socket.create_connection(("127.0.0.1", self._behind), 10) as tcp,
                    self._outside.wrap_socket(tcp) as broker,
                ):
                    self.said.append(bytearray())
                    broker.sendall(first)
                    self._pass_on(kit, broker)
        except (OSError, ValueError):
            return  # somebody was cut off

    def _pass_on(self, kit: ssl.SSLSocket, broker: ssl.SSLSocket) -> None:
        other = {kit: broker, broker: kit}
        with selectors.DefaultSelector() as ready:
            for each in other:
                ready.register(each, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in ready.select(0.2):
                    source = key.fileobj
                    assert isinstance(source, ssl.SSLSocket)
                    while data := source.recv(16_384):
                        if source is broker:
                            self.said[-1] += data
                        other[source].sendall(data)
                        if not source.pending():
                            break
                    else:
                        return
