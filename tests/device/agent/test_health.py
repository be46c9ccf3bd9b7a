"""Health is read from any sysfs, also from one that lies or is not there."""

from pathlib import Path

import pytest

from device.agent import health
from device.agent.snapshot import Link
from device.ports import Condition


def write(sys: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = sys / "class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


LAPTOP = {
    "power_supply/BAT0/type": "Battery\n",
    "power_supply/BAT0/capacity": "83\n",
    "power_supply/AC/type": "Mains\n",
    "power_supply/AC/online": "1\n",
    "thermal/thermal_zone0/temp": "41500\n",
    "thermal/thermal_zone1/temp": "52900\n",
}


@pytest.mark.parametrize(
    ("files", "battery", "mains", "temperature"),
    [
        (LAPTOP, 83, True, 52),
        ({}, None, None, None),
        ({**LAPTOP, "power_supply/AC/online": "0\n"}, 83, False, 52),
        ({**LAPTOP, "power_supply/BAT0/capacity": "104\n"}, 100, True, 52),
        ({**LAPTOP, "power_supply/BAT0/capacity": "\n"}, None, True, 52),
        ({**LAPTOP, "power_supply/BAT0/capacity": "eighty\n"}, None, True, 52),
        ({"power_supply/usb/type": "USB\n", "power_supply/usb/online": "1"}, None, True, None),
        ({"thermal/thermal_zone0/temp": "-5000\n"}, None, None, -5),
        ({"thermal/thermal_zone0/temp": "9999999\n"}, None, None, None),
        ({"thermal/thermal_zone0/temp": "\xff\xfe"}, None, None, None),
    ],
)
def test_what_sysfs_says(
    tmp_path: Path, files: dict[str, str], battery: int | None, mains: bool | None, temperature: int | None
) -> None:
    write(tmp_path, files)
    measured = health.measure(tmp_path, tmp_path)
    assert (measured.battery, measured.mains, measured.temperature_c) == (battery, mains, temperature)
    assert measured.disk_free_mb > 0
    assert measured.uptime_s > 0


def test_the_bodies_hold_what_the_protocol_asks_and_no_more() -> None:
    conditions = {"card": Condition("ok", "Reader [CCID] (é)", "S/N 1", "1.0", example=True)}
    measured = health.Measured(50, None, None, 1000, 10)
    body = health.health(measured, conditions, Link(True, 2, 30, None), 4, in_visit=True)
    assert (body.peripherals, body.sealed_waiting, body.oldest_waiting_s) == ({"card": "ok"}, 2, 30)
    assert (body.reports_waiting, body.in_visit) == (4, True)
    born = health.birth(conditions, "2026-11-23T08:00:00.000Z", "2026-12-23T08:00:00.000Z", "reduced")
    assert born.test_trust
