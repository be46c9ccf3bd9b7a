"""The line between an emulated card and vpcd (vsmartcard 3.3, src/vpcd): a card is a TCP connection.

    message    2 bytes length, big-endian, then that many bytes
    1 byte     control: 0 power off, 1 power on, 2 reset (no answer); 4 asks for the answer to reset
    longer     a command; the answer is data and status

Connecting is inserting, closing is pulling. An empty answer would block the slot, so none is ever sent.
Without TCP_QUICKACK before every receive each command takes 50 ms: vpcd writes length and body separately.
"""

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device.emulators.eid.applet import Applet
from device.emulators.eid.faults import CardFault
from device.emulators.eid.held import HeldCard, load_card
from device.emulators.eid.pace import Pace

POWER_OFF, POWER_ON, RESET, GET_ATR = 0, 1, 2, 4
TCP_QUICKACK = 12  # linux/tcp.h
LOG_LENGTH = 4096
CONNECT_S = 5.0
ANOTHER_FILE = bytes.fromhex("00A4080C063F00DF014033")  # the address


@dataclass(frozen=True)
class Exchange:
    """One command in the log: header only, since data may be a PIN; `length` is that of the whole command."""

    header: bytes
    length: int
    status: bytes


class Pulled(Exception):
    pass


class InsertedCard:
    """A card in a slot of the reader at 127.0.0.1:`port`, served by a thread of its own until pulled."""

    def __init__(
        self,
        card: HeldCard,
        port: int,
        faults: tuple[CardFault, ...] = (),
        paced: bool = False,
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._card = card
        self._applet = Applet(card)
        self._faults = faults
        self._swapped = False
        self._pace = Pace(card.atr) if paced else None
        self._gone = gone
        self._number = 0
        self._stop = threading.Event()
        self.log: deque[Exchange] = deque(maxlen=LOG_LENGTH)
        self._socket = socket.create_connection(("127.0.0.1", port), CONNECT_S)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, name=f"card-{port}", daemon=True)
        self._thread.start()

    @property
    def inside(self) -> bool:
        return self._thread.is_alive()

    @property
    def commands(self) -> int:
        return self._number

    def pull(self) -> None:
        """Take it out; no matter if it is out already."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def wait(self) -> None:
        """Until it is out."""
        self._thread.join()

    def _serve(self) -> None:
        try:
            with self._socket:
                while True:
                    self._answer(self._message())
        except (Pulled, OSError):
            pass
        self._gone()

    def _answer(self, message: bytes) -> None:
        if len(message) > 1:
            answer = self._exchange(message)
        elif message[0] == GET_ATR:
            answer = self._card.atr
        else:
            if message[0] in (POWER_OFF, POWER_ON, RESET):
                self._applet.reset()
            return
        self._socket.sendall(struct.pack(">H", len(answer)) + answer)

    def _exchange(self, command: bytes) -> bytes:
        self._number += 1
        due = [fault for fault in self._faults if fault.due(self._number)]
        for fault in due:
            self._act(fault)
        answer = self._applet.exchange(command)
        if answer[0] == 0x6C and len(answer) == 2 and any(fault.do == "resolve-6c" for fault in due):
            answer = self._applet.exchange(command[:4] + answer[1:])
        for fault in due:
            answer = fault.spoil(command, answer)
        if self._pace:
            self._sleep(self._pace.seconds(len(command) + len(answer)))
        self.log.append(Exchange(command[:5], len(command), answer[-2:]))
        return answer

    def _act(self, fault: CardFault) -> None:
        if fault.do == "pull":
            raise Pulled
        if fault.do == "mute" and self._number == max(fault.at, 1):
            self._sleep(fault.seconds or float("inf"))
        elif fault.do == "slow":
            self._sleep(fault.seconds)
        elif fault.do == "reset":
            self._applet.reset()
        elif fault.do == "interfere":
            self._applet.exchange(ANOTHER_FILE)
        elif fault.do == "swap" and not self._swapped:
            self._swapped = True
            self._applet = Applet(load_card(Path(fault.card)))

    def _sleep(self, seconds: float) -> None:
        """Do nothing, but notice being pulled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stop.wait(min(left, 3600.0)):
                raise Pulled

    def _message(self) -> bytes:
        (length,) = struct.unpack(">H", self._receive(2))
        return self._receive(length)

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self._socket.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
            more = self._socket.recv(count - len(data))
            if not more:
                raise Pulled
            data += more
        return data
