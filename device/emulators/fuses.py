"""A Raspberry Pi's firmware with the fuses of its device key, on a unix socket instead of `/dev/vcio`.

Written from the documentation of its firmware ("Mailbox property interface") and `rpi-otp-private-key`. The
buffer a program hands to the ioctl goes over the socket, and comes back as the firmware leaves it. Without
`--key` nothing was ever burnt; `--old` is a firmware that does not know the tag.
"""

import argparse
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from device.emulators import running

WORD = 4
REQUEST, SUCCESS, ERROR = 0x00000000, 0x80000000, 0x80000001
READ_ROWS = 0x00030081  # rows of the device private key: offset and count, then as many words
BOARD_SERIAL = 0x00010004
ROWS = 8
LARGEST = 4096

Answer = Callable[[list[int]], list[int] | None]


def words_of(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + WORD], "little") for at in range(0, len(data), WORD)]


def bytes_of(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(WORD, "little") for word in words)


def read_rows(fuses: list[int], value: list[int]) -> list[int] | None:
    """The rows asked for; None for rows that there are not."""
    if len(value) < 2 or not 0 <= value[0] <= value[0] + value[1] <= ROWS or len(value) < 2 + value[1]:
        return None
    first, count = value[:2]
    return [first, count, *fuses[first : first + count], *value[2 + count :]]


def reply(message: bytes, tags: dict[int, Answer]) -> bytes:
    """What the firmware leaves in the buffer: each tag it knows is filled in and marked, others stay."""
    words = words_of(message)
    if len(words) < 3 or words[0] != len(message) or words[1] != REQUEST:
        return bytes_of([words[0] if words else 0, ERROR, *words[2:]])
    at = 2
    while at + 3 <= len(words) and words[at]:
        tag, room = words[at], words[at + 1] // WORD
        value = words[at + 3 : at + 3 + room]
        answer = tags[tag](value) if tag in tags and len(value) == room else None
        if answer is not None:
            words[at + 2] = SUCCESS | room * WORD
            words[at + 3 : at + 3 + room] = answer
        at += 3 + room
    words[1] = SUCCESS
    return bytes_of(words)


def serve(listener: socket.socket, tags: dict[int, Answer]) -> None:
    while True:
        end, _ = listener.accept()
        with end:
            while head := end.recv(WORD, socket.MSG_WAITALL):
                size = int.from_bytes(head, "little")
                if not WORD <= size <= LARGEST:
                    break
                end.sendall(reply(head + end.recv(size - WORD, socket.MSG_WAITALL), tags))


def main(argv: list[str]) -> int:
    options = running.parser("fuses", __doc__ or "")
    options.add_argument("--socket", type=Path, required=True, help="stands for /dev/vcio")
    options.add_argument("--key", type=_key, default=bytes(ROWS * WORD), help="64 hexadecimal digits")
    options.add_argument("--old", action="store_true", help="a firmware without device keys")
    given = options.parse_args(argv)
    running.settle(given)
    # The tool that burns a key prints and takes its rows as hexadecimal words, the first row first.
    fuses = [int.from_bytes(given.key[at : at + WORD], "big") for at in range(0, ROWS * WORD, WORD)]
    tags: dict[int, Answer] = {BOARD_SERIAL: lambda value: [0xE5A1, 0x1000][: len(value)]}
    if not given.old:
        tags[READ_ROWS] = lambda value: read_rows(fuses, value)
    given.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(given.socket))
        given.socket.chmod(0o600)
        listener.listen()
        running.ready(socket=str(given.socket))
        serve(listener, tags)
    return 0


def _key(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != ROWS * WORD:
        raise argparse.ArgumentTypeError(f"{ROWS * WORD} bytes")
    return key


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
