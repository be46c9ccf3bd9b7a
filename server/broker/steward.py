"""The fleet as its broker's manager, one at a time: admits kits, dismisses them, and carries a revocation
through.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from protocol import access
from server.broker import following, installing, lists, members, release
from server.broker.control import Control
from server.broker.link import Identity, Link, Place
from server.broker.problem import BrokerProblem
from server.broker.release import Release
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import kits, notices, revocations
from server.fleet.revocations import Effect
from server.settings import Broker, Fleet

NOT_MANAGED = BrokerProblem("not-managed", "fleet.toml has no [broker]: the fleet cannot manage its broker")
log = structlog.get_logger()


class Manager:
    """`clock` tells the time that effects are noted with."""

    def __init__(self, database: Database, config: Fleet, clock: Callable[[], datetime]) -> None:
        self._database, self._config, self._clock = database, config, clock

    @property
    def place(self) -> Place:
        mqtt = self._config.mqtt
        return Place(mqtt.host, mqtt.port, mqtt.ca)

    def settle(self, kit_id: str, ready: Release | None = None, *, listening: bool = True) -> str:
        """Make the broker agree with the database about this kit; the outcome, for the log.

        A revoked kit's session ends, and lists that name it are installed: those of `ready`, or such as the
        authority on this machine signs now. BrokerProblem for the first thing that failed; all were tried."""
        with self._database.reading(EVERYONE) as db:
            active = kits.active(db, kit_id) is not None
            standing = revocations.standing(db, kit_id)
            left = revocations.waiting(db, kit_id)
        why = "key-compromise" if standing and standing.reason == "lost" else "cessation-of-operation"
        if active and self._config.broker is None:
            return "not-managed"  # whoever set the broker up told it of its kits
        if active:
            with self.control() as control:
                members.admit(control, kit_id)
            return "admitted"
        failures = [
            self._try(kit_id, left, "broker-session", lambda: self._dismiss(kit_id)),
            *self._lists(kit_id, why, left, ready, listening),
        ]
        for failure in failures:
            if failure is not None:
                raise failure
        return "revoked" if left else "nothing"

    def agree(self) -> tuple[int, int, int]:
        """Make the broker know exactly the kits of the database; how many were added, removed, put right."""
        if self._config.broker is None:
            return 0, 0, 0
        with self._database.reading(EVERYONE) as db:
            known = kits.all_active(db)
        with self.control() as control:
            agreed = members.agree(control, known, [self._config.mqtt.client_id])
        self._note_lists()
        return agreed

    def renew_lists(self) -> None:
        """New lists of the authority on this machine, installed at broker and listener."""
        self.install(self._signed("", "unspecified"), listening=True)

    def install(self, ready: Release, *, listening: bool) -> None:
        """BrokerProblem: then the old lists are in force where it failed."""
        settings, now = self.settings, self._clock()
        with self.alone():
            installing.install_at_broker(self.place, installing.files(settings), ready, now)
            self._note_lists()
            installing.install_at_door(self._config.kits, ready, now, listening=listening)
            self._follow(ready)

    @property
    def settings(self) -> Broker:
        if self._config.broker is None:
            raise NOT_MANAGED
        return self._config.broker

    @contextmanager
    def control(self) -> Iterator[Control]:
        """The manager's connection. There can be but one: the broker ends the first when a second comes."""
        settings = self.settings
        who = Identity(access.ADMIN, settings.certificate, settings.key)
        with self.alone(), Link(self.place, who) as link:
            yield Control(link)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else of this fleet manages the broker meanwhile; not to be entered twice."""
        self._config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._config.data / "broker.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _follow(self, ready: Release) -> None:
        """A release of before there were roots in it changes none."""
        if (ready.folder / "roots.pem").is_file():
            new = following.learn(self._config.trust.roots, ready.read("roots.pem"))
            if new:
                log.info("roots learnt", new=new)

    def _note_lists(self) -> None:
        """What kits are told of the lists that the broker honours. BrokerProblem list-unreadable."""
        held = installing.held(installing.files(self.settings).lists)
        number = lists.newest(lists.parse(held) if held.strip() else ())
        with self._database.writing(EVERYONE) as db:
            notices.lists_in_force(db, number, self._clock())

    def _dismiss(self, kit_id: str) -> None:
        with self.control() as control:
            members.dismiss(control, kit_id)

    def _lists(
        self, kit_id: str, why: str, left: set[Effect], ready: Release | None, listening: bool
    ) -> list[BrokerProblem | None]:
        if not left & {"broker-list", "door-list"}:
            return []
        try:
            fresh = ready or self._signed(kit_id, why)
        except BrokerProblem as problem:
            self._note(kit_id, "broker-list", problem)
            self._note(kit_id, "door-list", problem)
            return [problem]
        now, kits_door = self._clock(), self._config.kits

        def at_broker() -> None:
            with self.alone():
                installing.install_at_broker(self.place, installing.files(self.settings), fresh, now)
                self._note_lists()

        def at_door() -> None:
            with self.alone():
                installing.install_at_door(kits_door, fresh, now, listening=listening)

        return [
            self._try(kit_id, left, "broker-list", at_broker),
            self._try(kit_id, left, "door-list", at_door),
        ]

    def _signed(self, kit_id: str, reason: str) -> Release:
        settings = self.settings
        if settings.authority is None:
            raise BrokerProblem(
                "no-authority", "the CA is elsewhere: run `thuisloket-provision kit lost` where it is"
            )
        with self.alone():
            return release.sign(settings.authority, settings.release, kit_id, reason)

    def _try(
        self, kit_id: str, left: set[Effect], effect: Effect, do: Callable[[], None]
    ) -> BrokerProblem | None:
        if effect not in left:
            return None
        try:
            do()
        except BrokerProblem as problem:
            self._note(kit_id, effect, problem)
            return problem
        self._note(kit_id, effect, None)
        return None

    def _note(self, kit_id: str, effect: Effect, problem: BrokerProblem | None) -> None:
        log.info("revocation", kit=kit_id, effect=effect, problem=problem.code if problem else "")
        with self._database.writing(EVERYONE) as db:
            state: revocations.State = "failed" if problem else "done"
            revocations.note(db, kit_id, effect, state, str(problem) if problem else "", self._clock())
