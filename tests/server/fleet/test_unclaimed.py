"""A packet that is here whole and is no application is told to a person, and no longer once it is one."""

from datetime import UTC, datetime, timedelta

import pytest

from server.db.scope import EVERYONE, only
from server.db.tables import Application, KitTenant, Upload
from server.fleet import incidents, unclaimed, uploads
from server.fleet.refused import Refused
from server.fleet.unclaimed import PATIENCE
from tests.server.fleet.test_uploads import begin, send, write
from tests.server.town import BRUGGE, DAMME, OTHER_KIT, Town

MINUTE = timedelta(minutes=1)


def watch(town: Town, now: datetime) -> list[str]:
    with town.database.writing(EVERYONE) as db:
        return [code for _, code in unclaimed.watch(db, now)]


def told(town: Town, *tenants: str) -> list[tuple[str, str, str]]:
    """What waits for a person: which kit, what, and how large and why."""
    with town.database.reading(only(*tenants) if tenants else EVERYONE) as db:
        return [(row.kit_id, row.code, row.detail) for row in incidents.listed(db, waiting_only=True)]


def test_what_is_refused_is_told_after_an_hour_and_over_once_it_is_taken(town: Town) -> None:
    sealed, before = town.packet(town.plan(), kit_id=OTHER_KIT), datetime.now(UTC)
    packet_id = sealed.manifest.packet_id
    with pytest.raises(Refused, match="foreign-visit"):
        send(town, packet_id, sealed.data, kit_id=OTHER_KIT)
    assert watch(town, before + PATIENCE - MINUTE) == []
    assert watch(town, before + PATIENCE + MINUTE) == ["packet-refused"]
    assert watch(town, before + PATIENCE + 2 * MINUTE) == []
    size = f"{-(-len(sealed.data) // 1000)} kB"
    assert told(town, DAMME) == [(OTHER_KIT, "packet-refused", f"{size} foreign-visit")]
    assert told(town, BRUGGE) == []
    with town.database.reading(EVERYONE) as db:
        (row,) = incidents.listed(db)
        assert before <= row.at <= datetime.now(UTC)
        assert row.subject == packet_id

    with pytest.raises(Refused, match="foreign-visit"):  # offered again, as each hour
        begin(town, packet_id, sealed.data, OTHER_KIT)
    assert watch(town, before + 2 * PATIENCE) == []
    assert len(told(town, DAMME)) == 1

    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
    assert begin(town, packet_id, sealed.data, OTHER_KIT).state == "complete"
    assert watch(town, before + 3 * PATIENCE) == []
    assert told(town) == []
    with town.database.reading(EVERYONE) as db:
        (row,) = incidents.listed(db)
        assert (row.acknowledged, row.acknowledged_by) == (before + 3 * PATIENCE, "")


def test_what_was_sent_whole_and_never_judged_is_told_until_the_kit_comes_back(town: Town) -> None:
    sealed, before = town.packet(town.plan()), datetime.now(UTC)
    packet_id = sealed.manifest.packet_id
    town.dock.blobs.root.write_bytes(b"a disk that went wrong")
    with pytest.raises(OSError, match=r"(?i)exists|directory"):
        send(town, packet_id, sealed.data)
    assert watch(town, before + PATIENCE - MINUTE) == []
    assert watch(town, before + PATIENCE + MINUTE) == ["packet-unfinished"]
    assert [code for _, code, _ in told(town)] == ["packet-unfinished"]
    town.dock.blobs.root.unlink()
    assert begin(town, packet_id, sealed.data).state == "complete"
    assert watch(town, before + PATIENCE + 2 * MINUTE) == []
    assert told(town) == []


def test_what_was_taken_and_is_no_application_is_told_until_it_is_one_again(town: Town) -> None:
    sealed, start = town.packet(town.plan()), datetime.now(UTC)
    packet_id = sealed.manifest.packet_id
    send(town, packet_id, sealed.data)
    assert watch(town, start + 2 * PATIENCE) == []
    uploaded(town, packet_id, None)  # as a backup put back would
    assert watch(town, start) == []
    assert watch(town, start + PATIENCE) == ["packet-unknown"]
    assert [code for _, code, _ in told(town)] == ["packet-unknown"]
    uploaded(town, packet_id, start)
    assert watch(town, start + 2 * PATIENCE) == []
    assert told(town) == []
    uploaded(town, packet_id, None)  # and once more: it waits again
    assert [watch(town, start + hours * PATIENCE) for hours in (3, 4)] == [[], ["packet-unknown"]]
    assert len(told(town)) == 1


def uploaded(town: Town, packet_id: str, at: datetime | None) -> None:
    with town.database.writing(EVERYONE) as db:
        db.get_one(Application, packet_id).uploaded = at


def test_bytes_that_are_not_what_was_sealed_are_not_whole_and_nobody_is_told(town: Town) -> None:
    sealed, start = town.packet(town.plan()), datetime.now(UTC)
    packet_id = sealed.manifest.packet_id
    standing = begin(town, packet_id, sealed.data)
    with pytest.raises(Refused, match="digest"):
        write(town, packet_id, 0, standing.generation, bytes(len(sealed.data)))
    assert watch(town, start + 2 * PATIENCE) == []


def test_what_an_administrator_looked_into_is_not_told_again_nor_what_was_swept(town: Town) -> None:
    lost, start = [town.packet(town.plan(hour=hour), kit_id=OTHER_KIT) for hour in (9, 11)], datetime.now(UTC)
    for sealed in lost:
        with pytest.raises(Refused, match="foreign-visit"):
            send(town, sealed.manifest.packet_id, sealed.data, kit_id=OTHER_KIT)
    assert len(watch(town, start + 2 * PATIENCE)) == 2
    admin = town.actor("admin", DAMME)
    with town.database.writing(admin.scope) as db:
        first = incidents.listed(db)[0]
        incidents.acknowledge(db, admin, first.incident_id, start + 2 * PATIENCE)
    assert watch(town, start + 3 * PATIENCE) == []
    assert len(told(town, DAMME)) == 1
    assert uploads.sweep(town.database, town.dock, start + 2 * uploads.KEPT) == 2
    assert watch(town, start + 2 * uploads.KEPT) == []
    assert len(told(town, DAMME)) == 1


def test_however_many_are_refused_each_is_told_once(town: Town) -> None:
    start = datetime.now(UTC)
    count = unclaimed.MOST + 20
    with town.database.writing(EVERYONE) as db:
        for number in range(count):
            db.add(
                Upload(
                    packet_id=f"01{number:024d}", kit_id=OTHER_KIT, size=1000, sha256="0" * 64, generation=1,
                    written=1000, state="refused", reason="foreign-visit", touched=start, whole=start,
                )
            )  # fmt: skip
    found = [len(watch(town, start + minutes * MINUTE)) for minutes in (61, 62, 63)]
    assert found == [unclaimed.MOST, 20, 0]
    with town.database.reading(EVERYONE) as db:
        assert len(incidents.waiting(db, unclaimed.CODES)) == count
