"""Topaz SigLite 1x5 pen packets (format 0). Pure.

Five bytes, streamed by the pad by itself while the pen is near; nothing is ever asked of it:

    status | x low 7 | x high 5 | y low 7 | y high 5

status: bit 7 always 1, bit 6 pen near, bits 2-4 type, bit 0 pen down. The other four have bit 7 = 0, so any
byte says whether a packet begins there. x and y are 12 bits. Types 0, 1 and 4 are positions; 7 is pressure, 2
device information, 3 a reply to a command: none of these three is a place on paper, and we keep no pressure
(data minimisation: an image and the strokes are all the application needs).

The line loses bytes when the cable moves: a packet cut short by the next status byte is dropped, data bytes
without a status byte are skipped, and a position of 4095, 4095 is what a pad says that lost its pen. A parity
error reaches us as a changed or missing byte, no more.

Source: the packet notes of l1n/topaz-dext (MIT), tested on a T-LBK462; length and sync bit agree with a
second, independent firmware. Its text and its code differ on the type bits; this follows the code, (status >>
2) & 7.
"""

from dataclasses import dataclass

PACKET_SIZE = 5
SYNC = 0x80
POSITIONS = frozenset({0, 1, 4})
LOST = (0xFFF, 0xFFF)

# Where ink can lie on a SigLite 1x5, in pad units of 1/410 inch: 2150 x 1400.
LEFT, TOP, RIGHT, BOTTOM = 500, 700, 2650, 2100


@dataclass(frozen=True)
class Pen:
    """Where the pen is, in pad units, and whether it touches."""

    x: int
    y: int
    down: bool
    near: bool


class Decoder:
    """Bytes in, pen positions out; any cut of the stream gives the same ones, and noise never raises."""

    def __init__(self) -> None:
        self._packet = bytearray()

    def feed(self, data: bytes) -> list[Pen]:
        pens = []
        for byte in data:
            if byte & SYNC:
                self._packet = bytearray([byte])
            elif self._packet:
                self._packet.append(byte)
            if len(self._packet) == PACKET_SIZE:
                pen = _position(bytes(self._packet))
                self._packet.clear()
                if pen is not None:
                    pens.append(pen)
        return pens


def _position(packet: bytes) -> Pen | None:
    status, x_low, x_high, y_low, y_high = packet
    if (status >> 2) & 7 not in POSITIONS:
        return None
    x = (x_high & 0x1F) << 7 | x_low
    y = (y_high & 0x1F) << 7 | y_low
    if (x, y) == LOST:
        return None
    return Pen(x, y, down=bool(status & 1), near=bool(status & 0x40))
