"""The fleet's end of MQTT: takes in what kits say, tells them what was committed, and rings their doorbells.

Plain subscriptions, never `$share`; every worker has its own fixed client id and a session kept for an hour;
clean start 0 and subscribing anew at every connect; a message is acknowledged only after its commit (facts
measured on mosquitto 2.0.11: docs/decisions/0072-ingest-by-plain-subscription.md).
"""

import itertools
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import structlog
from cryptography import x509
from sqlalchemy.orm import Session

from protocol import ferry
from protocol.ids import new_ulid
from protocol.messages import Body, Desired, Doorbell, Envelope, FleetState, Receipts, encode, instant
from protocol.mqtt5 import Publish, Will
from protocol.topics import FLEET_LISTENS, Tail, topic_of
from server.broker.line import Line
from server.db import turns
from server.db.engine import Database
from server.db.listening import Bell
from server.db.queueing import WriterHeld
from server.db.scope import EVERYONE
from server.fleet import ingest, landing, notices, outbox, questions, twins
from server.fleet.outbox import Claim, Queue
from server.fleet.uploads import Dock
from server.settings import Mqtt
from server.work import utc_now

IDLE_S = 0.2
RUNG_S = 1.0  # the same where a bell rings for new work
OURS: tuple[Queue, ...] = ("receipt", "doorbell", "answer", "desired", "notice")
KEPT_BY_BROKER = frozenset({Tail.DESIRED, Tail.NOTICE})
"""Retained: who comes later hears the newest."""
WINDOW = 100  # pieces of work claimed at once; a batch of receipts is one message a kit
ANSWER_S = 20.0

log = structlog.get_logger()


class Ingest:
    """One MQTT worker. `run` returns when stopped, and raises what made it stop otherwise."""

    def __init__(
        self, database: Database, settings: Mqtt, roots: Sequence[x509.Certificate], dock: Dock
    ) -> None:
        """`roots`: what the kits' signing certificates lead to; `dock`: where packets land that come in
        pieces."""
        self._database = database
        self._roots, self._dock = roots, dock
        self._session = int(time.time() * 1000)  # grows from start to start, as `ses` must
        self._sequence = itertools.count(1)  # each step is one for all threads
        self._work = threading.Event()
        self._failure: BaseException | None = None
        self._over = threading.Event()
        self._line = Line(settings, FLEET_LISTENS, self._will, self._take_in, self._on_up)

    def run(self, stop: threading.Event) -> None:
        """Connect, and work until `stop` is set."""
        hung_up = threading.Event()
        line = threading.Thread(target=self._hold_line, args=(hung_up,), name="line")
        line.start()
        bell = Bell(self._database, self._rung)
        try:
            bell.start()
            while not stop.is_set() and self._failure is None:
                if not (self._line.online.is_set() and self._send_what_can()):
                    self._work.wait(RUNG_S if self._database.postgresql else IDLE_S)
                    self._work.clear()
        finally:
            bell.stop()
            if self._line.online.is_set():
                self._say_state("lost").wait(2.0)
            hung_up.set()
            self._over.set()
            self._line.nudge()
            line.join()
            self._line.close()
        if self._failure is not None:
            raise self._failure

    def _rung(self, queue: str) -> None:
        """Not for what we commit ourselves: batch after batch of reports, with nothing to send in it."""
        if queue in ("", *OURS):
            self._work.set()

    # --- on the threads of the line -------------------------------------------------------------------------

    def _hold_line(self, hung_up: threading.Event) -> None:
        try:
            self._line.run(hung_up)
        except Exception as problem:  # border: a thread would end unseen; the process must end
            # Not acknowledged: the broker keeps it, and the kit too, until a worker has committed it.
            log.error("ingest failed", exc_info=problem)
            self._failure = problem
            self._work.set()

    def _will(self) -> Will:
        return Will(*self._message("", Tail.FLEET, FleetState(s="lost")))

    def _on_up(self, kept: bool) -> None:
        """A broker without our session may have lost all it kept: what is retained is said anew."""
        self._say_state("online")
        if not kept:
            now = utc_now()
            try:
                with self._database.writing(EVERYONE) as db:
                    twins.show_again(db, now)
                    outbox.put_once(db, "notice", "", now)
            except WriterHeld as problem:
                raise ConnectionError(str(problem)) from problem  # connect again, and try again then
        self._work.set()

    def _take_in(self, batch: Sequence[Publish]) -> None:
        """Until it is committed: what is not is not acknowledged, and the broker keeps it for us."""
        while True:
            try:
                return self._commit(batch)
            except WriterHeld as problem:
                log.error("not taken in yet", messages=len(batch), **problem.told)
                if self._over.is_set():
                    raise

    def _commit(self, batch: Sequence[Publish]) -> None:
        for piece in (each for each in batch if ferry.is_up(each.topic)):
            landed = turns.whole(
                partial(landing.take, self._database, self._dock, piece.topic, piece.payload, utc_now())
            )
            if landed is not None:  # nobody waits for the answer: a kit that hears nothing asks again
                self._line.publish(ferry.down_topic(landed[0]), ferry.encode(landed[1]))
        messages = [(each.topic, each.payload) for each in batch if not ferry.is_up(each.topic)]
        heard = ingest.take_all(self._database, messages, utc_now(), self._roots) if messages else []
        events = [each for each in heard if each.event]
        if events:
            self._work.set()
        for each in events:
            log.info("heard", kit=each.kit_id, message=each.message_id, outcome=each.outcome)
        if len(events) < len(heard):
            log.debug("heard states", count=len(heard) - len(events))

    # --- what waits in the outbox, on our thread ------------------------------------------------------------

    def _send_what_can(self) -> bool:
        try:
            return self._send_some()
        except WriterHeld as problem:  # what was sent all the same is sent again: whoever hears it knows it
            log.error("not sent yet", **problem.told)
            return False

    def _send_some(self) -> bool:
        """Publish what waits for kits; False when nothing did."""
        now = utc_now()
        with self._database.reading(EVERYONE) as db:
            if not outbox.due(db, OURS, now):
                return False
        with self._database.writing(EVERYONE) as db:
            claims = outbox.claim(db, OURS, WINDOW, now)
            messages = [*_batched(claims), *_single(db, claims, now)]
        if not claims:
            return False  # somebody else was faster, or holds it: that may take a while
        sent = [
            (same, self._publish((kit_id, tail), body, retain=tail in KEPT_BY_BROKER))
            for same, kit_id, tail, body in messages
        ]
        deadline = time.monotonic() + ANSWER_S
        answered = {
            claim
            for same, answer in sent
            if answer.wait(max(0.0, deadline - time.monotonic()))
            for claim in same
        }
        with self._database.writing(EVERYONE) as db:
            for claim in claims:
                if claim in answered:
                    outbox.done(db, claim)
                else:
                    outbox.again(db, claim, utc_now(), "broker-silent")
        return True

    def _say_state(self, state: str) -> threading.Event:
        body = FleetState(s="online" if state == "online" else "lost")
        return self._publish(("", Tail.FLEET), body, retain=True)

    def _publish(self, about: tuple[str, Tail], body: Body, *, retain: bool = False) -> threading.Event:
        """The event is set once the broker has answered for it."""
        return self._line.publish(*self._message(*about, body), retain=retain)

    def _message(self, kit_id: str, tail: Tail, body: Body) -> tuple[str, bytes]:
        topic = topic_of(kit_id, tail)
        envelope = Envelope(
            v=1,
            id=new_ulid(),
            kit=kit_id,
            ses=self._session,
            seq=next(self._sequence),
            ts=instant(utc_now()),
            ts_src="ntp",
            body=body,
        )
        return topic, encode(topic, envelope)


