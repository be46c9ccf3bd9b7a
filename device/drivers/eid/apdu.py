"""Commands and answers of the card, and two layers for T=0 (ISO 7816-3 10.3.3; applet 1.8 manual, 6).

    case 2   CLA INS P1 P2 Le            answer: data SW1 SW2
    case 3   CLA INS P1 P2 Lc data       answer: SW1 SW2; 61 xx when xx bytes wait for GET RESPONSE

Data and Le never go together: a card under T=0 answers that with 67 00. `6C xx` says which Le would be right.
Each layer is called like the one below it, so that a reader's quirk can be added or taken out by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

OK = 0x9000
END_OF_FILE = 0x6B00
NO_LE_BYTE = 256  # Le byte 00
REPEATS = 2  # times the same command is sent again with the Le the card asked for
ROUNDS = 16  # GET RESPONSE in a row
ANSWER_AT_MOST = 4096  # bytes gathered from one command


class BadAnswer(Exception):
    """The card does not keep to T=0: no status, more than was asked, or no end to 6Cxx and 61xx."""


@dataclass(frozen=True)
class Command:
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    le: int | None = None  # 1 to 256

    def __post_init__(self) -> None:
        if self.data and self.le is not None:
            raise ValueError("T=0 has no command with both data and Le")
        if len(self.data) > 255 or not (self.le is None or 1 <= self.le <= NO_LE_BYTE):
            raise ValueError("short APDUs only")

    def to_bytes(self) -> bytes:
        head = bytes((self.cla, self.ins, self.p1, self.p2))
        if self.data:
            return head + bytes((len(self.data),)) + self.data
        return head + bytes(((self.le or 0) % NO_LE_BYTE,))

    def expecting(self, le: int) -> "Command":
        return Command(self.cla, self.ins, self.p1, self.p2, le=le)


@dataclass(frozen=True)
class Answer:
    data: bytes = field(repr=False)
    status: int
    whole: bool = False  # the card said how many bytes there are, and these are they

    @classmethod
    def from_bytes(cls, raw: bytes, command: Command) -> "Answer":
        """The answer to `command`. BadAnswer when there is no status or more data than was asked for."""
        if len(raw) < 2:
            raise BadAnswer(f"{len(raw)} bytes, no status")
        most = command.le or NO_LE_BYTE  # some readers fetch what waits after a case 3 by themselves
        if len(raw) - 2 > most:
            raise BadAnswer(f"{len(raw) - 2} bytes where {most} were asked")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    @property
    def sw1(self) -> int:
        return self.status >> 8

    @property
    def sw2(self) -> int:
        return self.status & 0xFF


Send = Callable[[Command], Answer]


def right_length(send: Send) -> Send:
    """The layer for 6Cxx: send again, asking for as many bytes as the card has.

    A command with data has no Le that could be wrong, and is never sent twice.
    """

    def layer(command: Command) -> Answer:
        answer = send(command)
        said = None
        for _ in range(REPEATS):
            if answer.sw1 != 0x6C or command.data:
                break
            said = answer.sw2 or NO_LE_BYTE
            answer = send(command.expecting(said))
        if answer.sw1 == 0x6C:
            raise BadAnswer("no end to 6Cxx")
        return Answer(answer.data, answer.status, whole=len(answer.data) == said)

    return layer


def whole_answer(send: Send) -> Send:
    """The layer for 61xx: fetch what waits with GET RESPONSE and put it together."""

    def layer(command: Command) -> Answer:
        answer = send(command)
        data = answer.data
        for _ in range(ROUNDS):
            if answer.sw1 != 0x61:
                return Answer(data, answer.status, answer.whole)
            answer = send(get_response(answer.sw2 or NO_LE_BYTE))
            data += answer.data
            if len(data) > ANSWER_AT_MOST:
                raise BadAnswer("an answer without end")
        if answer.sw1 == 0x61:
            raise BadAnswer("no end to 61xx")
        return Answer(data, answer.status)

    return layer


def select(path: bytes) -> Command:
    """SELECT by absolute path with the master file in it, no answer wanted (P2 0C)."""
    return Command(0x00, 0xA4, 0x08, 0x0C, path)


def read_binary(offset: int, length: int) -> Command:
    """READ BINARY; `offset` below 32768, since its top bit would mean a short file id."""
    if not 0 <= offset < 0x8000:
        raise ValueError("offset")
    return Command(0x00, 0xB0, offset >> 8, offset & 0xFF, le=length)


def get_response(length: int) -> Command:
    return Command(0x00, 0xC0, 0x00, 0x00, le=length)


def get_card_data() -> Command:
    """28 bytes: chip number 16, versions; byte 21 is the applet (11, 17, 18 hexadecimal)."""
    return Command(0x80, 0xE4, 0x00, 0x00, le=28)


def internal_authenticate(digest: bytes) -> Command:
    """Have the basic key sign a SHA-384 digest (applet 1.8 manual 6.12), without PIN; answers r || s."""
    if len(digest) != 48:
        raise ValueError("48 bytes")
    return Command(0x00, 0x88, 0x02, 0x81, bytes((0x94, 0x30)) + digest)
