"""How the kit was while nobody heard it: what a newer report replaced, bounded, the newest kept."""

from pathlib import Path

import pytest

from device.spool import layout
from device.spool.layout import Layout
from device.spool.past import Past, PastHatch
from protocol.messages import BadMessage

HEALTH = (
    '{"kind":"health","battery":%d,"mains":true,"temperature_c":null,"disk_free_mb":1,"peripherals":{},'
    '"sealed_waiting":0,"oldest_waiting_s":0,"reports_waiting":0,"in_visit":false,"uptime_s":5}'
)


def body(battery: int) -> bytes:
    return (HEALTH % battery).encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Layout(tmp_path).make()
    return tmp_path


def batteries(root: Path) -> list[int]:
    found = [bytes(report.body) for report in PastHatch(root).reports(set())]
    return [int(each.split(b'"battery":')[1].split(b",")[0]) for each in found]


def test_what_is_replaced_unheard_is_kept_and_what_is_shown_is_not(root: Path) -> None:
    past = Past(root)
    for battery in (90, 89, 88):
        past.shown(body(battery), heard=False)
    assert batteries(root) == [90, 89]
    past.shown(body(87), heard=True)  # the network is back, and heard 88 as what is so
    past.shown(body(86), heard=False)
    past.shown(body(85), heard=False)
    assert batteries(root) == [90, 89, 86]


def test_what_is_heard_leaves_nothing(root: Path) -> None:
    past = Past(root)
    for battery in (90, 89, 88):
        past.shown(body(battery), heard=True)
    assert batteries(root) == []


def test_of_many_the_oldest_go(root: Path) -> None:
    past = Past(root)
    for number in range(layout.MAX_PAST + 10):
        past.shown(body(number % 100), heard=False)
    assert batteries(root) == [number % 100 for number in range(9, layout.MAX_PAST + 9)]


def test_what_the_broker_has_is_dropped_and_what_is_under_way_is_not_told_again(root: Path) -> None:
    past, hatch = Past(root), PastHatch(root)
    for battery in (90, 89, 88, 87):
        past.shown(body(battery), heard=False)
    first, second, third = hatch.reports(set())
    assert hatch.reports({first.id, second.id}) == [third]
    hatch.drop({first.id, second.id})
    assert hatch.reports(set()) == [third]


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"\xff", b'"tail":"up/evt/visit"', b'"ts":"2026-02-30T09:30:00Z"']
)
def test_what_cannot_be_read_is_dropped(root: Path, damage: bytes) -> None:
    past = Past(root)
    for battery in (90, 89, 88):
        past.shown(body(battery), heard=False)
    first = min((root / "past").iterdir())
    whole = first.read_bytes()
    if b":" in damage:
        name = damage.split(b":")[0] + b":"
        rest = whole.split(name, 1)[1].split(b'"', 2)[1]
        damage = whole.replace(name + b'"' + rest + b'"', damage)
        assert damage != whole
    first.write_bytes(damage)
    assert batteries(root) == [89]
    assert not first.exists()


def test_what_is_no_health_is_refused(root: Path) -> None:
    with pytest.raises(BadMessage):
        Past(root).shown(b'{"kind":"presence","s":"online"}', heard=False)
