"""Three days without a network, then a clock that cannot be right: everything arrives, in order, and no time
is believed that need not be. Real broker, fleet, service and uplink; only their clocks are set (libfaketime).
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from device.spool.hatch import Hatch
from device.spool.records import Report
from device.spool.spool import Spool
from protocol.custodycheck import judge
from protocol.instant import read_instant, write_instant
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application, Holding, Message, Visit
from server.fleet import custody
from tests.clocks import clock
from tests.mosquitto import Mosquitto, until
from tests.server.fleet.test_custody import trusted
from tests.server.programs import count, service
from tests.server.town import KIT, Ground, Town, make_ground
from tests.system.test_link import Fleet, Uplink

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
PATIENCE_S = 120.0
DAYS, A_DAY = 3, 5
BROKEN = 2  # told of only when the clock had gone wrong
CLOCKS = ["1970-01-02 08:00:00", "2036-11-22 08:00:00"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Its kit and officer have been at work for a while."""
    made, life = make_ground(tmp_path_factory.mktemp("ground")), (timedelta(days=-10), timedelta(days=20))
    for role, name in (("kit-tls", KIT), ("kit-sign", KIT), ("officer", "an.peeters")):
        made.pki.issue_aged(role, name, *life)
    return made


@pytest.fixture
def town(tmp_path: Path, ground: Ground) -> Iterator[Town]:
    made = Town(tmp_path / "town", ground)
    broker = Mosquitto(made.folder / "broker", ground.pki)
    made.ports["mqtt"] = broker.port
    made.write_toml()
    broker.start()
    yield made
    broker.stop()
    made.close()


def tell(spool: Path, packets: Sequence[Sealed], env: Mapping[str, str]) -> None:
    told = [f"{each.manifest.visit_id},{each.manifest.packet_id},{each.manifest_sha256}" for each in packets]
    subprocess.run([sys.executable, "-m", "tests.system.offline", str(spool), *told], env=env, check=True)


def waiting(spool: Path) -> list[Report]:
    """What the outbox holds, in its order."""
    files = sorted((spool / "events").glob("*.json"))
    return [msgspec.json.decode(path.read_bytes(), type=Report) for path in files]


@pytest.mark.parametrize("wrong", CLOCKS)
def test_fifteen_visits_of_three_days_arrive_in_order_with_honest_times(town: Town, wrong: str) -> None:
    fleet, uplink, left = (
        Fleet(town),
        Uplink(town, piece_bytes=8192),
        datetime.now(UTC) - timedelta(days=DAYS),
    )
    folder = uplink.spool.root
    visits = [town.plan(hour=6 + number) for number in range(DAYS * A_DAY)]
    hatch = Hatch(folder)
    hatch.note_time(left)  # when it was last online
    hatch.close()
    uplink.spool.close()
    packets: list[Sealed] = []
    for day in range(DAYS):
        today = [_seal(town, folder, visits.pop(0), len(packets) + n, left, day) for n in range(A_DAY)]
        packets += today
        tell(folder, today if day < DAYS - 1 else today[:-BROKEN], clock(f"-{DAYS - day}d"))
    tell(folder, packets[-BROKEN:], clock(f"@{wrong}"))
    uplink.spool = Spool(folder)
    told = waiting(folder)
    _say_honestly(told, left, wrong)
    ids = [packet.manifest.packet_id for packet in packets]
    try:
        fleet.start()
        with service(town):
            uplink.start(clock(f"@{wrong}"))
            until(lambda: uplink.spool.uploaded() == ids, PATIENCE_S, "the uploads")
            until(lambda: sorted(dict(uplink.spool.receipts())) == sorted(ids), PATIENCE_S, "the receipts")
            until(lambda: uplink.spool.reports_waiting() == 0, PATIENCE_S, "the events")
            assert count(town)["distinct"] == len(ids)
            until(lambda: _signed(town, ids), PATIENCE_S, "the signed steps")
        assert uplink.end() == 0
    finally:
        uplink.close()
        fleet.stop()
    _arrived_in_order(town, packets, [report.id for report in told])


def _seal(town: Town, folder: Path, visit: Visit, seq: int, left: datetime, day: int) -> Sealed:
    """As on the kit while its clock is right: with one that cannot be, it does not seal."""
    created = write_instant((left + timedelta(days=day, seconds=seq)).replace(microsecond=0))
    sealed = town.packet(visit, seq + 1, created_utc=created)
    spool = Spool(folder)
    spool.offer_packet(sealed.manifest.packet_id, sealed.data)
    spool.close()
    return sealed


def _say_honestly(told: Sequence[Report], left: datetime, wrong: str) -> None:
    """Each event says when by the kit's clock, and of a clock that cannot be right that it is nothing."""
    right, doubted = told[: -2 * BROKEN], told[-2 * BROKEN :]
    assert len(told) == 2 * DAYS * A_DAY
    for number, report in enumerate(right):
        day = left + timedelta(days=number // (2 * A_DAY))
        assert abs(read_instant(report.ts) - day) < timedelta(hours=1), report
    assert {report.ts[:4] for report in doubted} == {wrong[:4]}
    assert {report.ts_src for report in doubted} == {"none"}


def _signed(town: Town, ids: Sequence[str]) -> bool:
    with town.database.reading(EVERYONE) as db:
        chains = [custody.chain(db, name) for name in ids]
    return all(judge(chain, trusted(town)).sound for chain in chains)


def _arrived_in_order(town: Town, packets: Sequence[Sealed], told: Sequence[str]) -> None:
    with town.database.reading(EVERYONE) as db:
        rows = list(db.scalars(select(Application).order_by(Application.uploaded)))
        holdings = list(db.scalars(select(Holding)))
        heard = list(db.scalars(select(Message).order_by(Message.received)))
    assert [row.packet_id for row in rows] == [packet.manifest.packet_id for packet in packets]
    assert {row.state for row in rows} == {"accepted"}
    assert sorted(message.message_id for message in heard) == sorted(told)
    # By the fleet's own clock, whatever the kit's said.
    now, soon = datetime.now(UTC), timedelta(minutes=20)
    assert all(now - soon < row.uploaded < now for row in rows)
    assert all(now - soon < message.received < now for message in heard)
    assert all(now - soon < holding.since < now for holding in holdings)
