"""Packets over a link that breaks: resumed, fenced, whole or refused; committed once."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState, VisitState
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application, OutboxRow, Upload, Visit
from server.fleet import applications, kits, uploads
from server.fleet.refused import Refused
from server.fleet.uploads import LONGEST_PATCH, OutOfStep, Standing
from tests.server.town import KIT, OTHER_KIT, Town


def now() -> datetime:
    return datetime.now(UTC)


def begin(town: Town, packet_id: str, data: bytes, kit_id: str = KIT) -> Standing:
    digest = sha256(data).hexdigest()
    return uploads.begin(town.database, town.dock, kit_id, packet_id, len(data), digest, now())


def write(
    town: Town, packet_id: str, offset: int, generation: int, data: bytes, kit_id: str = KIT
) -> Standing:
    return uploads.write(town.database, town.dock, kit_id, packet_id, offset, generation, data, now())


def send(town: Town, packet_id: str, data: bytes, piece: int = LONGEST_PATCH, kit_id: str = KIT) -> Standing:
    standing = begin(town, packet_id, data, kit_id)
    while standing.state == "open":
        part = data[standing.offset : standing.offset + piece]
        standing = write(town, packet_id, standing.offset, standing.generation, part, kit_id)
    return standing


def held(town: Town, packet_id: str) -> Application:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Application, packet_id)


def test_a_packet_sent_in_pieces_is_committed_and_will_be_forwarded(town: Town) -> None:
    visit = town.plan()
    sealed = town.packet(visit)
    packet_id = sealed.manifest.packet_id
    assert send(town, packet_id, sealed.data, 4096).state == "complete"
    application = held(town, packet_id)
    assert application.state == ApplicationState.UPLOADED
    assert application.manifest_sha256 == sealed.manifest_sha256
    assert application.blob_sha256 is not None
    assert town.dock.blobs.read(application.blob_sha256) == sealed.data
    assert list(town.dock.parts.iterdir()) == []
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Visit, visit.visit_id).state == VisitState.SEALED
        assert db.scalars(select(OutboxRow.subject).where(OutboxRow.queue == "forward")).all() == [packet_id]


def test_the_same_packet_again_is_complete_at_once_and_counted_once(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    send(town, packet_id, sealed.data)
    assert begin(town, packet_id, sealed.data).state == "complete"
    with town.database.reading(EVERYONE) as db:
        assert len(db.scalars(select(OutboxRow).where(OutboxRow.queue == "forward")).all()) == 1


def test_a_new_begin_fences_the_older_writer_off(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    old = begin(town, packet_id, sealed.data)
    new = begin(town, packet_id, sealed.data)
    assert new.generation == old.generation + 1
    write(town, packet_id, 0, new.generation, sealed.data[:1000])
    with pytest.raises(OutOfStep) as caught:
        write(town, packet_id, 0, old.generation, b"x" * 1000)
    assert (caught.value.code, caught.value.offset, caught.value.generation) == (
        "generation",
        1000,
        new.generation,
    )
    assert (town.dock.parts / packet_id).read_bytes() == sealed.data[:1000]


@pytest.mark.parametrize("offset", [0, 999, 1001, 5000])
def test_a_piece_for_another_place_is_answered_with_ours(town: Town, offset: int) -> None:
    sealed = town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    standing = begin(town, packet_id, sealed.data)
    write(town, packet_id, 0, standing.generation, sealed.data[:1000])
    with pytest.raises(OutOfStep) as caught:
        write(town, packet_id, offset, standing.generation, b"x" * 10)
    assert (caught.value.code, caught.value.offset) == ("offset", 1000)


def test_what_was_written_but_never_committed_is_written_over(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    standing = begin(town, packet_id, sealed.data)
    write(town, packet_id, 0, standing.generation, sealed.data[:1000])
    with (town.dock.parts / packet_id).open("ab") as file:  # the power went between fsync and commit
        file.write(b"y" * 3000)
    resumed = begin(town, packet_id, sealed.data)
    assert resumed.offset == 1000
    write(town, packet_id, 1000, resumed.generation, sealed.data[1000:1010])
    assert (town.dock.parts / packet_id).read_bytes() == sealed.data[:1010]


def test_bytes_that_are_not_what_was_sealed_are_all_asked_for_again(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    standing = begin(town, packet_id, sealed.data)
    damaged = bytes([sealed.data[0] ^ 1]) + sealed.data[1:]
    with pytest.raises(Refused, match="digest"):
        write(town, packet_id, 0, standing.generation, damaged)
    assert begin(town, packet_id, sealed.data).offset == 0
    assert send(town, packet_id, sealed.data).state == "complete"


def other_tenant(town: Town, visit: Visit) -> dict[str, Any]:
    return {"tenant": "0207458223"}


def unknown_visit(town: Town, visit: Visit) -> dict[str, Any]:
    return {"visit_id": "01J00000000000000000000000"}


def other_service(town: Town, visit: Visit) -> dict[str, Any]:
    return {"service_id": "be.other.application"}


def from_tomorrow(town: Town, visit: Visit) -> dict[str, Any]:
    return {"created_utc": f"{(now() + timedelta(days=3)):%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_tenant, "foreign-visit"),
        (unknown_visit, "unknown-visit"),
        (other_service, "wrong-visit"),
        (from_tomorrow, "from-the-future"),
    ],
)
def test_a_packet_that_does_not_belong_is_refused_and_not_kept(town: Town, change: Any, code: str) -> None:
    visit = town.plan()
    sealed = town.packet(visit, **change(town, visit))
    with pytest.raises(Refused, match=code):
        send(town, sealed.manifest.packet_id, sealed.data)
    with town.database.reading(EVERYONE) as db:
        assert db.get(Application, sealed.manifest.packet_id) is None
        assert db.get_one(Upload, sealed.manifest.packet_id).reason == code
    assert not any(path.is_file() for path in town.dock.blobs.root.rglob("*"))


def test_a_packet_that_another_kit_carries_counts_as_of_the_kit_that_signed_it(town: Town) -> None:
    sealed = town.packet(town.plan())
    send(town, sealed.manifest.packet_id, sealed.data, kit_id=OTHER_KIT)
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Application, sealed.manifest.packet_id).kit_id == KIT


def test_a_packet_of_a_kit_that_does_not_serve_the_municipality_is_refused_whoever_carries_it(
    town: Town,
) -> None:
    sealed = town.packet(town.plan(), kit_id=OTHER_KIT)
    with pytest.raises(Refused, match="foreign-visit"):
        send(town, sealed.manifest.packet_id, sealed.data)


def test_a_packet_of_another_name_than_its_own_is_refused(town: Town) -> None:
    visit = town.plan()
    with pytest.raises(Refused, match="wrong-packet-id"):
        send(town, town.packet(visit).manifest.packet_id, town.packet(visit).data)


def test_a_packet_that_is_not_one_is_refused(town: Town) -> None:
    with pytest.raises(Refused, match="not-a-packet"):
        send(town, town.packet(town.plan()).manifest.packet_id, b"x" * 5000)


def test_a_counter_used_twice_is_refused(town: Town) -> None:
    first, second = town.packet(town.plan(hour=9)), town.packet(town.plan(hour=10))
    send(town, first.manifest.packet_id, first.data)
    with pytest.raises(Refused, match="sequence-used"):
        send(town, second.manifest.packet_id, second.data)


def test_what_was_refused_is_judged_again_when_the_reason_is_gone(town: Town) -> None:
    visit = town.plan()
    sealed = town.packet(visit)
    with town.database.writing(EVERYONE) as db:
        db.get_one(Visit, visit.visit_id).service_id = "be.other.application"
    with pytest.raises(Refused, match="wrong-visit"):
        send(town, sealed.manifest.packet_id, sealed.data)
    with town.database.writing(EVERYONE) as db:
        db.get_one(Visit, visit.visit_id).service_id = visit.service_id
    assert begin(town, sealed.manifest.packet_id, sealed.data).state == "complete"


def test_a_carrier_and_the_kit_itself_fence_each_other_and_the_packet_is_whole(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id, data = sealed.manifest.packet_id, sealed.data
    first = begin(town, packet_id, data)
    write(town, packet_id, 0, first.generation, data[:4000])
    second = begin(town, packet_id, data, OTHER_KIT)
    assert (second.offset, second.generation) == (4000, first.generation + 1)
    with pytest.raises((Refused, OutOfStep)):
        write(town, packet_id, 4000, first.generation, data[4000:])
    third = begin(town, packet_id, data)
    assert write(town, packet_id, third.offset, third.generation, data[4000:]).state == "complete"
    assert begin(town, packet_id, data, OTHER_KIT).state == "complete"


def test_a_retired_kit_commits_nothing_more(town: Town) -> None:
    sealed = town.packet(town.plan())
    with town.database.writing(EVERYONE) as db:
        kits.retire(db, KIT, now())
    with pytest.raises(Refused, match="unknown-kit"):
        send(town, sealed.manifest.packet_id, sealed.data)


@pytest.mark.parametrize(
    ("packet_id", "size", "digest", "code"),
    [
        ("../../etc/passwd", 10, "a" * 64, "bad-packet-id"),
        ("01J00000000000000000000000", 0, "a" * 64, "bad-size"),
        ("01J00000000000000000000000", 1 << 40, "a" * 64, "bad-size"),
        ("01J00000000000000000000000", 10, "../x", "bad-digest"),
    ],
)
def test_a_begin_that_makes_no_sense_is_refused(
    town: Town, packet_id: str, size: int, digest: str, code: str
) -> None:
    with pytest.raises(Refused, match=code):
        uploads.begin(town.database, town.dock, KIT, packet_id, size, digest, now())


def test_more_than_was_announced_is_refused(town: Town) -> None:
    sealed = town.packet(town.plan())
    standing = begin(town, sealed.manifest.packet_id, sealed.data[:100])
    with pytest.raises(Refused, match="too-long"):
        write(town, sealed.manifest.packet_id, 0, standing.generation, sealed.data[:101])


def test_an_upload_nobody_goes_on_with_is_swept_away(town: Town) -> None:
    sealed = town.packet(town.plan())
    standing = begin(town, sealed.manifest.packet_id, sealed.data)
    write(town, sealed.manifest.packet_id, 0, standing.generation, sealed.data[:100])
    assert uploads.sweep(town.database, town.dock, now() + timedelta(days=13)) == 0
    assert uploads.sweep(town.database, town.dock, now() + timedelta(days=15)) == 1
    assert list(town.dock.parts.iterdir()) == []


def judged_and_not_committed(town: Town, sealed: Sealed) -> None:
    """As who is killed between keeping the packet and its commit leaves it."""
    packet_id, blobs = sealed.manifest.packet_id, town.dock.blobs
    blobs.root.write_bytes(b"a disk that went wrong")
    with pytest.raises(OSError, match=r"(?i)exists|directory"):
        send(town, packet_id, sealed.data)
    blobs.root.unlink()
    blobs.adopt(town.dock.parts / packet_id, sha256(sealed.data).hexdigest())


def kept(town: Town) -> list[Path]:
    return [path for path in town.dock.blobs.root.rglob("*") if path.is_file()]


def test_what_was_kept_and_never_committed_does_not_outlive_its_upload(town: Town) -> None:
    sealed = town.packet(town.plan())
    judged_and_not_committed(town, sealed)
    assert len(kept(town)) == 1
    assert uploads.sweep(town.database, town.dock, now() + timedelta(days=15)) == 1
    assert kept(town) == []


def test_what_was_kept_and_never_committed_is_not_written_over(town: Town) -> None:
    sealed = town.packet(town.plan())
    packet_id, others = sealed.manifest.packet_id, b"x" * len(sealed.data)
    judged_and_not_committed(town, sealed)
    write(town, packet_id, 0, begin(town, packet_id, others).generation, others[:500])
    assert kept(town) == []
    assert send(town, packet_id, sealed.data).state == "complete"
    (path,) = kept(town)
    assert path.read_bytes() == sealed.data


def test_of_what_is_over_before_it_arrives_nothing_is_kept(town: Town) -> None:
    visit = town.plan()
    sealed = town.packet(visit)
    packet_id, digest = sealed.manifest.packet_id, sealed.manifest_sha256
    with town.database.writing(EVERYONE) as db:  # its kit destroyed it after ninety days; here is a stick
        announced = applications.announced(
            db, packet_id, db.get_one(Visit, visit.visit_id), KIT, digest, now()
        )
        applications.expired(db, announced, now())
    assert send(town, packet_id, sealed.data).state == "complete"
    assert held(town, packet_id).state == ApplicationState.EXPIRED
    assert kept(town) == []


@pytest.mark.parametrize("found_by", ["the kit that asks again", "the clock"])
def test_a_part_left_by_a_death_right_after_the_commit_does_not_stay(town: Town, found_by: str) -> None:
    sealed, under_way, data = town.packet(town.plan()), new_ulid(), b"of another packet"
    packet_id = sealed.manifest.packet_id
    send(town, packet_id, sealed.data)
    (town.dock.parts / packet_id).write_bytes(sealed.data)
    write(town, under_way, 0, begin(town, under_way, data).generation, data[:5])
    if found_by == "the clock":
        assert uploads.sweep(town.database, town.dock, now()) == 0
    else:
        assert begin(town, packet_id, sealed.data).state == "complete"
    assert [path.name for path in town.dock.parts.iterdir()] == [under_way]
    assert begin(town, under_way, data).offset == 5


@settings(max_examples=25)
@given(cuts=st.lists(st.tuples(st.integers(1, 9000), st.booleans()), max_size=12))
def test_any_pattern_of_cuts_ends_in_the_same_bytes(
    ground: Any, tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, bool]]
) -> None:
    town = Town(tmp_path_factory.mktemp("cuts") / "town", ground)
    try:
        sealed = town.packet(town.plan())
        packet_id, data = sealed.manifest.packet_id, sealed.data
        standing = begin(town, packet_id, data)
        for length, answer_lost in cuts:
            if standing.state == "complete":
                break
            part = data[standing.offset : standing.offset + length]
            written = write(town, packet_id, standing.offset, standing.generation, part)
            # When the answer is lost the kit knows nothing of it, and asks.
            standing = begin(town, packet_id, data) if answer_lost else written
        assert send(town, packet_id, data).state == "complete"
        blob = held(town, packet_id).blob_sha256
        assert blob is not None
        assert town.dock.blobs.read(blob) == data
    finally:
        town.close()
