"""The camera worker: a small program around picamera2, run by the system's Python, spoken to over stdin and
stdout.

libcamera's Python binding belongs to the operating system's own Python, so this file runs there and imports
nothing of ours; it needs only the standard library and picamera2. The protocol is in stdio.py beside it.
Everything the libraries print goes to stderr: stdout carries messages only. It ends when stdin ends.
"""

import io
import json
import os
import struct
import sys
from typing import Any, BinaryIO

HELLO = "thuisloket-camera/1"
SIZE = (2048, 1536)  # width, height as the sensor sees; both planes are whole pages, which libcamera needs
QUALITY = 95
LONGEST_REQUEST = 4096


class Eye:
    """The camera, running."""

    def __init__(self) -> None:
        from picamera2 import Picamera2  # here and nowhere else, and only in the worker

        self._camera = Picamera2()
        self.model = str(self._camera.camera_properties.get("Model", "camera"))
        self._camera.configure(self._camera.create_still_configuration(main={"size": SIZE}, buffer_count=3))
        self._camera.options["quality"] = QUALITY
        self._camera.start()

    def picture(self) -> bytes:
        """The next frame as JPEG, as the sensor is mounted: the agent turns it."""
        request = self._camera.capture_request()
        try:
            out = io.BytesIO()
            request.save("main", out, format="jpeg")
        finally:
            request.release()
        return out.getvalue()


def read_exactly(source: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = source.read(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_request(source: BinaryIO) -> dict[str, Any]:
    """The next request. EOFError when the agent is gone, ValueError when it is not one."""
    header_size, body_size = struct.unpack(">II", read_exactly(source, 8))
    if header_size > LONGEST_REQUEST or body_size:
        raise ValueError("request too long")
    request = json.loads(read_exactly(source, header_size))
    if not isinstance(request, dict):
        raise ValueError("request is not an object")
    return request


def write(sink: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    sink.write(struct.pack(">II", len(text), len(body)) + text + body)
    sink.flush()


def main() -> int:
    source = sys.stdin.buffer
    # Libraries print to descriptor 1: keep a private copy for messages and let theirs go to stderr.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        eye = Eye()
    except (ImportError, RuntimeError, IndexError, ValueError, OSError) as error:
        write(sink, {"hello": HELLO, "error": "absent", "detail": f"{type(error).__name__}: {error}"[:300]})
        return 1
    write(sink, {"hello": HELLO, "model": eye.model})
    while True:
        try:
            request = read_request(source)
        except EOFError:
            return 0
        if request.get("do") != "picture":
            write(sink, {"ok": False, "code": "unknown-request"})
            continue
        try:
            picture = eye.picture()
        except (RuntimeError, OSError, ValueError) as error:
            write(sink, {"ok": False, "code": "failed", "detail": f"{type(error).__name__}: {error}"[:300]})
            continue
        write(sink, {"ok": True}, picture)


if __name__ == "__main__":
    sys.exit(main())
