"""`emulate finger`: a Suprema SFM6020-OP (272x320, 500 ppi) on a pseudo-terminal.

Written from the UF Protocol Manual and the published SDK headers, not from our codec. Files given with
--image are laid on the window one after the other, each a moment after a scan is asked for, and again from
the first. Control requests: {"do":"finger","image":PATH} lays that finger down until {"do":"no-finger"} or
{"do":"turns"} (back to the files in turn); {"do":"answer","flag":0x63} answers the next scan with that code;
{"do":"unplug"}, {"do":"unplug","seconds":2}, {"do":"plug"}; {"do":"silence"}, {"do":"speak"};
{"do":"fault","script":[...]}.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from device.emulators.control import Control
from device.emulators.faults import Fault, Faults, load, parse
from device.emulators.running import parser, ready, serial_options, settle
from device.emulators.wire import Unplugged, Wire

WIDTH, HEIGHT = 272, 320
BITS = 10  # 8N1

SUCCESS, SCAN_SUCCESS, SCAN_FAIL = 0x61, 0x62, 0x63
NOT_FOUND, TIME_OUT, UNSUPPORTED, BUSY, CANCELED = 0x69, 0x6C, 0x75, 0x80, 0x81

FACTORY = {
    0x62: 0x3A,  # time-out 10 s
    0x68: 0x33,  # sensor type OP
    0x6C: 0x31,  # image format: binary
    0x6E: int.from_bytes(b"EMU1", "little"),  # firmware
    0x6F: 26_0001,  # serial number
    0x71: 0x35,  # 115200
    0x75: 0x31,  # send SCAN_SUCCESS
    0x81: 0x31,  # image quality: moderate
}
READ_ONLY = {0x68, 0x6E, 0x6F}


class Finger:
    """The module: its parameters, what lies on the window, and the image scanned last."""

    def __init__(self, wire: Wire, faults: Faults, images: list[Path], delay_s: float) -> None:
        self._wire = wire
        self._faults = faults
        self._turns = [picture(path) for path in images]
        self._turn = 0
        self._delay_s = delay_s
        self._laid: bytes | None = None  # by the control socket
        self._away = False
        self._next_answer = 0
        self._parameters = dict(FACTORY)
        self._last: bytes | None = None
        self._pending = b""

    def control(self, wish: dict[str, Any]) -> None:
        do = wish.get("do")
        if do == "finger":
            self._laid, self._away = picture(Path(str(wish.get("image")))), False
        elif do == "no-finger":
            self._laid, self._away = None, True
        elif do == "turns":
            self._laid, self._away = None, False
        elif do == "answer":
            self._next_answer = int(wish["flag"])
        elif do == "unplug":
            self._wire.unplug(float(wish.get("seconds", 0)))
        elif do == "plug":
            self._power_on()
        elif do == "silence":
            self._faults.arm((Fault(0, "silence"),))
        elif do == "speak":
            self._faults.arm(())
            self._wire.speak()
        elif do == "fault":
            self._faults.arm(parse(wish.get("script")))
        else:
            raise ValueError(f"unknown request {do!r}")

    def _power_on(self) -> None:
        if not self._wire.plugged:
            self._parameters = dict(FACTORY)  # nothing was saved to flash
            self._pending = b""
            self._last = None
            self._wire.plug()

    def run(self) -> None:
        while True:
            request = self._request(1.0)
            if request is None:
                continue
            try:
                self._obey(*request)
            except Unplugged:
                self._pending = b""

    def _request(self, seconds: float) -> tuple[int, int, int, int] | None:
        """(command, param, size, flag) of the next good request packet."""
        self._pending += self._wire.receive(seconds)
        while len(self._pending) >= 13:
            packet = self._pending[:13]
            if packet[0] == 0x40 and packet[12] == 0x0A and sum(packet[:11]) % 256 == packet[11]:
                self._pending = self._pending[13:]
                return (
                    packet[1],
                    int.from_bytes(packet[2:6], "little"),
                    int.from_bytes(packet[6:10], "little"),
                    packet[10],
                )
            self._pending = self._pending[1:]
        return None

    def _reply(self, command: int, flag: int, param: int = 0, size: int = 0, data: bytes = b"") -> None:
        head = (
            bytes([0x40, command]) + param.to_bytes(4, "little") + size.to_bytes(4, "little") + bytes([flag])
        )
        self._wire.send(head + bytes([sum(head) % 256, 0x0A]))
        if data:
            self._wire.send(data + b"\x0a")

    def _obey(self, command: int, param: int, size: int, flag: int) -> None:
        if command == 0x01:  # SW: value in size, parameter in flag
            known = flag in self._parameters and flag not in READ_ONLY
            if known and not (flag == 0x6C and size == 0x33):  # this module has no WSQ
                self._parameters[flag] = size
                self._reply(command, SUCCESS, 0, size)
            else:
                self._reply(command, UNSUPPORTED if known else NOT_FOUND)
        elif command == 0x03:  # SR
            if flag in self._parameters:
                self._reply(command, SUCCESS, 0, self._parameters[flag])
            else:
                self._reply(command, NOT_FOUND)
        elif command == 0x15:  # SI
            self._scan()
        elif command == 0x20:  # RI
            if self._last is None:
                self._reply(command, NOT_FOUND)
            else:
                block = self._block(self._last)
                self._reply(command, SUCCESS, 0, len(block), block)
        elif command in (0x02, 0x04, 0x60, 0xD0):  # SF, SS, CA with nothing to cancel, RS
            self._reply(command, SUCCESS)
        else:
            self._reply(command, UNSUPPORTED)

    def _scan(self) -> None:
        if self._next_answer:
            answer, self._next_answer = self._next_answer, 0
            self._reply(0x15, answer)
            return
        began = time.monotonic()
        patience = self._parameters[0x62] - 0x30 or 10**6
        while (pixels := self._on_window(began)) is None:
            if time.monotonic() - began > patience:
                self._reply(0x15, TIME_OUT)
                return
            request = self._request(0.03)
            if not self._wire.plugged:
                return
            if request is not None and request[0] == 0x60:
                self._reply(0x15, CANCELED)
                self._reply(0x60, SUCCESS)
                return
            if request is not None:
                self._reply(request[0], BUSY)
        self._last = pixels
        if self._parameters[0x75] == 0x31:
            self._reply(0x15, SCAN_SUCCESS)
        block = self._block(pixels)
        self._reply(0x15, SUCCESS, 0, len(block), block)

    def _on_window(self, began: float) -> bytes | None:
        if self._laid is not None:
            return self._laid
        if self._away or not self._turns or time.monotonic() - began < self._delay_s:
            return None
        pixels = self._turns[self._turn % len(self._turns)]
        self._turn += 1
        return pixels

    def _block(self, pixels: bytes) -> bytes:
        """UFImage: seven u32, then the pixels in the chosen format."""
        form = self._parameters[0x6C] - 0x30
        grey = np.frombuffer(pixels, np.uint8)
        if form == 1:
            body = np.packbits(grey > 127, bitorder="little").tobytes()
        elif form == 2:
            body = ((grey[0::2] >> 4) | (grey[1::2] & 0xF0)).astype(np.uint8).tobytes()
        else:
            body = pixels
        header = [WIDTH, HEIGHT, 0, 0, form, WIDTH * HEIGHT, 0]
        return b"".join(value.to_bytes(4, "little") for value in header) + body


def picture(path: Path) -> bytes:
    """Grey pixels as the sensor would give them: centred on a white 272x320 window. ValueError when
    unreadable.
    """
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > 4_000_000:
                raise ValueError(f"{path}: {opened.width}x{opened.height} is no finger")
            grey = opened.convert("L")
    except OSError as error:
        raise ValueError(f"{path}: {error}") from error
    window = Image.new("L", (WIDTH, HEIGHT), 255)
    window.paste(grey, ((WIDTH - grey.width) // 2, (HEIGHT - grey.height) // 2))
    return window.tobytes()


def main(argv: list[str]) -> int:
    options = parser("finger", "Suprema SFM fingerprint module on a pseudo-terminal")
    serial_options(options, "suprema-sfm", 115200)
    options.add_argument(
        "--image", type=Path, action="append", default=[], help="finger laid down; repeatable"
    )
    options.add_argument("--delay", type=float, default=0.4, help="seconds until a finger is laid down")
    given: argparse.Namespace = options.parse_args(argv)
    settle(given)
    finger: Finger | None = None

    def obey(wish: dict[str, Any]) -> None:
        assert finger is not None
        finger.control(wish)

    try:
        faults = Faults(load(given.faults) if given.faults else ())
        control = Control(given.control, obey)
        wire = Wire(given.link, baud=given.baud, bits=BITS, faults=faults, control=control)
        finger = Finger(wire, faults, given.image, given.delay)
    except ValueError as error:
        options.error(str(error))
    try:
        wire.plug()
        ready(link=str(given.link))
        finger.run()
    finally:
        wire.close()
        control.close()
    return 0
