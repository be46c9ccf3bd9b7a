"""Where is it now? The kiosk says it in a line, by what the fleet last told the uplink."""

from datetime import UTC, datetime

import msgspec
import pytest

from device.agent.snapshot import Snapshot
from device.spool.records import Places
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.test_outgoing import sealed

PACKET = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
AT = "2026-11-23T09:30:00Z"


def tell(kit: Kit, packet_id: str, step: str) -> None:
    hatch = kit.hatch()
    hatch.store_places(msgspec.convert({packet_id: {"step": step, "at": AT}}, Places))
    hatch.close()


def at(now: Snapshot) -> str:
    return now.visit.where.step if now.visit and now.visit.where else ""


def test_the_screen_follows_the_hand_overs(kit: Kit) -> None:
    with Desktop(kit) as top:
        _, packet_id, _ = sealed(kit, top)
        seen = top.desk.now().visit
        assert seen is not None
        assert seen.where is None
        for step in ("committed", "forwarded"):
            tell(kit, packet_id, step)
            now = top.until(lambda now, step=step: at(now) == step)
            assert now.visit is not None
            assert now.visit.where is not None
            assert now.visit.where.at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "bad",
    [
        {"x": {"step": "committed", "at": AT}},
        {PACKET: {"step": "lost", "at": AT}},
        {PACKET: {"step": "committed", "at": "2026-02-30T09:30:00Z"}},
    ],
)
def test_what_is_no_whereabouts_is_refused(bad: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Places)


def test_a_damaged_file_says_nothing(kit: Kit) -> None:
    with Desktop(kit) as top:
        (kit.data / "spool" / "places.json").write_bytes(b"\xff{")
        assert top.spool.places() == {}
