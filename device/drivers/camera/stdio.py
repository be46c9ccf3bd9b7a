"""Messages between the agent and the camera worker over the worker's stdin and stdout. Pure.

    length of header u32 | length of body u32 | header, a JSON object | body

Numbers big-endian. The worker's first message is {"hello": "thuisloket-camera/1", "model": ...}; then it
answers each request {"do": "picture"} with one message: {"ok": true} and a JPEG, or {"ok": false,
"code": ..., "detail": ...}. The worker's own reading of this is in picamera.py, which runs in another
Python and shares no code.
"""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

HELLO = "thuisloket-camera/1"
LENGTHS = struct.Struct(">II")
LONGEST_HEADER = 4096
LARGEST_BODY = 16 * 1024 * 1024


@dataclass(frozen=True)
class Message:
    header: dict[str, Any]
    body: bytes = field(default=b"", repr=False)


class BadMessage(ValueError):
    """The peer does not speak this protocol: nothing it says after that can be trusted."""


def encode(message: Message) -> bytes:
    header = json.dumps(message.header).encode()
    return LENGTHS.pack(len(header), len(message.body)) + header + message.body


class Decoder:
    """Bytes in, messages out; any cut of the stream gives the same ones. BadMessage, and then for good."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        messages = []
        while len(self._buffer) >= LENGTHS.size:
            header_size, body_size = LENGTHS.unpack_from(self._buffer)
            if header_size > LONGEST_HEADER or body_size > LARGEST_BODY:
                raise BadMessage(f"header of {header_size}, body of {body_size} bytes")
            end = LENGTHS.size + header_size + body_size
            if len(self._buffer) < end:
                break
            start = LENGTHS.size + header_size
            header = _object(bytes(self._buffer[LENGTHS.size : start]))
            messages.append(Message(header, bytes(self._buffer[start:end])))
            del self._buffer[:end]
        return messages


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadMessage("header is not JSON") from error
    if not isinstance(value, dict):
        raise BadMessage("header is not an object")
    return value
