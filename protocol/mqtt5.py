"""MQTT 5.0 (OASIS, 7 March 2019), as far as a client of this fleet needs it: packets to bytes and back.

Pure, for programs that count microseconds a message (the fleet's ingest) or hold a thousand connections (the
emulated kits); the kit itself uses paho. QoS 0 and 1, no topic aliases, no authentication exchange.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
REFUSED = 0x80  # reason codes from here on are failures

KEPT_S = 0xFFFF_FFFF  # a session that never ends: any other length can crash mosquitto (docs/decisions/0147)

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_PACKET, _WILL_DELAY = 0x11, 0x21, 0x27, 0x18
# Sizes of the properties' values (2.2.2.2); None: a string or binary with its length, -1: a pair of strings.
_SIZES: dict[int, int | None] = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), None),
    0x26: -1,
}


class BadPacket(ValueError):
    """The stream is not MQTT 5, or more than this reader takes: the connection is of no use any more."""


class Connack(NamedTuple):
    session_present: bool
    reason: int
    receive_maximum: int = 65_535
    maximum_packet: int = 268_435_460


class Publish(NamedTuple):
    """`number` is 0 at QoS 0, which needs no acknowledgement."""

    topic: str
    payload: bytes
    number: int


class Puback(NamedTuple):
    number: int
    reason: int


class Suback(NamedTuple):
    number: int
    reasons: bytes


class Pong(NamedTuple):
    pass


class Disconnected(NamedTuple):
    reason: int


Packet = Connack | Publish | Puback | Suback | Pong | Disconnected


class Will(NamedTuple):
    topic: str
    payload: bytes
    delay_s: int = 0


def connect(
    client_id: str,
    keepalive_s: int,
    session_expiry_s: int,
    receive_maximum: int,
    maximum_packet: int,
    will: Will,
) -> bytes:
    """Clean start 0; the will at QoS 1, retained."""
    properties = (
        bytes([_SESSION_EXPIRY])
        + session_expiry_s.to_bytes(4, "big")
        + bytes([_RECEIVE_MAXIMUM])
        + receive_maximum.to_bytes(2, "big")
        + bytes([_MAXIMUM_PACKET])
        + maximum_packet.to_bytes(4, "big")
    )
    delay = bytes([_WILL_DELAY]) + will.delay_s.to_bytes(4, "big")
    flags = 0b0010_1100  # will retain, will QoS 1, will
    return _packet(
        0x10,
        b"\x00\x04MQTT\x05" + bytes([flags]) + keepalive_s.to_bytes(2, "big"),
        _counted(properties),
        _text(client_id),
        _counted(delay) + _text(will.topic),
        len(will.payload).to_bytes(2, "big") + will.payload,
    )


def subscribe(number: int, topics: Sequence[str]) -> bytes:
    """All at QoS 1."""
    return _packet(0x82, number.to_bytes(2, "big"), b"\x00", *(_text(topic) + b"\x01" for topic in topics))


def publish(topic: str, payload: bytes, number: int, *, retain: bool = False, again: bool = False) -> bytes:
    """At QoS 1. `again`: it may be the second time (DUP)."""
    first = 0x32 | (0x08 if again else 0) | (0x01 if retain else 0)
    return _packet(first, _text(topic) + number.to_bytes(2, "big"), b"\x00", payload)


def pubacks(numbers: Iterable[int]) -> bytes:
    """Success, for each."""
    return b"".join([b"\x40\x02" + number.to_bytes(2, "big") for number in numbers])


class Decoder:
    """Bytes as they come in, cut anywhere, to whole packets."""

    def __init__(self, maximum_packet: int) -> None:
        """`maximum_packet`: what CONNECT said; a longer packet is a BadPacket."""
        self._most, self._rest = maximum_packet, b""

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are whole now. BadPacket, after which nothing more can be read."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        found: list[Packet] = []
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size > 127:
                if end - at < 3:
                    break
                if (second := data[at + 2]) < 128:
                    size, body = size - 128 + second * 128, at + 3
                else:
                    size, body = _long(data, at + 1)
                    if body == 0:
                        break
            stop = body + size
            if stop - at > self._most:
                raise BadPacket("longer than we said we take")
            if stop > end:
                break
            first = data[at]
            found.append(
                _publish(first, data, body, stop) if first >> 4 == 3 else _other(first, data[body:stop])
            )
            at = stop
        self._rest = data[at:]
        return found


def _publish(first: int, data: bytes, at: int, stop: int) -> Publish:
    try:
        topic_end = at + 2 + (data[at] << 8 | data[at + 1])
        qos = first & 0x06
        if qos > 2 or topic_end == at + 2:
            raise BadPacket("QoS 2, or a topic alias")
        if qos:
            number = data[topic_end] << 8 | data[topic_end + 1]
            properties = topic_end + 2
        else:
            number, properties = 0, topic_end
        size = data[properties]
        payload = properties + 1 + size
        if size > 127:
            size, payload = _variable(data, properties)
            payload += size
        if payload > stop or (qos and number == 0):
            raise BadPacket("a PUBLISH that ends before its payload")
        return Publish(data[at + 2 : topic_end].decode(), data[payload:stop], number)
    except (IndexError, UnicodeDecodeError) as problem:
        raise BadPacket("not a PUBLISH") from problem


def _other(first: int, body: bytes) -> Packet:
    kind = first >> 4
    try:
        if kind == 2:
            found = _properties(body, 2)
            return Connack(
                bool(body[0] & 1),
                body[1],
                found.get(_RECEIVE_MAXIMUM, 65_535),
                found.get(_MAXIMUM_PACKET, 268_435_460),
            )
        if kind == 4:
            return Puback(body[0] << 8 | body[1], body[2] if len(body) > 2 else 0)
        if kind == 9:
            size, at = _variable(body, 2)
            return Suback(body[0] << 8 | body[1], body[at + size :])
        if kind == 13:
            return Pong()
        if kind == 14:
            return Disconnected(body[0] if body else 0)
    except IndexError as problem:
        raise BadPacket(f"a packet of kind {kind} that ends too soon") from problem
    raise BadPacket(f"a packet of kind {kind}, which no broker sends here")


def _properties(body: bytes, at: int) -> dict[int, int]:
    """The numbers among the properties that begin at `at`."""
    size, at = _variable(body, at)
    stop = at + size
    if stop > len(body):
        raise BadPacket("properties that end too soon")
    found = {}
    while at < stop:
        kind = body[at]
        at += 1
        if kind not in _SIZES:
            raise BadPacket(f"an unknown property {kind}")
        width = _SIZES[kind]
        if width is None or width < 0:
            for _ in range(1 if width is None else 2):
                at += 2 + int.from_bytes(body[at : at + 2], "big")
        else:
            found[kind] = int.from_bytes(body[at : at + width], "big")
            at += width
    if at != stop:
        raise BadPacket("a property that ends too late")
    return found


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends. BadPacket when it is too long, IndexError when cut."""
    value = 0
    for place in range(4):
        byte = data[at + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at + place + 1
    raise BadPacket("a length of more than four bytes")


def _long(data: bytes, at: int) -> tuple[int, int]:
    """As `_variable`; (0, 0) when it is not whole yet."""
    try:
        return _variable(data, at)
    except IndexError:
        return 0, 0


def _packet(first: int, *parts: bytes) -> bytes:
    return bytes([first]) + _counted(b"".join(parts))


def _counted(data: bytes) -> bytes:
    size, written = len(data), bytearray()
    while True:
        size, low = divmod(size, 128)
        written.append(low | (128 if size else 0))
        if not size:
            return bytes(written) + data


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
