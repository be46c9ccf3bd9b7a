"""What the fleet wishes this kit to be set to: judged against the pinned key, kept in the vault, applied, and
told setting by setting.

What is not wished is as the kit's own file says. A wish that came is held until a newer one comes, also past
its end: the end keeps an old one from being taken, not one that was taken from holding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent import log as logs
from device.agent.landmarks import Passed
from device.agent.retention import Calendar
from device.errors import KitError
from device.ports import Clock
from device.spool.records import Tuning
from device.spool.spool import Spool
from device.spool.steering import SteeringDesk
from device.vault.database import Database
from protocol.desired import DesiredState, problem_of, verify_desired
from protocol.messages import Reported, SettingResult, encode_body
from protocol.messages.twin import Setting, WishRefusal
from protocol.topics import Tail
from protocol.word import BadCommand

log = structlog.get_logger()

TABLES = (
    "CREATE TABLE IF NOT EXISTS wish (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL,"
    " settings TEXT NOT NULL) STRICT",
)
_KNOWN = frozenset(get_args(Setting))
Settings = Mapping[str, int | str]


@dataclass
class Tuned:
    """How this kit is set now. One is shared by all that go by it, on the desk's thread."""

    health_every_s: float
    idle_lock_s: float
    language: str = ""  # of the officer until another is chosen; "": as the kit's file says


class Wishes:
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
        tuned: Tuned,
    ) -> None:
        self._database, self._desk, self._spool = database, desk, spool
        self._keys, self._kit_id = command_keys, kit_id
        self._calendar, self._clock, self._passed = calendar, clock, passed
        self._tuned = tuned
        self._own = Tuned(tuned.health_every_s, tuned.idle_lock_s)
        self._judged = ""
        self._level = "info"
        self._refused: WishRefusal = ""
        self._told: Reported | None = None
        database.define(TABLES)
        self._version, self._settings = self._read()
        self._pending = ""  # the language that waits for the end of a visit

    def look(self, in_visit: bool) -> None:
        """Take what came, apply what holds, tell how it stands."""
        try:
            now = self._clock.now()
            token = self._desk.wish()
            if token and token != self._judged and self._desk.clock_can_be_right(now):
                self._judge(token, max(now, self._calendar.known()))
            results = self._apply(in_visit)
            told = Reported(version=self._version, refused=self._refused, results=results)
            if (self._version or self._refused) and told != self._told:
                self._spool.show("reported", encode_body(Tail.REPORTED, told))
                self._told = told
        except KitError as problem:
            log.warning("wishes-wait", code=str(problem.code), detail=problem.detail)

    def _judge(self, token: str, now: datetime) -> None:
        try:
            wish = verify_desired(token, self._keys, self._kit_id, self._version, now)
        except BadCommand as problem:
            log.warning("wish-refused", code=problem.code)
            # A wish has no action, so that one code cannot be.
            self._refused = "malformed" if problem.code == "unknown-action" else problem.code
        else:
            self._refused = ""
            if wish.version > self._version:
                self._keep(wish)
        self._judged = token

    def _keep(self, wish: DesiredState) -> None:
        self._passed("wish:before")
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO wish VALUES (1, ?, ?)",
                (wish.version, msgspec.json.encode(wish.settings).decode()),
            )
        self._passed("wish:after")
        self._version, self._settings = wish.version, wish.settings
        log.info("wish", version=wish.version)

    def _read(self) -> tuple[int, Settings]:
        row = self._database.row("SELECT version, settings FROM wish")
        return (0, {}) if row is None else (row[0], msgspec.json.decode(row[1], type=dict[str, int | str]))

    def _apply(self, in_visit: bool) -> tuple[SettingResult, ...]:
        """Set everything, and say of each wish what became of it. Doing it again changes nothing."""
        good = {name: value for name, value in self._settings.items() if not problem_of(name, value)}
        self._tuned.health_every_s = float(good.get("health-every-s", self._own.health_every_s))
        self._tuned.idle_lock_s = float(good.get("idle-lock-s", self._own.idle_lock_s))
        language = str(good.get("language", ""))
        waits = in_visit and language != self._tuned.language
        if not waits:
            self._tuned.language = language
        level = str(good.get("log-level", "info"))
        if level != self._level:
            logs.set_level(level)
            self._level = level
        self._desk.tune(
            msgspec.convert(
                {"piece_bytes": good.get("upload-piece-bytes"), "log_level": good.get("log-level")}, Tuning
            )
        )
        results = []
        for name, value in sorted(self._settings.items()):
            if name not in _KNOWN:
                continue  # of a newer fleet: it sees that we say nothing of it
            setting = cast(Setting, name)
            if problem := problem_of(name, value):
                results.append(SettingResult(setting, "refused", problem))
            elif name == "language" and waits:
                results.append(SettingResult(setting, "pending", "after-visit"))
            else:
                results.append(SettingResult(setting, "applied"))
        return tuple(results)
