"""Jobs of the fleet: named actions, each done once, whatever is repeated, cut off or killed.

A command is judged against the pinned key and written into the vault before anything is done; from there it
goes step by step, each step on disk before it is told. What a power cut interrupts is begun again (every
action may be), and told once: its messages have their ids from the beginning. A clock that cannot be right
judges no command: it waits until the clock is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.landmarks import Passed
from device.agent.retention import Calendar
from device.errors import KitError
from device.ports import Clock
from device.spool.layout import SpoolRefused
from device.spool.spool import Spool
from device.spool.steering import SteeringDesk
from device.vault.database import Database
from protocol.command import Action, Command, verify_command
from protocol.ids import new_ulid
from protocol.instant import read_instant
from protocol.messages import JobEvent, encode_body
from protocol.messages.twin import JobCode, JobState
from protocol.topics import Tail
from protocol.word import BadCommand

log = structlog.get_logger()

TABLES = (
    # `told`: how many of the steps of this state were put into the outbox; `messages`: the id of each
    "CREATE TABLE IF NOT EXISTS job (job TEXT PRIMARY KEY, counter INTEGER NOT NULL UNIQUE,"
    " action TEXT NOT NULL, not_after TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL,"
    " told INTEGER NOT NULL, messages TEXT NOT NULL) STRICT",
)
_NEVER_LATE = datetime.min.replace(tzinfo=UTC)
KEPT = 200
STRANGE = 20
"""So many refusals of what may not even be the fleet's are told from start to stop: no more fills the
outbox."""


@dataclass(frozen=True)
class Deeds:
    """What the desk can do. `self_test`: whether all is well."""

    lock: Callable[[], None]
    report: Callable[[], None]
    self_test: Callable[[], bool]
    renew: Callable[[], None]


class Jobs:
    """All calls on the desk's thread."""

    def __init__(
        self,
        database: Database,
        desk: SteeringDesk,
        spool: Spool,
        command_keys: Mapping[str, ec.EllipticCurvePublicKey],
        kit_id: str,
        calendar: Calendar,
        clock: Clock,
        passed: Passed,
        deeds: Deeds,
    ) -> None:
        self._database, self._desk, self._spool = database, desk, spool
        self._keys, self._kit_id = command_keys, kit_id
        self._calendar, self._clock, self._passed, self._deeds = calendar, clock, passed, deeds
        self._begun: set[str] = set()  # since this start; what was begun before is begun again
        self._strange: set[tuple[str, str]] = set()
        database.define(TABLES)

    def look(self, in_visit: bool) -> None:
        """Take what came, do what is due, tell what is new."""
        try:
            now = self._clock.now()
            if self._desk.clock_can_be_right(now):
                # Setting the clock back makes no old command young.
                self._take(max(now, self._calendar.known()))
            self._work(in_visit)
            self._tell()
        except KitError as problem:
            log.warning("jobs-wait", code=str(problem.code), detail=problem.detail)

    # --- taking ---------------------------------------------------------------------------------------

    def _take(self, now: datetime) -> None:
        new = []
        for job, token in self._desk.commands():
            if self._database.row("SELECT 1 FROM job WHERE job = ?", (job,)):
                # Offered again: the fleet has not heard of it, whatever became of our words. The same words.
                with self._database.transaction() as tx:
                    tx.execute("UPDATE job SET told = 0 WHERE job = ?", (job,))
                self._desk.drop_command(job)
                continue
            if (command := self._judge(job, token)) is not None:
                new.append(command)
        for command in sorted(new, key=lambda each: each.counter):
            if command.counter <= self._last():
                self._refuse(command.job, BadCommand("replayed"))
                continue
            late = now >= read_instant(command.not_after)
            self._passed("command:before")
            self._keep(command, *(("refused", "expired") if late else ("accepted", "")))
            self._passed("command:after")
            self._desk.drop_command(command.job)

    def _judge(self, job: str, token: str) -> Command | None:
        """None when it is refused for good, and dropped."""
        try:
            # Not by its end: what is rightly ours and late is remembered, and refused under its own name.
            command = verify_command(token, self._keys, self._kit_id, self._last(), _NEVER_LATE)
        except BadCommand as problem:
            self._refuse(job, problem)
            return None
        if command.job != job:
            log.warning("command-misnamed", message=job)
            self._desk.drop_command(job)
            return None
        return command

    def _keep(self, command: Command, state: JobState, code: JobCode) -> None:
        messages = " ".join(new_ulid() for _ in range(3))
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                (command.job, command.counter, command.action, command.not_after, state, code, messages),
            )
            tx.execute(
                "DELETE FROM job WHERE state IN ('done', 'failed', 'refused') AND counter NOT IN"
                " (SELECT counter FROM job ORDER BY counter DESC LIMIT ?)",
                (KEPT,),
            )
        log.info("job", message=command.job, what=command.action, state=state, code=code)

    def _refuse(self, job: str, problem: BadCommand) -> None:
        """Not remembered: whoever made it may have taken the name of a job that is yet to come. Dropped
        before it is told: the right one may be sent at once then, and must not be dropped."""
        self._desk.drop_command(job)
        log.warning("command-refused", message=job, code=problem.code)
        if (job, problem.code) in self._strange or len(self._strange) >= STRANGE:
            return
        self._strange.add((job, problem.code))
        self._report(JobEvent(job, "refused", problem.code), new_ulid())

    def _last(self) -> int:
        row = self._database.row("SELECT max(counter) FROM job")
        return int(row[0] or 0) if row else 0

    # --- doing ----------------------------------------------------------------------------------------

    def _work(self, in_visit: bool) -> None:
        due = self._database.rows(
            "SELECT job, action, not_after, state FROM job WHERE state IN ('accepted', 'running')"
            " ORDER BY counter"
        )
        for job, action, not_after, state in due:
            if state == "accepted":
                if self._is_late(not_after):
                    self._set(job, "failed", "timed-out")
                    continue
                if action == "lock" and in_visit:
                    continue  # between visits alone
                if action == "renew-certificate":
                    self._deeds.renew()  # stands on disk until it is done: no start begins it again
                self._set(job, "running", "")
            elif action == "renew-certificate" and self._is_late(not_after) and not self._desk.is_renewed():
                self._set(
                    job, "failed", "timed-out"
                )  # it may still come, from an authority that is elsewhere
                continue
            self._passed("job:before")
            end = self._do(job, action)
            self._passed("job:after")
            if end is not None:
                self._set(job, *end)

    def _do(self, job: str, action: Action) -> tuple[JobState, JobCode] | None:
        """How it ended; None while it is under way."""
        asked: dict[Action, Callable[[], None]] = {
            "try-uploads-now": self._spool.try_now,
            "reconnect": self._desk.reconnect,
        }
        if action == "renew-certificate":
            return ("done", "") if self._desk.is_renewed() else None
        if action in asked:
            if job not in self._begun:
                self._begun.add(job)
                asked[action]()
                return None
            return ("done", "") if self._desk.is_taken_up() else None
        if action == "self-test":
            return ("done", "") if self._deeds.self_test() else ("failed", "self-test")
        (self._deeds.lock if action == "lock" else self._deeds.report)()
        return "done", ""

    def _is_late(self, not_after: str) -> bool:
        return max(self._clock.now(), self._calendar.known()) >= read_instant(not_after)

    def _set(self, job: str, state: JobState, code: JobCode) -> None:
        told = 1 if code == "timed-out" else 3  # that it ran is no step on the way to that end
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE job SET state = ?, code = ?, told = min(told, ?) WHERE job = ?",
                (state, code, told, job),
            )
        log.info("job", message=job, state=state, code=code)

    # --- telling --------------------------------------------------------------------------------------

    def _tell(self) -> None:
        rows = self._database.rows("SELECT job, state, code, told, messages FROM job ORDER BY counter")
        for job, state, code, told, messages in rows:
            path = _path(state, code)
            if told >= len(path):
                continue
            ids = dict(zip(("accepted", "running", "end"), messages.split(), strict=True))
            for step in path[told:]:
                last = step == state
                self._report(JobEvent(job, step, code if last else ""), ids.get(step) or ids["end"])
            self._passed("job-told:before")
            with self._database.transaction() as tx:
                tx.execute("UPDATE job SET told = ? WHERE job = ?", (len(path), job))

    def _report(self, event: JobEvent, message_id: str) -> None:
        try:
            self._spool.report(Tail.JOB, encode_body(Tail.JOB, event), message_id)
        except SpoolRefused as problem:
            log.error("job-not-told", message=event.job, code=problem.code)


def _path(state: JobState, code: JobCode) -> tuple[JobState, ...]:
    """The steps that are told of a job that is in `state`."""
    if state == "refused":
        return ("refused",)
    if code == "timed-out":  # while it waited
        return ("accepted", state)
    if state in ("done", "failed"):
        return ("accepted", "running", state)
    return ("accepted", "running") if state == "running" else ("accepted",)
