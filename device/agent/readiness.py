"""Whether this kit can do a day's work: what was found, judged. Pure; used by `doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from device.agent.term import Left
from device.errors import KitError, Remedy
from device.ports import Condition

State = Literal["ok", "warn", "fail"]

DISK_LOW_MB = 2_000
DISK_FULL_MB = 200
SOON = timedelta(days=3)
BORN = datetime.fromisoformat("2026-11-01T00:00:00Z")
"""No kit is older than its program: a clock before this has lost its battery."""


@dataclass(frozen=True)
class Check:
    name: str
    state: State
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Found:
    """What was measured. A KitError stands where something could not be read."""

    now: datetime
    time_source: Literal["ntp", "rtc", "none"]
    peripherals: Mapping[str, Condition]
    vault: int | KitError  # how many officers can unlock it
    journal: int | KitError  # how many visits it tells of
    disk_free_mb: int
    certificates: Mapping[str, datetime | KitError]  # until when each is valid
    recipients: datetime | KitError  # until when there is somebody to seal to
    device_secret: KitError | None
    battery: int | None = None
    protection: Literal["hardware", "reduced"] = "hardware"
    key_device: str = ""  # why others than the agent may ask the key source
    lease: Left | KitError = field(default_factory=Left)  # how long the store opens without the fleet


def judge(found: Found) -> tuple[Check, ...]:
    return (
        *(_peripheral(name, condition) for name, condition in sorted(found.peripherals.items())),
        _secret(found),
        _vault(found.vault),
        _journal(found.journal),
        _disk(found.disk_free_mb),
        _clock(found.now, found.time_source),
        *(_until(name, until, found.now) for name, until in sorted(found.certificates.items())),
        _until("recipients", found.recipients, found.now),
        *_lease(found.lease),
        *(() if found.battery is None else (_battery(found.battery),)),
    )


def is_ready(checks: tuple[Check, ...]) -> bool:
    """A warning does not keep a kit at home."""
    return all(check.state != "fail" for check in checks)


def _peripheral(name: str, condition: Condition) -> Check:
    states: Mapping[str, State] = {"ok": "ok", "degraded": "warn", "missing": "fail"}
    state = states[condition.state]
    detail = " ".join(part for part in (condition.model, condition.detail) if part)
    return Check(name, state, detail, "" if state == "ok" else Remedy.OFFICER)


def _secret(found: Found) -> Check:
    if found.device_secret is not None:
        return _failed("device-secret", found.device_secret)
    if found.key_device:
        return Check("device-secret", "fail", found.key_device, Remedy.WORKSHOP)
    if found.protection == "reduced":
        return Check("device-secret", "warn", "reduced protection: no TPM", Remedy.WORKSHOP)
    return Check("device-secret", "ok", "hardware protection")


def _vault(officers: int | KitError) -> Check:
    if isinstance(officers, KitError):
        return _failed("vault", officers)
    if officers == 0:
        return Check("vault", "fail", "no officer can unlock it", Remedy.WORKSHOP)
    return Check("vault", "ok", f"{officers} officers")


def _journal(visits: int | KitError) -> Check:
    return (
        _failed("journal", visits)
        if isinstance(visits, KitError)
        else Check("journal", "ok", f"{visits} visits")
    )


def _disk(free_mb: int) -> Check:
    detail = f"{free_mb} MB free"
    if free_mb < DISK_FULL_MB:
        return Check("disk", "fail", detail, Remedy.WORKSHOP)
    return Check(
        "disk",
        "warn" if free_mb < DISK_LOW_MB else "ok",
        detail,
        "" if free_mb >= DISK_LOW_MB else Remedy.WORKSHOP,
    )


def _clock(now: datetime, source: str) -> Check:
    if now < BORN:
        return Check("clock", "fail", f"it says {now.date().isoformat()}", Remedy.WORKSHOP)
    if source == "none":
        return Check("clock", "warn", "set neither from the network nor by a battery clock", Remedy.OFFICER)
    return Check("clock", "ok", source)


def _until(name: str, until: datetime | KitError, now: datetime) -> Check:
    if isinstance(until, KitError):
        return _failed(name, until)
    detail = f"valid until {until.date().isoformat()}"
    if now >= until:
        return Check(name, "fail", detail, Remedy.WORKSHOP)
    soon = until - now < SOON
    return Check(name, "warn" if soon else "ok", detail, Remedy.WORKSHOP if soon else "")


def _lease(left: Left | KitError) -> tuple[Check, ...]:
    if isinstance(left, KitError):
        return (_failed("lease", left),)
    if not left.known:
        return ()
    detail = f"{left.time // timedelta(hours=1)} h and {left.visits} new visits without the fleet"
    if left.ended:
        return (Check("lease", "fail", "ended: bring the kit online", Remedy.OFFICER),)
    if left.enough_for_today and left.enough_for_tomorrow:
        return (Check("lease", "ok", f"enough for today: {detail}"),)
    return (Check("lease", "warn", f"{detail}: bring the kit online", Remedy.OFFICER),)


def _battery(share: int) -> Check:
    if share < 20:
        return Check("battery", "warn", f"{share} %", Remedy.OFFICER)
    return Check("battery", "ok", f"{share} %")


def _failed(name: str, problem: KitError) -> Check:
    return Check(name, "fail", " ".join((problem.code, problem.detail)).strip(), problem.remedy)
