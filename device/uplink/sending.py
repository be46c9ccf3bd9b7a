"""One sealed packet over one connection: pieces sent ahead of their answers, resumed at the byte (protocol
6)."""

import hashlib
from collections import deque
from collections.abc import Callable
from io import BufferedReader
from threading import Event
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from device.uplink.door import Answer, Door
from device.uplink.problems import LinkDown

log = structlog.get_logger()

# pieces on their way without an answer: a megabyte, more than a link of 10 Mbit/s and 200 ms holds
AHEAD = 8
BEGUN = "begun"  # the generation that the POST before it on this connection was given
_ANSWER_BYTES = 16 * 1024
_CONFLICTS = 8  # in one attempt; a sane fleet needs one or two
_Offset = Annotated[int, Meta(ge=0, le=2**40)]
_Generation = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Code = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class _Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offset: _Offset
    generation: _Generation
    state: Literal["open", "complete"]


class _Conflict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    error: Literal["offset", "generation"]
    offset: _Offset
    generation: _Generation


class _Refusal(msgspec.Struct, frozen=True):
    error: _Code


class NotNow(Exception):
    """This packet does not go now, for a reason of its own; others may. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(NotNow):
    """The fleet has judged the packet and will not have it."""


class Sending:
    """One attempt. `sent` is told how many bytes the fleet holds, each time it says so."""

    def __init__(
        self,
        door: Door,
        packet_id: str,
        size: int,
        file: BufferedReader,
        piece_bytes: int,
        sent: Callable[[int], None],
    ) -> None:
        self._door, self._size, self._file = door, size, file
        self._path = f"/kit/v1/uploads/{packet_id}"
        self._packet_id, self._piece_bytes, self._sent = packet_id, piece_bytes, sent
        self._on_way: deque[tuple[int, int]] = deque()  # offset and length of pieces without an answer
        self._position = 0  # of the next piece
        self._generation = BEGUN
        self._complete = False

    def send(self, digest: str, fresh: bool, stop: Event) -> bool:
        """False when stopped before the end. `digest` is the SHA-256 of the file; `fresh`: the fleet has
        nothing of it yet, as far as is known, so the first pieces need not wait for it to say so. LinkDown,
        NotNow, Refused."""
        try:
            return self._send(digest, fresh, stop)
        finally:
            if self._on_way:
                self._door.close()  # answers would come that nobody waits for

    def _send(self, digest: str, fresh: bool, stop: Event) -> bool:
        wish = msgspec.json.encode({"size": self._size, "sha256": digest})
        self._door.send("POST", self._path, wish, {"Content-Type": "application/json"})
        if fresh:
            self._fill()
        begun = self._begun(self._door.receive(_ANSWER_BYTES))
        self._generation, self._complete = str(begun.generation), begun.state == "complete"
        if not fresh:
            self._position = begun.offset
        generation, offset = begun.generation, begun.offset
        log.info("upload", packet=self._packet_id, bytes=self._size, offset=offset, generation=generation)
        elsewhere, conflicts = None, 0
        while not self._complete:
            if stop.is_set():
                return False
            if elsewhere is None:
                self._fill()
            if not self._on_way:
                if elsewhere is None:
                    raise LinkDown("bad-answer", "all is sent, but it is not complete")
                self._position, elsewhere = elsewhere, None
                continue
            answer = self._door.receive(_ANSWER_BYTES, is_last=self._position == self._size)
            offset, length = self._on_way.popleft()
            if answer.status == 409:
                conflicts += elsewhere is None
                elsewhere = self._reconciled(answer.read(_Conflict), conflicts)
            elif answer.status == 204:
                self._landed(answer, offset + length)
            else:
                refuse(answer)
        return True

    def _fill(self) -> None:
        while len(self._on_way) < AHEAD and self._position < self._size:
            self._file.seek(self._position)
            piece = self._file.read(min(self._piece_bytes, self._size - self._position))
            if not piece:
                raise NotNow("shorter-than-it-was")
            headers = {
                "Upload-Offset": str(self._position),
                "Upload-Generation": self._generation,
            }
            self._door.send("PATCH", self._path, piece, headers)
            self._on_way.append((self._position, len(piece)))
            self._position += len(piece)

    def _begun(self, answer: Answer) -> _Begun:
        if answer.status != 200:
            refuse(answer)
        begun = answer.read(_Begun)
        if begun.offset > self._size or (begun.state == "open" and begun.offset == self._size):
            raise LinkDown("bad-answer", "an offset outside the packet")
        return begun

    def _landed(self, answer: Answer, end: int) -> None:
        if answer.number("Upload-Offset") != end:
            raise LinkDown("bad-answer", "the offset after a PATCH is not where we are")
        self._complete = answer.headers.get("Upload-State") == "complete"
        if not self._complete and end == self._size:
            raise LinkDown("bad-answer", "all is sent, but it is not complete")
        self._sent(end)

    def _reconciled(self, conflict: _Conflict, conflicts: int) -> int:
        """Where to go on after a 409. NotNow when another writer has begun since, or when it never ends."""
        if conflict.error == "generation" and str(conflict.generation) != self._generation:
            raise NotNow("fenced")
        if conflict.offset >= self._size or conflicts > _CONFLICTS:
            raise NotNow("offsets")
        return conflict.offset


def digest_of(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def refuse(answer: Answer) -> None:
    """Always raises: NotNow, as it is this packet that the fleet does not take just now."""
    if answer.status != 422:
        answer.refuse_portal()
        raise NotNow(f"status-{answer.status}")
    code = answer.read(_Refusal).error
    if code == "unknown-upload":  # the fleet has swept it away or lost it: begin anew
        raise NotNow(code)
    raise Refused(code)
