"""Looks at everything a day's work needs, without changing any of it; `readiness` judges what it finds."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509

from device.agent import health
from device.agent.journal import Journal
from device.agent.leasing import left_of
from device.agent.readiness import Found
from device.agent.recipients import Recipients
from device.agent.setup import Setup
from device.agent.term import Left
from device.errors import Code, KitError, Remedy
from device.ports import Clock, Condition, KeySource
from device.spool.held import read_newest
from device.spool.layout import Layout
from device.spool.timesource import time_source
from device.vault.database import Database
from device.vault.gate import Gate
from protocol.instant import read_instant

T = TypeVar("T")
V = TypeVar("V")


def examine(
    vault: Path,
    sys: Path,
    source: KeySource,
    recipients: Callable[[], Recipients],
    services: tuple[str, ...],
    certificates: Mapping[str, Path],
    openers: Mapping[str, Callable[[], Any]],
    clock: Clock,
    key_device: str = "",
) -> Found:
    """`openers` open the peripherals by name; `certificates` are PEM files, leaf first;
    `key_device` says why the key source is open to others than the agent, empty when it is not."""
    officers, visits, left = _look_into(vault, source, clock)
    measured = health.measure(sys, vault.parent if vault.parent.is_dir() else Path("/"))
    now = clock.now()
    return Found(
        now=now,
        time_source=time_source(now, read_newest(Layout(vault.parent / "spool"))),
        peripherals={name: _condition(opener) for name, opener in openers.items()},
        vault=officers,
        journal=visits,
        disk_free_mb=measured.disk_free_mb,
        certificates={name: _or_problem(_until, path) for name, path in certificates.items()},
        recipients=_or_problem(lambda at: _sealable_until(recipients(), services, at), now),
        device_secret=_problem(source.device_secret),
        battery=measured.battery,
        protection=source.protection,
        key_device=key_device,
        lease=left,
    )


def look_around(
    setup: Setup, conditions: Mapping[str, Condition], officers: int, visits: int, left: Left
) -> Found:
    """The same from within an agent that runs, which has the peripherals open and the vault read."""
    now, measured = setup.clock.now(), health.measure(setup.sys, setup.data)
    services = tuple(setup.catalogue)
    return Found(
        now=now,
        time_source=time_source(now, read_newest(Layout(setup.spool.root))),
        peripherals=conditions,
        vault=officers,
        journal=visits,
        disk_free_mb=measured.disk_free_mb,
        certificates={"sign": setup.kit.until},
        recipients=_or_problem(lambda at: _sealable_until(setup.recipients, services, at), now),
        device_secret=_problem(setup.key_source.device_secret),
        battery=measured.battery,
        protection=setup.key_source.protection,
        lease=left,
    )


def _look_into(
    path: Path, source: KeySource, clock: Clock
) -> tuple[int | KitError, int | KitError, Left | KitError]:
    """How many officers, how many visits, what is left of the lease."""
    if not path.exists():
        missing = KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
        return missing, missing, Left()
    try:
        database = Database(path)
    except KitError as problem:
        return problem, problem, problem
    try:
        officers = _or_problem(lambda made: len(Gate(made, source, clock).officers()), database)
        journal = _or_problem(lambda made: len(Journal(made).read()), database)
        return officers, journal, _or_problem(lambda made: _left(made, clock), database)
    finally:
        database.close()


def _left(database: Database, clock: Clock) -> Left:
    """By the reckoning as it is on disk: looking must not move it."""
    row = database.row("SELECT known FROM reckoning") if _reckons(database) else None
    now = clock.now()
    return left_of(database, now if row is None else max(read_instant(row[0]), now), now)


def _reckons(database: Database) -> bool:
    return database.row("SELECT 1 FROM sqlite_master WHERE name = 'reckoning'") is not None


def _condition(opener: Callable[[], Any]) -> Condition:
    try:
        driver = opener()
        try:
            condition: Condition = driver.condition()
            return condition
        finally:
            driver.close()
    except KitError as problem:
        return Condition("missing", detail=str(problem.code))


def _sealable_until(held: Recipients, services: tuple[str, ...], at: datetime) -> datetime:
    return min(read_instant(held.valid(service_id, at).expires) for service_id in services)


def _until(path: Path) -> datetime:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path.name} cannot be read") from problem


def _or_problem(read: Callable[[V], T], of: V) -> T | KitError:
    try:
        return read(of)
    except KitError as problem:
        return problem


def _problem(do: Callable[[], object]) -> KitError | None:
    try:
        do()
    except KitError as problem:
        return problem
    return None
