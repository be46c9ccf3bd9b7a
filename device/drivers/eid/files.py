"""The files on the card that the kit reads, and how one file is read with bounded effort.

A certificate or signature tells its own length, so its zero padding (50 or 1100 bytes) is not fetched; other
files are read to their end, which the card tells by 6Cxx, a short answer or 6B00.
"""

from dataclasses import dataclass, field

from device.drivers.eid.apdu import END_OF_FILE, OK, BadAnswer, Send, read_binary, select
from device.drivers.eid.der import BadDer, total_length

SMALLEST = 32  # bytes; a reader that gives fewer at a time is none, so a shorter answer ends a file
ABSENT = frozenset({0x6A82, 0x6A83, 0x6283})  # not found, no record, file not activated
NOT_THIS_CARD = frozenset({0x6A, 0x6D, 0x6E})  # wrong parameters, unknown instruction, unknown class


class BadStatus(Exception):
    """The card refused a command it must know."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{what}: {status:04X}")
        self.status = status

    @property
    def foreign(self) -> bool:
        """True when it sounds like a card that never heard of such files, rather than a damaged eID."""
        return self.status >> 8 in NOT_THIS_CARD


@dataclass(frozen=True)
class CardFile:
    name: str
    path: bytes
    at_most: int  # bytes; more is not a file of this kind
    der: bool = False  # a SEQUENCE with padding behind it


def _file(name: str, folder: int, number: int, at_most: int, der: bool = False) -> CardFile:
    return CardFile(name, bytes((0x3F, 0x00)) + folder.to_bytes(2) + number.to_bytes(2), at_most, der)


IDENTITY = _file("identity", 0xDF01, 0x4031, 4096)
IDENTITY_SIGNATURE = _file("identity_signature", 0xDF01, 0x4032, 1024)
ADDRESS = _file("address", 0xDF01, 0x4033, 2048)
ADDRESS_SIGNATURE = _file("address_signature", 0xDF01, 0x4034, 1024)
PHOTO = _file("photo", 0xDF01, 0x4035, 32_000)
BASIC_KEY = _file("basic_key", 0xDF01, 0x4040, 512)
AUTHENTICATION = _file("authentication", 0xDF00, 0x5038, 8192, der=True)
AUTHORITY = _file("authority", 0xDF00, 0x503A, 8192, der=True)
ROOT = _file("root", 0xDF00, 0x503B, 8192, der=True)
RRN = _file("rrn", 0xDF00, 0x503C, 8192, der=True)
ORDER = (
    IDENTITY,
    IDENTITY_SIGNATURE,
    ADDRESS,
    ADDRESS_SIGNATURE,
    RRN,
    ROOT,
    BASIC_KEY,
    PHOTO,
    AUTHENTICATION,
    AUTHORITY,
)


@dataclass(frozen=True)
class CardFiles:
    """One card as bytes, each file as stored; empty where the card has no such file."""

    card_data: bytes = b""  # answer to GET CARD DATA
    identity: bytes = field(default=b"", repr=False)
    identity_signature: bytes = field(default=b"", repr=False)
    address: bytes = field(default=b"", repr=False)
    address_signature: bytes = field(default=b"", repr=False)
    photo: bytes = field(default=b"", repr=False)
    basic_key: bytes = field(default=b"", repr=False)
    authentication: bytes = field(default=b"", repr=False)
    authority: bytes = field(default=b"", repr=False)
    root: bytes = field(default=b"", repr=False)
    rrn: bytes = field(default=b"", repr=False)


def read_file(send: Send, file: CardFile, block: int) -> bytes | None:
    """The file's bytes, or None when the card has no such file. Select and reads belong in one transaction.

    BadStatus when the card refuses, BadAnswer when the file has no end. `block` is 1 to 256 bytes; a
    reader that silently hands over fewer is asked on in its own size.
    """
    answer = send(select(file.path))
    if answer.status in ABSENT:
        return None
    if answer.status != OK:
        raise BadStatus(answer.status, f"select {file.name}")
    data = bytearray()
    while True:
        wanted = _wanted(file, data, block)
        if not wanted:
            return bytes(data)
        answer = send(read_binary(len(data), wanted))
        if answer.status == END_OF_FILE:
            return bytes(data)
        if answer.status != OK:
            raise BadStatus(answer.status, f"read {file.name}")
        data += answer.data
        if len(data) > file.at_most:
            raise BadAnswer(f"{file.name} has no end")
        if len(answer.data) < wanted:  # no more, or no more than this reader can do at a time
            if answer.whole or len(answer.data) < SMALLEST:
                return bytes(data)
            block = len(answer.data)


def _wanted(file: CardFile, data: bytearray, block: int) -> int:
    """How many bytes to ask for next; 0 when the file is complete."""
    if not file.der or not data:
        return block
    if not any(data):  # an absent certificate is a file of zeros
        return 0
    try:
        length = total_length(bytes(data[:8]))
    except BadDer:  # not a certificate: take it as it is, the judge will say so
        length = None
    return block if length is None else min(block, max(0, length - len(data)))
