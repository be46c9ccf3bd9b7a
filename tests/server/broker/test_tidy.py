"""What is left of a connection to the broker that ended before its welcome: nothing open."""

import gc
import socket
import struct
import threading
import warnings
from pathlib import Path

import pytest

from protocol import access
from server.broker.link import Identity, Link, Place
from server.broker.problem import BrokerProblem
from tests.pki import Pki

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


@pytest.mark.parametrize("hears_us_first", [True, False])
def test_a_handshake_that_the_broker_ends_is_refused_and_leaves_no_socket_open(
    tmp_path: Path, hears_us_first: bool
) -> None:
    def hang_up(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted:
            if hears_us_first:
                accepted.recv(1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    pki = Pki(tmp_path)
    admin = pki.issue("ingest", access.ADMIN)
    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("error")
        broker = threading.Thread(target=hang_up, args=(listener,))
        broker.start()
        link = Link(
            Place("127.0.0.1", listener.getsockname()[1], pki.roots),
            Identity(access.ADMIN, admin.certificate, admin.key),
        )
        with pytest.raises(BrokerProblem) as problem:
            link.open()
        broker.join()
        assert problem.value.code == "refused"
        del problem, link
        gc.collect()  # an open socket would be told here, which is an error
