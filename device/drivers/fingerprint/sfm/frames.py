"""Suprema SFM single-mode packets and the image block that follows some of them. Pure.

A packet is 13 bytes, numbers little-endian:

    40 | command u8 | param u32 | size u32 | flag or error u8 | checksum u8 | 0A

checksum = sum of the first 11 bytes modulo 256. Request and answer have the same shape: in a request the
eleventh byte is a flag (for SW and SR the code of the parameter, whose value is in `size`), in an answer
it is an error code. A successful SI or RI is followed by `size` bytes and one more 0A. Those bytes carry no
checksum: a bit that flips among them cannot be seen here (the extended commands SIX and RIX would show it).

What the line does, and what the decoder makes of it: noise before or between packets is skipped byte by byte
to the next 40 that begins a packet with the right checksum and end; a packet with a changed byte is skipped
like noise; an image with a byte too many or too few is `Broken`, or never ends, which the driver sees as
silence.

Sources: UF Protocol Manual (packet, parameters, commands) and the error codes and UFImage structure published
with Suprema's SFM SDK. The order of answers to CA is not published; the driver takes any.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

START, END = 0x40, 0x0A
PACKET_SIZE = 13
HEADER = struct.Struct("<7I")
LARGEST_IMAGE = HEADER.size + 800 * 750  # FAP30 at 500 ppi, the largest one-finger window there is


class Command(IntEnum):
    SW = 0x01  # write system parameter
    SR = 0x03  # read system parameter
    SI = 0x15  # scan image
    RI = 0x20  # read the image scanned last
    CA = 0x60  # cancel


class Parameter(IntEnum):
    TIMEOUT = 0x62  # 30 infinite, 31..44: 1..20 s
    SENSOR_TYPE = 0x68
    IMAGE_FORMAT = 0x6C
    FIRMWARE = 0x6E  # four characters
    SERIAL_NUMBER = 0x6F
    SEND_SCAN_SUCCESS = 0x75


class Answer(IntEnum):
    SUCCESS = 0x61
    SCAN_SUCCESS = 0x62
    SCAN_FAIL = 0x63
    NOT_FOUND = 0x69
    TRY_AGAIN = 0x6B
    TIME_OUT = 0x6C
    UNSUPPORTED = 0x75
    BUSY = 0x80
    CANCELED = 0x81
    DATA_ERROR = 0x82
    FAKE_DETECTED = 0xB0


GREY = 0x30  # value of IMAGE_FORMAT; the module's default is 31, binary
FORMAT_GREY = 0  # UFImage.format
SWITCH_ON = 0x31

_WITH_DATA = frozenset({Command.SI, Command.RI})


@dataclass(frozen=True)
class Packet:
    command: int
    param: int = 0
    size: int = 0
    flag: int = 0


@dataclass(frozen=True)
class Block:
    """The data that followed a successful answer, without its end byte."""

    command: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Broken:
    """A block that did not end where it should."""

    command: int


Frame = Packet | Block | Broken


@dataclass(frozen=True)
class Image:
    """A grey image: 8 bits a pixel, row by row from the top left, ridges dark."""

    width: int
    height: int
    pixels: bytes = field(repr=False)


class BadImage(ValueError):
    """The block is not a plain 8-bit grey image of a finger sensor."""


def encode(packet: Packet) -> bytes:
    head = struct.pack("<BBIIB", START, packet.command, packet.param, packet.size, packet.flag)
    return head + bytes([sum(head) & 0xFF, END])


def read_image(block: bytes) -> Image:
    """The image in a block: u32 width, height, compressed, encrypted, format, image length, template length;
    pixels.

    BadImage for anything but uncompressed, unencrypted 8-bit grey of a plausible size.
    """
    if len(block) < HEADER.size:
        raise BadImage(f"{len(block)} bytes hold no image header")
    width, height, compressed, encrypted, kind, length, _template = HEADER.unpack_from(block)
    if compressed or encrypted or kind != FORMAT_GREY:
        raise BadImage(f"compressed={compressed} encrypted={encrypted} format={kind}, wanted plain grey")
    if not (64 <= width <= 800 and 64 <= height <= 800) or length != width * height:
        raise BadImage(f"{width}x{height} with {length} bytes")
    if len(block) < HEADER.size + length:
        raise BadImage(f"{len(block) - HEADER.size} of {length} pixel bytes")
    return Image(width, height, bytes(block[HEADER.size : HEADER.size + length]))


class Decoder:
    """Bytes in, frames out; any cut of the stream gives the same frames, and noise never raises."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._awaited: Packet | None = None

    @property
    def share(self) -> float | None:
        """How much of the block now arriving is here, 0..1; None when none is arriving."""
        if self._awaited is None:
            return None
        return min(1.0, len(self._buffer) / (self._awaited.size + 1))

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames: list[Frame] = []
        while True:
            frame = self._packet() if self._awaited is None else self._block(self._awaited)
            if frame is None:
                return frames
            frames.append(frame)

    def _packet(self) -> Packet | None:
        while (start := self._buffer.find(START)) >= 0:
            del self._buffer[:start]
            if len(self._buffer) < PACKET_SIZE:
                return None
            head = self._buffer[: PACKET_SIZE - 2]
            if self._buffer[PACKET_SIZE - 1] == END and self._buffer[PACKET_SIZE - 2] == sum(head) & 0xFF:
                packet = Packet(*struct.unpack_from("<xBIIB", head))
                carries = packet.command in _WITH_DATA and packet.flag == Answer.SUCCESS and packet.size > 0
                if not carries or packet.size <= LARGEST_IMAGE:
                    del self._buffer[:PACKET_SIZE]
                    self._awaited = packet if carries else None
                    return packet
            del self._buffer[0]
        self._buffer.clear()
        return None

    def _block(self, awaited: Packet) -> Block | Broken | None:
        if len(self._buffer) <= awaited.size:
            return None
        self._awaited = None
        data, end = bytes(self._buffer[: awaited.size]), self._buffer[awaited.size]
        if end != END:
            # Nobody knows where the block really ends; what is here is kept for the search for the next
            # packet.
            return Broken(awaited.command)
        del self._buffer[: awaited.size + 1]
        return Block(awaited.command, data)
