"""What leaves the agent and what comes back: offered once sealed, let go only on the service's receipt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.events import Abandon
from device.spool.records import Mark
from device.vault.database import Database
from device.vault.store import Store
from protocol.deletion import Deletion, verify_deletion
from protocol.messages import ApplicationEvent, DeletionEvent, VisitEvent, decode_body
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.mosquitto import until


def bring_receipt(kit: Kit, packet_id: str, token: str) -> None:
    hatch = kit.hatch()
    hatch.store_receipt(packet_id, token)
    hatch.close()


def mark(kit: Kit, packet_id: str, state: str) -> None:
    hatch = kit.hatch()
    hatch.mark(packet_id, Mark(state, 10, 10))  # type: ignore[arg-type]
    hatch.close()


def told(kit: Kit) -> list[object]:
    """What the fleet will hear of visits and applications, in order."""
    return [body for body in _heard(kit) if not isinstance(body, DeletionEvent)]


def certified(kit: Kit) -> list[Deletion]:
    """What this kit has signed that it destroyed, in order."""
    roots, now = [kit.root.certificate], kit.clock.now()
    return [
        verify_deletion(body.certificate, roots, now)
        for body in _heard(kit)
        if isinstance(body, DeletionEvent)
    ]


def _heard(kit: Kit) -> list[object]:
    hatch = kit.hatch()
    try:
        return [decode_body(report.tail, bytes(report.body)) for report in hatch.reports(100)]
    finally:
        hatch.close()


def shelf(kit: Kit) -> list[str]:
    database = Database(kit.data / "vault.db")
    try:
        return [packet.packet_id for packet in Store(database).sealed()]
    finally:
        database.close()


@pytest.fixture
def top(kit: Kit) -> Iterator[Desktop]:
    with Desktop(kit) as on:
        yield on


def sealed(kit: Kit, top: Desktop) -> tuple[str, str, bytes]:
    """Visit, packet and its bytes after a whole visit."""
    visit = kit.visit()
    kit.bring_bag(visit)
    seen = top.whole_visit(visit).visit
    assert seen is not None
    return visit.visit_id, seen.packet_id, top.packet(seen.packet_id)


def test_the_way_of_an_application_from_queued_to_accepted(kit: Kit, top: Desktop) -> None:
    visit_id, packet_id, data = sealed(kit, top)
    assert shelf(kit) == [packet_id]
    mark(kit, packet_id, "uploaded")
    assert top.until(lambda now: now.visit and now.visit.sealed == "uploaded")
    bring_receipt(kit, packet_id, kit.service.answer(data))
    seen = top.until(lambda now: now.visit and now.visit.sealed == "accepted")
    assert seen.visits[0].state == "accepted"
    assert shelf(kit) == []
    assert top.spool.offered() == []
    assert top.spool.receipts() == []
    digest = kit.service.open(data).outer.manifest_sha256
    assert told(kit) == [
        VisitEvent(visit_id, "opened"),
        VisitEvent(visit_id, "sealed"),
        ApplicationEvent(packet_id, visit_id, "sealed", digest),
        ApplicationEvent(packet_id, visit_id, "deleted", digest),
    ]


def test_from_the_review_on_the_uplink_is_told_that_a_packet_is_near(kit: Kit, top: Desktop) -> None:
    soon, visit = top.spool.root / "soon", kit.visit()
    kit.bring_bag(visit)
    assert not soon.exists()
    top.until_step(visit, "review")
    assert soon.exists()
    top.desk.wish(Abandon("unwell"))
    assert not soon.exists()


def test_whatever_is_destroyed_is_certified_with_the_kits_key(kit: Kit, top: Desktop) -> None:
    visit_id, packet_id, data = sealed(kit, top)
    bring_receipt(kit, packet_id, kit.service.answer(data))
    top.until(lambda now: now.visit and now.visit.sealed == "accepted")
    other = kit.visit()
    kit.bring_bag(other)
    top.until_step(other, "photo")
    top.desk.wish(Abandon("unwell"))
    top.tidied()
    assert [(each.visit_id, each.packet_id, each.what, each.why) for each in certified(kit)] == [
        (visit_id, "", "captures", "sealed"),
        (visit_id, packet_id, "packet", "answered"),
        (other.visit_id, "", "captures", "abandoned"),
    ]


def test_a_finished_visit_on_the_counter_goes_with_a_list_that_does_not_name_it(
    kit: Kit, top: Desktop
) -> None:
    sealed(kit, top)
    other = kit.visit()
    kit.bring_bag(other)
    seen = top.until(lambda now: [line.visit_id for line in now.visits] == [other.visit_id])
    assert seen.visit is None


def test_a_rejection_shows_its_code_and_lets_go_too(kit: Kit, top: Desktop) -> None:
    _, packet_id, data = sealed(kit, top)
    bring_receipt(kit, packet_id, kit.service.answer(data, "rejected", "photo-refused"))
    seen = top.until(lambda now: now.visit and now.visit.sealed == "rejected").visit
    assert seen is not None
    assert seen.answer_code == "photo-refused"
    assert shelf(kit) == []


def test_a_receipt_that_is_not_for_exactly_this_is_not_believed(kit: Kit, top: Desktop) -> None:
    _, packet_id, data = sealed(kit, top)
    other = ec.generate_private_key(ec.SECP256R1())
    own = kit.service.receipt_key
    kit.service.receipt_key = other
    forged = kit.service.answer(data)
    kit.service.receipt_key = own
    for token in (
        forged,
        "no.token.atall",
        kit.service.answer(data, kit_id="kit-other"),
        kit.service.answer(data, manifest_sha256="0" * 64),
        kit.service.answer(data, packet_id="01KA0000000000000000000009"),
    ):
        bring_receipt(kit, packet_id, token)
        top.desk.after(top.desk.now().version, 0.4)
        assert shelf(kit) == [packet_id]
    bring_receipt(kit, packet_id, kit.service.answer(data))
    top.until(lambda now: now.visit and now.visit.sealed == "accepted")


def test_an_answer_counts_while_nobody_is_unlocked_and_after_the_list_has_expired(
    kit: Kit, top: Desktop
) -> None:
    _, packet_id, data = sealed(kit, top)
    top.desk.lock()
    kit.write_list(kit.clock.now())
    bring_receipt(kit, packet_id, kit.service.answer(data))
    top.until(lambda now: not top.spool.receipts())
    assert shelf(kit) == []
    top.desk.unlock(OFFICER, PIN)
    assert top.until(lambda now: now.visits and now.visits[0].state == "accepted")


def test_a_receipt_for_an_unknown_packet_changes_nothing(kit: Kit, top: Desktop) -> None:
    _, packet_id, data = sealed(kit, top)
    bring_receipt(kit, "01KA0000000000000000000009", kit.service.answer(data))
    mark_missing = top.desk.after(top.desk.now().version, 0.5)
    assert mark_missing.visit is not None
    assert shelf(kit) == [packet_id]


def test_a_packet_that_vanished_from_the_spool_is_offered_again(kit: Kit) -> None:
    with Desktop(kit) as top:
        _, packet_id, data = sealed(kit, top)
    kit.packet_file(packet_id).unlink()
    with Desktop(kit) as again:
        assert again.packet(packet_id) == data


def test_an_abandoned_visit_is_told_with_its_reason(kit: Kit, top: Desktop) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    top.until_step(visit, "photo")
    top.desk.wish(Abandon("not-home"))
    top.tidied()
    assert told(kit) == [
        VisitEvent(visit.visit_id, "opened"),
        VisitEvent(visit.visit_id, "abandoned", "not-home"),
    ]


def test_health_and_birth_are_shown_to_the_fleet(kit: Kit) -> None:
    supply = kit.folder / "sys/class/power_supply/battery"
    supply.mkdir(parents=True)
    (supply / "type").write_text("Battery\n")
    (supply / "capacity").write_text("83\n")
    with Desktop(kit, health_every_s=0.5) as top:
        top.until(lambda now: len(now.peripherals) == 4)
        hatch = kit.hatch()
        try:
            until(lambda: b'"signature":"ok"' in (hatch.shown("health") or b""))
            until(lambda: b"Fake signature" in (hatch.shown("birth") or b""))
            assert b'"battery":83' in (hatch.shown("health") or b"")
            assert b'"test_trust":false' in (hatch.shown("birth") or b"")
        finally:
            hatch.close()


def test_no_file_of_the_kit_is_open_to_others(kit: Kit, top: Desktop) -> None:
    sealed(kit, top)
    assert [path for path in Path(kit.data).glob("vault.db*") if path.stat().st_mode & 0o077] == []
