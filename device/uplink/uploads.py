"""Sealed packets to the fleet, resumable to the byte (docs/protocol.md 6), oldest first."""

import hashlib
import time
from io import BufferedReader
from threading import Event
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from device.spool.hatch import Hatch
from device.spool.records import Mark, Waiting
from device.uplink.backoff import Backoff
from device.uplink.door import Answer, Door
from device.uplink.problems import LinkDown
from device.uplink.refusals import is_final
from device.uplink.settings import UplinkSettings
from device.uplink.standing import Standing

log = structlog.get_logger()

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


class Uploads:
    """The uploader's thread. Its `door` is its own, so that a long upload keeps nothing else waiting."""

    def __init__(self, settings: UplinkSettings, hatch: Hatch, standing: Standing, door: Door) -> None:
        self._settings, self._hatch, self._standing, self._door = settings, hatch, standing, door
        self._work, self._hurry, self._released = Event(), Event(), Event()
        self._insisted: set[str] = set()  # refused for good, but a person asked to try them once more
        self._patience = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._resting: dict[str, tuple[float, Backoff]] = {}  # packet -> not before, its own patience
        self._digests: dict[str, str] = {}

    def wake(self) -> None:
        """There may be something to send. May be called from any thread."""
        self._work.set()

    def hurry(self) -> None:
        """The network is back, or it is time to stop: do not wait for the next try."""
        self._hurry.set()
        self._work.set()

    def release(self) -> None:
        """A person does not want to wait: everything may go again. May be called from any thread."""
        self._released.set()
        self.hurry()

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            self._work.clear()
            self._hurry.clear()
            sleep, pause = self._work, self._settings.look_every_s
            try:
                self._round(stop)
                self._door.close()  # an idle connection would be dead by the next packet, unnoticed
            except LinkDown as problem:
                sleep, pause = self._hurry, self._patience.next()  # more work is no reason to try sooner
                if not stop.is_set():
                    log.warning("upload-interrupted", code=problem.code, detail=problem.detail)
                    self._standing.https(problem.code)
            self._standing.sending("")
            if not stop.is_set():
                sleep.wait(pause)

    def _round(self, stop: Event) -> None:
        waiting = self._hatch.packets()
        there = {packet.packet_id for packet in waiting}
        self._digests = {name: digest for name, digest in self._digests.items() if name in there}
        self._resting = {name: rest for name, rest in self._resting.items() if name in there}
        if self._released.is_set():
            self._released.clear()
            self._insisted = there
            self._resting = dict.fromkeys(there, (0.0, self._own_patience()))
            self._patience.reset()
        for packet in waiting:
            if stop.is_set():
                return
            if packet.mark is not None and packet.mark.state == "uploaded":
                continue
            if packet.mark is not None and packet.mark.state == "refused":
                if packet.mark.final and packet.packet_id not in self._insisted:
                    continue
                again = time.monotonic() + self._settings.refused_again_s
                self._resting.setdefault(packet.packet_id, (again, self._own_patience()))
            if self._resting.get(packet.packet_id, (0.0, None))[0] > time.monotonic():
                continue
            self._try(packet, stop)

    def _try(self, packet: Waiting, stop: Event) -> None:
        packet_id = packet.packet_id
        self._standing.sending(packet_id)
        self._insisted.discard(packet_id)
        try:
            file = self._hatch.open_packet(packet_id)
        except FileNotFoundError:
            return  # withdrawn
        try:
            with file:
                self._send(packet, file, stop)
        except NotNow as problem:
            patience = self._resting.get(packet_id, (0.0, self._own_patience()))[1]
            rest = self._settings.refused_again_s if problem.code == "refused" else patience.next()
            self._resting[packet_id] = (time.monotonic() + rest, patience)
            log.warning("upload-not-now", packet=packet_id, code=problem.code, again_s=round(rest))

    def _send(self, packet: Waiting, file: BufferedReader, stop: Event) -> None:
        packet_id, size = packet.packet_id, packet.size
        if packet_id not in self._digests:
            self._digests[packet_id] = hashlib.file_digest(file, "sha256").hexdigest()
        begun = self._begin(packet_id, size)
        log.info("upload", packet=packet_id, bytes=size, offset=begun.offset, generation=begun.generation)
        offset, conflicts = begun.offset, 0
        complete = begun.state == "complete"
        while not complete:
            if stop.is_set():
                return
            file.seek(offset)
            piece = file.read(self._settings.piece_bytes)
            if not piece:
                raise NotNow("shorter-than-it-was")
            answer = self._door.call(
                "PATCH",
                f"/kit/v1/uploads/{packet_id}",
                piece,
                {
                    "Content-Type": "application/offset+octet-stream",
                    "Upload-Offset": str(offset),
                    "Upload-Generation": str(begun.generation),
                },
                limit=_ANSWER_BYTES,
            )
            if answer.status == 409:
                conflicts += 1
                offset = self._reconciled(answer.read(_Conflict), size, conflicts)
                continue
            if answer.status != 204:
                self._refused_or_failed(packet, answer)
            if answer.number("Upload-Offset") != offset + len(piece):
                raise LinkDown("bad-answer", "the offset after a PATCH is not where we are")
            offset += len(piece)
            self._patience.reset()  # the link works, however short its moments are
            self._standing.https("")
            complete = answer.headers.get("Upload-State") == "complete"
            if not complete and offset == size:
                raise LinkDown("bad-answer", "all is sent, but it is not complete")
            self._hatch.mark(packet_id, Mark("sending", offset, size))
        self._hatch.mark(packet_id, Mark("uploaded", size, size))
        log.info("uploaded", packet=packet_id, bytes=size)
        self._patience.reset()
        self._standing.https("")

    def _begin(self, packet_id: str, size: int) -> _Begun:
        wish = {"size": size, "sha256": self._digests[packet_id]}
        answer = self._door.post(f"/kit/v1/uploads/{packet_id}", wish, limit=_ANSWER_BYTES)
        if answer.status != 200:
            self._refused_or_failed(Waiting(packet_id, size, 0.0, None), answer)
        begun = answer.read(_Begun)
        if begun.offset > size or (begun.state == "open" and begun.offset == size):
            raise LinkDown("bad-answer", "an offset outside the packet")
        return begun

    def _reconciled(self, conflict: _Conflict, size: int, conflicts: int) -> int:
        """Where to go on after a 409. NotNow when another writer has begun since, or when it never ends."""
        if conflict.error == "generation":
            raise NotNow("fenced")
        if conflict.offset >= size or conflicts > _CONFLICTS:
            raise NotNow("offsets")
        return conflict.offset

    def _refused_or_failed(self, packet: Waiting, answer: Answer) -> None:
        """Always raises: NotNow, as it is this packet that the fleet does not take just now."""
        if answer.status != 422:
            answer.refuse_portal()
            raise NotNow(f"status-{answer.status}")
        code = answer.read(_Refusal).error
        if code == "unknown-upload":  # the fleet has swept it away or lost it: begin anew
            raise NotNow(code)
        final = is_final(code)
        self._hatch.mark(packet.packet_id, Mark("refused", 0, packet.size, code, final))
        log.error("upload-refused", packet=packet.packet_id, code=code, final=final)
        raise NotNow("refused")

    def _own_patience(self) -> Backoff:
        return Backoff(self._settings.retry_first_s, self._settings.retry_most_s)
