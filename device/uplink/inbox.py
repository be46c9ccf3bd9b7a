"""What the fleet has for this kit: the day bag with the lease, and signed receipts (protocol 6). Fetched,
stored, confirmed.

Neither is opened or judged here: the bag is sealed to the agent, and a receipt counts by its signature.
"""

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Annotated, Literal, NoReturn

import msgspec
import structlog
from msgspec import Meta

from device.spool import layout
from device.spool.hatch import Hatch
from device.spool.layout import SpoolRefused
from device.spool.records import Places
from device.uplink.backoff import Backoff
from device.uplink.choice import Choice
from device.uplink.claim import claimed
from device.uplink.door import Answer, Door
from device.uplink.leases import Leases
from device.uplink.lists import Lists
from device.uplink.problems import LinkDown
from device.uplink.settings import UplinkSettings
from device.uplink.standing import Standing
from protocol.messages import Instant, Ulid, moment

log = structlog.get_logger()

_ANSWER_BYTES = 4 * 1024 * 1024
_PROBE_S = 20.0
_BATCHES = 20  # in one fetch; the rest comes with the next


class _Bag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=10**15)]
    sealed: Annotated[str, Meta(max_length=layout.MAX_BAG * 4 // 3 + 4)]


class _Inbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bag: _Bag | None
    receipts: Annotated[list[Annotated[str, Meta(max_length=layout.MAX_RECEIPT)]], Meta(max_length=500)]
    now: Instant
    where: Places = {}
    lease: Annotated[str, Meta(max_length=layout.MAX_LEASE * 4 // 3 + 4)] | None = None


class _ShutOut(msgspec.Struct, frozen=True):
    error: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
    now: Instant | Literal[""] = ""


class _Answers(msgspec.Struct, frozen=True):
    packet_id: Ulid


class Inbox:
    """The fetcher's thread, with a connection of its own."""

    def __init__(
        self,
        settings: UplinkSettings,
        hatch: Hatch,
        standing: Standing,
        door: Door,
        told: Callable[[datetime], None],
        choice: Choice,
    ) -> None:
        """`told` hears what time it is by the fleet."""
        self._settings, self._hatch, self._standing, self._door = settings, hatch, standing, door
        self._told, self._choice = told, choice
        self._leases = Leases(settings, hatch)
        self._lists = Lists(settings, door)
        self._asked = ""
        self._work = Event()

    def ask(self) -> None:
        """The agent rang: when it asks for a lease it has not asked for before, there is something to do."""
        waiting = self._leases.urgent()
        if waiting is not None and waiting != self._asked:
            self._asked = waiting
            self._work.set()

    def wake(self) -> None:
        """The doorbell rang, or the link is up again. May be called from any thread."""
        self._work.set()

    def run(self, stop: Event) -> None:
        patience = Backoff(self._settings.retry_first_s, self._settings.retry_most_s)
        while not stop.is_set():
            self._work.clear()
            try:
                self._fetch(stop)
                self._lists.look()
            except LinkDown as problem:
                pause = patience.next()
                if not stop.is_set():
                    log.warning("inbox-unreachable", code=problem.code, detail=problem.detail)
                    self._choice.failed()
                    self._standing.https(problem.code)
            else:
                pause = self._settings.inbox_every_s
                patience.reset()
                self._choice.works()
                self._standing.https("")
            self._door.close()
            if not stop.is_set():
                # While packets take the long way, it is we who find out that HTTPS does again.
                self._work.wait(min(pause, _PROBE_S) if self._choice.by_broker else pause)

    def _fetch(self, stop: Event) -> None:
        for _ in range(_BATCHES):
            request = self._leases.at_hand()
            inbox = self._ask(request)
            self._hatch.note_time(moment(inbox.now))
            self._told(moment(inbox.now))
            self._hatch.store_places(inbox.where)
            if request is not None:  # before the bag: who has the planning has the lease
                self._leases.keep(request, inbox.lease)
            if inbox.bag is not None:
                self._store_bag(inbox.bag)
            stored = [name for name in map(self._store_receipt, inbox.receipts) if name]
            if stored:
                done = self._door.post("/kit/v1/inbox/done", {"receipts": stored}, limit=_ANSWER_BYTES)
                if done.status != 204:
                    raise LinkDown(f"status-{done.status}")
            if not stored or stop.is_set():
                return

    def _ask(self, request: str | None) -> _Inbox:
        """One fetch; a request for a lease goes along."""
        held = self._hatch.bag_version()
        if request is None:
            answer = self._door.call("GET", f"/kit/v1/inbox?bag={held}", limit=_ANSWER_BYTES)
        else:
            wish = {"bag": held, "request": request}
            answer = self._door.post("/kit/v1/inbox", wish, limit=_ANSWER_BYTES)
        if answer.status == 403:
            self._shut_out(answer)
        if answer.status != 200:
            raise LinkDown(f"status-{answer.status}")
        return answer.read(_Inbox)

    def _shut_out(self, answer: Answer) -> NoReturn:
        """LinkDown. A certificate that has ended opens one door still: the one where it is renewed."""
        refusal = answer.read(_ShutOut)
        if refusal.now:
            self._told(moment(refusal.now))
        raise LinkDown(refusal.error)

    def _store_bag(self, bag: _Bag) -> None:
        try:
            if self._hatch.store_bag(bag.version, base64.b64decode(bag.sealed, validate=True)):
                log.info("bag", version=bag.version)
        except (binascii.Error, SpoolRefused) as problem:
            raise LinkDown("bad-answer", "a bag that cannot be one") from problem

    def _store_receipt(self, receipt: str) -> str:
        """The packet it is for, once it is on disk; "" for one that is not taken, which the fleet keeps."""
        try:
            packet_id = msgspec.json.decode(claimed(receipt), type=_Answers).packet_id
            self._hatch.store_receipt(packet_id, receipt)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, SpoolRefused) as problem:
            log.warning("receipt-not-taken", problem=type(problem).__name__)
            return ""
        log.info("receipt", packet=packet_id)
        return packet_id
