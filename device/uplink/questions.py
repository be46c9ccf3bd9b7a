"""What the kit asks the fleet over MQTT, and where the answers go: signed commands and wishes, into the
spool.

Asked at every connect, at a doorbell, when the fleet is back, and now and then: a broker's queue may lose any
of them, and what waits for this kit lies with the fleet. An answer counts only when it was asked for.
"""

import binascii
import time
from collections.abc import Callable

import msgspec
import structlog

from device.spool.layout import SpoolRefused
from device.spool.steering_hatch import SteeringHatch
from device.uplink.claim import claimed
from protocol.ids import new_ulid
from protocol.messages import AskJobs, AskTwin, Body, Desired, JobsAnswer, TwinAnswer, Ulid
from protocol.topics import Tail

log = structlog.get_logger()


class _Claims(msgspec.Struct, frozen=True):
    job: Ulid


class Questions:
    """For one session, in its thread. `ask` publishes; `every_s` is how often without a reason."""

    def __init__(self, hatch: SteeringHatch, ask: Callable[[Tail, Body], object], every_s: float) -> None:
        self._hatch, self._ask, self._every_s = hatch, ask, every_s
        self._jobs_at = self._twin_at = float("-inf")
        self._jobs = self._twin = ""  # what the last questions were called

    def look(self) -> None:
        """Ask what it is time to ask."""
        now = time.monotonic()
        if now - self._jobs_at >= self._every_s:
            self._jobs_at, self._jobs = now, new_ulid()
            self._ask(Tail.ASK_JOBS, AskJobs(self._jobs))
        if now - self._twin_at >= self._every_s:
            self._twin_at, self._twin = now, new_ulid()
            self._ask(Tail.ASK_TWIN, AskTwin(self._twin))

    def hurry(self, *, twin: bool = True) -> None:
        """Ask at the next look."""
        self._jobs_at = float("-inf")
        if twin:
            self._twin_at = float("-inf")

    def take(self, body: Body) -> bool:
        """Whether `body` was an answer, or a wish that the broker kept for us."""
        match body:
            case JobsAnswer():
                if body.corr == self._jobs:
                    for token in body.commands:
                        self._store_command(token)
            case TwinAnswer():
                if body.corr == self._twin and body.document is not None:
                    self._store_wish(body.document)
            case Desired():
                self._store_wish(body.document)
            case _:
                return False
        return True

    def _store_command(self, token: str) -> None:
        try:
            job = msgspec.json.decode(claimed(token), type=_Claims).job
            self._hatch.store_command(job, token)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, SpoolRefused) as problem:
            log.warning("command-not-taken", problem=type(problem).__name__)
        else:
            log.info("command", job=job)

    def _store_wish(self, token: str) -> None:
        try:
            self._hatch.store_wish(token)
        except SpoolRefused as problem:
            log.warning("wish-not-taken", code=problem.code)
