"""A real kit and the fleet's book: what the kit destroys it certifies, and the dashboard comes to nothing."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from protocol.bag import BagVisit
from protocol.custody import sealing
from protocol.messages import Envelope, decode_body, encode
from protocol.topics import topic_of
from server.db.scope import EVERYONE, only
from server.db.tables import Application
from server.fleet import applications, ingest, kits, overview, retention
from tests.device.agent.kit import KIT, Desktop, Kit, certificate_pem
from tests.device.agent.test_outgoing import bring_receipt
from tests.device.agent.test_retention import SetClock
from tests.server.town import BRUGGE, Ground, Town, make_ground

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    (tmp_path / "kit").mkdir()
    return Kit(tmp_path / "kit")


@pytest.fixture
def town(tmp_path: Path, ground: Ground, kit: Kit) -> Iterator[Town]:
    """A fleet that trusts the kit's root and knows the kit."""
    made = Town(tmp_path / "town", ground)
    (made.folder / "trust" / "kit.pem").write_bytes(certificate_pem(kit.root.certificate))
    with made.database.writing(EVERYONE) as db:
        kits.add(db, KIT, ground.bag[1], [BRUGGE], datetime.now(UTC))
    yield made
    made.close()


def planned(town: Town, kit: Kit) -> BagVisit:
    """A visit that the fleet knows, in the kit's bag."""
    visit = town.plan(kit_id=KIT)
    line = msgspec.structs.replace(kit.visit(), visit_id=visit.visit_id, tenant=BRUGGE)
    kit.bring_bag(line)
    return line


def relay(town: Town, kit: Kit, now: datetime) -> list[str]:
    """What waits in the kit's outbox, told to the fleet as the uplink would, and let go."""
    hatch = kit.hatch()
    outcomes = []
    for report in hatch.reports(100):
        envelope = Envelope(
            v=1,
            id=report.id,
            kit=KIT,
            ses=1,
            seq=report.seq,
            ts=report.ts,
            ts_src=report.ts_src,
            body=decode_body(report.tail, bytes(report.body)),
        )
        topic = topic_of(KIT, report.tail)
        heard = ingest.take(town.database, topic, encode(topic, envelope), now, town.dock.roots)
        outcomes.append(heard.outcome)
        hatch.drop_reports((report.id,))
    hatch.close()
    return outcomes


def seen(town: Town, now: datetime) -> overview.Overview:
    with town.database.reading(only(BRUGGE)) as db:
        return overview.look(db, now)


def test_visit_receipt_a_day_the_certificate_and_nothing_is_left(town: Town, kit: Kit) -> None:
    now = datetime.now(UTC)
    with Desktop(kit) as top:
        line = planned(town, kit)
        snapshot = top.whole_visit(line).visit
        assert snapshot is not None
        packet_id = snapshot.packet_id
        data = top.packet(packet_id)
    assert relay(town, kit, now) == ["visit", "visit", "application", "deletion"]
    after_a_day = seen(town, now + DAY)
    assert after_a_day.oldest is not None
    assert (now + 2 * DAY - after_a_day.oldest).days in (1, 2)
    assert after_a_day.tally.queued == 1
    bring_receipt(kit, packet_id, kit.service.answer(data))
    with Desktop(kit, clock=SetClock(DAY)) as top:
        top.until(lambda _: not top.spool.receipts())
    answer_in_fleet(town, packet_id, kit, data, now)
    assert relay(town, kit, now + DAY) == ["application", "deletion"]
    end = seen(town, now + DAY)
    assert (end.oldest, end.oldest_of, end.incidents) == (None, {}, ())
    assert end.tally.accepted == end.tally.created == 1


def test_ninety_days_without_an_answer_raise_an_incident_that_waits(town: Town, kit: Kit) -> None:
    now = datetime.now(UTC)
    with Desktop(kit) as top:
        top.whole_visit(planned(town, kit))
    for days in (*range(9, 90, 9), 90.1):
        with Desktop(kit, clock=SetClock(days * DAY)):
            pass
    relay(town, kit, now + 91 * DAY)
    end = seen(town, now + 91 * DAY)
    assert (end.oldest, [line.code for line in end.incidents]) == (None, ["hard-limit"])
    assert (end.tally.created, end.tally.refused) == (1, 1)
    shutil.rmtree(kit.folder)


def test_a_draft_is_told_by_age_and_by_nothing_else(kit: Kit) -> None:
    line = kit.visit()
    kit.bring_bag(line)
    with Desktop(kit) as top:
        top.until_step(line, "fingers")
    with Desktop(kit, clock=SetClock(9 * DAY)) as top:
        top.until(lambda _: (kit.data / "spool" / "shown" / "health.json").exists())
    health = (kit.data / "spool" / "shown" / "health.json").read_bytes()
    told = msgspec.json.decode(health)
    assert (told["drafts"], told["oldest_draft_s"] // 86_400) == (1, 9)
    assert line.visit_id.encode() not in health


def answer_in_fleet(town: Town, packet_id: str, kit: Kit, data: bytes, now: datetime) -> None:
    """The packet as it arrived, and the service's answer to it, in the fleet's book."""
    from protocol.sealed.receipt import verify_receipt
    from protocol.signed import key_id

    outer = kit.service.open(data).outer
    core, public = outer.manifest, kit.service.receipt_key.public_key()
    token = kit.service.answer(data)
    receipt = verify_receipt(token, {key_id(public): public})
    packet = applications.Packet(
        packet_id=packet_id,
        visit_id=core.visit_id,
        tenant=core.tenant,
        service_id=core.service_id,
        kit_id=core.kit_id,
        kit_cert_serial=core.kit_cert_serial,
        seq=core.seq,
        manifest_sha256=outer.manifest_sha256,
        size=len(data),
        blob_sha256=town.dock.blobs.put(data),
        sealing=sealing(outer.manifest_bytes, outer.signatures.kit),
    )
    with town.database.writing(EVERYONE) as db:
        applications.arrived(db, packet, now)
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, packet_id)
        applications.answered(db, row, receipt, token, now)
    retention.purge(town.database, town.dock.blobs, now)
