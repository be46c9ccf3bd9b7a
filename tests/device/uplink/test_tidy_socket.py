"""What is left of a connection that ended before TLS began: nothing."""

import gc
import socket
import struct
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.uplink.tls import context
from tests.pki import Pki

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


def test_a_connection_reset_before_tls_is_told_as_such_and_closed(tmp_path: Path):
    pki = Pki(tmp_path)
    mine = pki.issue("kit-tls", "kit-test-01")
    made = context(pki.clients, mine.certificate, mine.key, datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("error")
        tcp = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        accepted.close()
        with pytest.raises(ConnectionResetError):
            made.wrap_socket(tcp, server_hostname="fleet.test", do_handshake_on_connect=False)
        assert tcp.fileno() == -1
        gc.collect()
