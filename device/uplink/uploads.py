"""Sealed packets to the fleet, resumable to the byte (docs/protocol.md 6), oldest first."""

import time
from io import BufferedReader
from threading import Event

import structlog

from device.spool.hatch import Hatch
from device.spool.records import Mark, Waiting
from device.spool.steering_hatch import SteeringHatch
from device.uplink.backoff import Backoff
from device.uplink.choice import Choice
from device.uplink.door import Door
from device.uplink.ferry import Ferry
from device.uplink.problems import LinkDown
from device.uplink.refusals import is_final
from device.uplink.sending import NotNow, Refused, Sending, digest_of
from device.uplink.settings import UplinkSettings
from device.uplink.standing import Standing

log = structlog.get_logger()

_NEAR_S = 600.0  # a citizen who reads longer than this before the sealing waits two round trips more


class Uploads:
    """The uploader's thread. Its `door` is its own, so that a long upload keeps nothing else waiting."""

    def __init__(
        self, settings: UplinkSettings, hatch: Hatch, standing: Standing, door: Door, choice: Choice
    ) -> None:
        self._settings, self._hatch, self._standing, self._door = settings, hatch, standing, door
        self._steering = SteeringHatch(settings.spool)
        self._choice = choice
        self._work, self._hurry, self._released = Event(), Event(), Event()
        self._insisted: set[str] = set()  # refused for good, but a person asked to try them once more
        self._patience = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._resting: dict[str, tuple[float, Backoff]] = {}  # packet -> not before, its own patience
        self._digests: dict[str, str] = {}
        self._tried: set[str] = set()  # the fleet may hold some of these
        self._moved = False  # since the link last broke
        self._ferries = False  # what goes now goes through the broker
        self._near_since = 0.0
        self._ask_again: dict[str, float] = {}  # uploaded packet -> not before

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
                if not self._keep_ready():
                    pause = self._settings.retry_first_s
            except LinkDown as problem:
                # More work is no reason to try sooner; a link that carried something just now is.
                sleep, pause = self._hurry, 0.0 if self._moved else self._patience.next()
                self._moved = False
                if not stop.is_set():
                    log.warning("upload-interrupted", code=problem.code, detail=problem.detail)
                    if not self._ferries:
                        self._choice.failed()
                        self._standing.https(problem.code)
            self._standing.sending("")
            if not stop.is_set():
                sleep.wait(pause)
        self._door.close()

    def _keep_ready(self) -> bool:
        """While a packet is about to be sealed, a connection that was found to work at every look: it costs
        the packet two round trips. Otherwise none: it would be dead by the next packet, unnoticed. False when
        there should be one and is not."""
        is_near = self._hatch.is_packet_near() and not self._choice.by_broker
        self._near_since = (self._near_since or time.monotonic()) if is_near else 0.0
        if not is_near or time.monotonic() - self._near_since > _NEAR_S:
            self._door.close()
            return True
        try:
            self._door.keep_ready()
            self._moved = True  # should it break at the first byte, the next try is at once
        except LinkDown as problem:
            log.debug("not-ready", code=problem.code)
            return False
        return True

    def _round(self, stop: Event) -> None:
        waiting = self._hatch.packets()
        there = {packet.packet_id for packet in waiting}
        self._digests = {name: digest for name, digest in self._digests.items() if name in there}
        self._tried &= there
        self._ask_again = {name: at for name, at in self._ask_again.items() if name in there}
        self._resting = {name: rest for name, rest in self._resting.items() if name in there}
        if self._released.is_set():
            self._released.clear()
            self._insisted = there
            self._resting = dict.fromkeys(there, (0.0, self._own_patience()))
            self._patience.reset()
        for packet in waiting:
            if stop.is_set():
                return
            if packet.is_uploaded:
                continue
            if packet.mark is not None and packet.mark.state == "refused":
                if packet.mark.final and packet.packet_id not in self._insisted:
                    continue
                again = time.monotonic() + self._settings.refused_again_s
                self._resting.setdefault(packet.packet_id, (again, self._own_patience()))
            if self._rests(packet) > time.monotonic():
                continue
            self._try(packet, stop)
        self._make_sure([packet for packet in waiting if packet.is_uploaded], stop)

    def _make_sure(self, uploaded: list[Waiting], stop: Event) -> None:
        """Once a day, and after a start, whether the fleet still holds what no service has answered yet: one
        that was put back from a copy gets it anew. Nothing else would ever send it."""
        for packet in uploaded:
            if stop.is_set() or self._choice.by_broker:
                return
            if max(self._ask_again.get(packet.packet_id, 0.0), self._rests(packet)) <= time.monotonic():
                self._try(packet, stop)

    def _rests(self, packet: Waiting) -> float:
        """Until when."""
        return self._resting.get(packet.packet_id, (0.0, None))[0]

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
            if isinstance(problem, Refused):
                self._refused(packet, problem.code)
            rest = self._settings.refused_again_s if isinstance(problem, Refused) else patience.next()
            self._resting[packet_id] = (time.monotonic() + rest, patience)
            log.warning("upload-not-now", packet=packet_id, code=problem.code, again_s=round(rest))

    def _send(self, packet: Waiting, file: BufferedReader, stop: Event) -> None:
        packet_id, size = packet.packet_id, packet.size
        if packet_id not in self._digests:
            self._digests[packet_id] = digest_of(file)

        def sent(offset: int) -> None:
            self._patience.reset()  # the link works, however short its moments are
            self._moved = True
            if not self._ferries:
                self._choice.works()
                self._standing.https("")
            if offset < size:
                self._hatch.mark(packet_id, Mark("sending", offset, size))

        fresh = packet_id not in self._tried and packet.mark is None
        self._tried.add(packet_id)
        digest = self._digests[packet_id]
        self._ferries = self._choice.by_broker
        if self._ferries:
            log.info("by-broker", packet=packet_id)
            self._door.close()
            crossing = Ferry(self._choice.slip, packet_id, size, file, self._settings.read_s, sent)
            is_there = crossing.send(digest, lambda: stop.is_set() or not self._choice.by_broker)
        else:
            piece = self._steering.tuning().piece_bytes or self._settings.piece_bytes
            sending = Sending(self._door, packet_id, size, file, piece, sent)
            is_there = sending.send(digest, fresh, stop)
        if not is_there:
            self._work.set()  # HTTPS works again: the rest goes there, now
            return
        self._ask_again[packet_id] = time.monotonic() + self._settings.asked_again_s
        self._hatch.mark(packet_id, Mark("uploaded", size, size))
        log.info("uploaded", packet=packet_id, bytes=size)
        self._patience.reset()
        if not self._ferries:
            self._choice.works()
            self._standing.https("")

    def _refused(self, packet: Waiting, code: str) -> None:
        final = is_final(code)
        self._hatch.mark(packet.packet_id, Mark("refused", 0, packet.size, code, final))
        log.error("upload-refused", packet=packet.packet_id, code=code, final=final)

    def _own_patience(self) -> Backoff:
        return Backoff(self._settings.retry_first_s, self._settings.retry_most_s)