_Message = tuple[list[Claim], str, Tail, Body]


def _batched(claims: Iterable[Claim]) -> list[_Message]:
    """One message a kit for all its receipts, and one for each of its doorbells."""
    alike: dict[tuple[str, str, str], list[Claim]] = {}
    for claim in claims:
        if claim.queue in ("receipt", "doorbell"):
            bell = claim.body if claim.queue == "doorbell" else ""
            alike.setdefault((claim.queue, claim.subject, bell), []).append(claim)
    messages: list[_Message] = []
    for (queue, kit_id, bell), same in alike.items():
        if queue == "receipt":
            ids = tuple(dict.fromkeys(claim.body for claim in same))
            messages.append((same, kit_id, Tail.RECEIPTS, Receipts(ids=ids)))
        else:
            ring = Doorbell(job="jobs" if bell == "jobs" else "inbox")
            messages.append((same, kit_id, Tail.DOORBELL, ring))
    return messages


def _single(db: Session, claims: Iterable[Claim], now: datetime) -> list[_Message]:
    """Answers, wishes and the notice to all, made up now."""
    messages: list[_Message] = []
    for claim in claims:
        if claim.queue == "answer":
            messages.append(([claim], *questions.answer(db, claim.subject, claim.body, now)))
        elif claim.queue == "desired":
            document = twins.document(db, claim.subject)
            if document is None:
                outbox.done(db, claim)  # the kit was retired meanwhile
            else:
                messages.append(([claim], claim.subject, Tail.DESIRED, Desired(document)))
        elif claim.queue == "notice":
            messages.append(([claim], "", Tail.NOTICE, notices.said(db, now)))
    return messages
