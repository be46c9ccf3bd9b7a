"""Somebody on the wires between processor and TPM hears nothing of use, and is noticed when changing it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from device.drivers.keys.tpm.chip import Chip
from device.drivers.keys.tpm.source import TpmKeySource
from device.errors import Code, KitError

PROOF = bytes(range(1, 33))
UNSEAL, SIGN, POLICY_SECRET = 0x15E, 0x15D, 0x151


class Tap:
    """Passes commands and responses on, keeps them, and changes a bit of the response to `spoil`."""

    def __init__(self, ours: Path, tpm: Path) -> None:
        self.heard = b""
        self.spoil: tuple[int, int] | None = None  # command, byte from the end of its response
        self._tpm = tpm
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(ours))
        self._door.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._door.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                end, _ = self._door.accept()
                with end, socket.socket(socket.AF_UNIX) as tpm:
                    tpm.connect(str(self._tpm))
                    self._pass_on(end, tpm)

    def _pass_on(self, end: socket.socket, tpm: socket.socket) -> None:
        while command := end.recv(4096):
            tpm.sendall(command)
            answer = bytearray(tpm.recv(4096))
            self.heard += command + answer
            if self.spoil is not None and int.from_bytes(command[6:10]) == self.spoil[0]:
                answer[-self.spoil[1]] ^= 1
            end.sendall(answer)


@pytest.fixture
def tap(tpm, tmp_path) -> Iterator[Tap]:
    made = Tap(tmp_path / "tap.sock", tpm.socket)
    yield made
    made.close()


@pytest.fixture
def tapped(source, tap, tmp_path) -> TpmKeySource:
    return TpmKeySource(Chip(tmp_path / "tap.sock"), tmp_path / "tpm.keys")


def test_neither_proof_nor_secrets_are_heard_on_the_wire(tapped, tap):
    enclosed = tapped.enclose(PROOF)
    assert tapped.release(enclosed.ticket, PROOF) == enclosed.secret
    secret = tapped.device_secret()
    assert len(tap.heard) > 2000
    for what in (PROOF, enclosed.secret, secret):
        assert what[:8] not in tap.heard


@pytest.mark.parametrize("place", [1, 40, 70, 90])
@pytest.mark.parametrize("command", [UNSEAL, POLICY_SECRET])
def test_a_changed_answer_is_noticed(tapped, tap, command, place):
    ticket = tapped.enclose(PROOF).ticket
    tap.spoil = (command, place)
    with pytest.raises(KitError) as failure:
        tapped.release(ticket, PROOF)
    assert failure.value.code == Code.KEY_SOURCE_GONE


def test_a_changed_signature_is_noticed(tapped, tap):
    tap.spoil = (SIGN, 80)
    with pytest.raises(KitError) as failure:
        tapped.sign(bytes(32))
    assert failure.value.code == Code.KEY_SOURCE_GONE
