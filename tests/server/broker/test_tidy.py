"""What is left of a connection to the broker that ended before its welcome: nothing open."""

import gc
import socket
import struct
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from protocol import access
from server.broker.link import Identity, Link, Place
from server.broker.problem import BrokerProblem
from tests.pki import Pki
from tests.server.broker.conftest import Managed

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


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found += str(each.readlink()).startswith("socket:")
    return found


@pytest.mark.parametrize("end", [Link.close, Link.cut])
def test_a_connection_that_is_over_leaves_no_socket_to_the_collector(
    managed: Managed, end: Callable[[Link], None]
) -> None:
    managed.manager.agree()
    settings = managed.town.config.broker
    assert settings is not None
    gc.collect()
    gc.disable()
    try:
        before = sockets()
        link = Link(managed.manager.place, Identity(access.ADMIN, settings.certificate, settings.key)).open()
        assert sockets() > before
        end(link)
        del link
        assert sockets() == before
    finally:
        gc.enable()
