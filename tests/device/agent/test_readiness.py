"""Doctor's judgement: what keeps a kit at home, what is only a warning, and what to do about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from device.agent.readiness import Found, is_ready, judge
from device.agent.term import Left
from device.errors import Code, KitError, Remedy
from device.ports import Condition

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
MONTH = NOW + timedelta(days=30)
PROBLEM = KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, "row 3")
GOOD = Found(
    now=NOW,
    time_source="ntp",
    peripherals={name: Condition("ok", name) for name in ("camera", "card", "fingerprint", "signature")},
    vault=2,
    journal=5,
    disk_free_mb=50_000,
    certificates={"kit-sign": MONTH, "kit-tls": MONTH},
    recipients=MONTH,
    device_secret=None,
)


def test_a_good_kit_is_ready_and_every_check_is_green() -> None:
    checks = judge(GOOD)
    assert is_ready(checks)
    assert {check.state for check in checks} == {"ok"}
    assert {check.remedy for check in checks} == {""}
    assert [check.name for check in checks] == [
        *("camera", "card", "fingerprint", "signature", "device-secret", "vault", "journal", "disk", "clock"),
        *("kit-sign", "kit-tls", "recipients"),
    ]


@pytest.mark.parametrize(
    ("found", "name", "state"),
    [
        (replace(GOOD, peripherals={"card": Condition("missing", detail="no-reader")}), "card", "fail"),
        (replace(GOOD, peripherals={"camera": Condition("degraded", "folder")}), "camera", "warn"),
        (replace(GOOD, vault=0), "vault", "fail"),
        (replace(GOOD, vault=PROBLEM), "vault", "fail"),
        (replace(GOOD, journal=PROBLEM), "journal", "fail"),
        (replace(GOOD, device_secret=PROBLEM), "device-secret", "fail"),
        (replace(GOOD, disk_free_mb=100), "disk", "fail"),
        (replace(GOOD, disk_free_mb=1000), "disk", "warn"),
        (replace(GOOD, now=datetime(1970, 1, 1, tzinfo=UTC)), "clock", "fail"),
        (replace(GOOD, time_source="none"), "clock", "warn"),
        (replace(GOOD, recipients=NOW), "recipients", "fail"),
        (replace(GOOD, recipients=PROBLEM), "recipients", "fail"),
        (replace(GOOD, recipients=NOW + timedelta(days=2)), "recipients", "warn"),
        (replace(GOOD, certificates={"kit-sign": NOW - timedelta(1)}), "kit-sign", "fail"),
        (replace(GOOD, lease=Left(True, 47 * HOUR, 12)), "lease", "ok"),
        (replace(GOOD, lease=Left(True, 20 * HOUR, 12)), "lease", "warn"),  # not through tomorrow
        (replace(GOOD, lease=Left(True, 47 * HOUR, 0)), "lease", "warn"),
        (replace(GOOD, lease=Left(True, 0 * HOUR, 12)), "lease", "fail"),
        (replace(GOOD, battery=12), "battery", "warn"),
        (replace(GOOD, battery=80), "battery", "ok"),
    ],
)
def test_each_defect_has_its_state_and_a_remedy(found: Found, name: str, state: str) -> None:
    checks = judge(found)
    check = next(check for check in checks if check.name == name)
    assert check.state == state
    assert (check.remedy == "") is (state == "ok")
    assert is_ready(checks) is (state != "fail")
