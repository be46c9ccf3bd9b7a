"""Reports that came together are taken in each for itself: once, receipted, or not at all."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import func, select

from protocol.ids import new_ulid
from protocol.messages import (
    Batch,
    Body,
    Envelope,
    Item,
    Reportable,
    VisitEvent,
    encode,
    instant,
    squeeze,
)
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE
from server.db.tables import Message, Report
from server.fleet import ingest, reports
from tests.server.fleet.test_ingest import health, kit_row, message, receipts, visit_state
from tests.server.town import KIT, Town

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
SEQUENCE = itertools.count(1)
TOPIC = topic_of(KIT, Tail.BATCH)


def item(body: Reportable, at: datetime = NOW, seq: int | None = None) -> Item:
    return Item(new_ulid(), next(SEQUENCE) if seq is None else seq, instant(at), "rtc", body)


def together(*items: Item, ses: int = 1, kit: str = KIT) -> bytes:
    envelope = Envelope(
        v=1, id=new_ulid(), kit=kit, ses=ses, seq=0, ts=instant(NOW), ts_src="ntp", body=Batch(items)
    )
    return squeeze(encode(topic_of(kit, Tail.BATCH), envelope))


def take(town: Town, payload: bytes) -> list[str]:
    return [heard.outcome for heard in ingest.take_all(town.database, [(TOPIC, payload)], NOW)]


def kept(town: Town) -> tuple[int, int]:
    """Events and health reports in the database."""
    with town.database.reading(EVERYONE) as db:
        return (
            db.scalar(select(func.count()).select_from(Message)) or 0,
            db.scalar(select(func.count()).select_from(Report)) or 0,
        )


def test_events_and_health_of_a_batch_are_taken_in_their_order_and_receipted_each(town: Town) -> None:
    visit = town.plan()
    opened, sealed = (item(VisitEvent(visit.visit_id, state)) for state in ("opened", "sealed"))
    payload = together(
        item(health(), NOW - 2 * MINUTE), opened, item(health(battery=70), NOW - MINUTE), sealed
    )
    assert take(town, payload) == ["state", "visit", "state", "visit"]
    assert visit_state(town, visit) == "sealed"
    assert sorted(receipts(town)) == sorted([opened.id, sealed.id])
    assert kit_row(town).health["battery"] == 70
    with town.database.reading(EVERYONE) as db:
        told = [at for at, _ in reports.history(db, KIT, NOW - timedelta(days=1))]
    assert [at.replace(tzinfo=UTC) for at in told] == [
        datetime.fromisoformat(instant(at)) for at in (NOW - MINUTE, NOW - 2 * MINUTE)
    ]


def test_a_batch_that_comes_again_changes_nothing_and_is_receipted_again(town: Town) -> None:
    visit = town.plan()
    event, past = item(VisitEvent(visit.visit_id, "opened")), item(health(), NOW - MINUTE)
    assert take(town, together(past, event)) == ["state", "visit"]
    before = kept(town)
    assert take(town, together(past, event)) == ["again", "again"]  # by the broker, in the same session
    renumbered = msgspec.structs.replace(past, seq=past.seq + 100)
    assert take(town, together(renumbered, event, ses=2)) == ["again", "again"]  # by the kit, in the next
    assert kept(town) == before
    assert receipts(town).count(event.id) >= 1


def test_an_event_that_came_alone_before_is_not_doubled_by_a_batch(town: Town) -> None:
    visit = town.plan()
    topic, payload = message(VisitEvent(visit.visit_id, "opened"))
    first = ingest.take(town.database, topic, payload, NOW)
    same = Item(first.message_id, 1, instant(NOW), "ntp", VisitEvent(visit.visit_id, "opened"))
    assert take(town, together(same, item(VisitEvent(visit.visit_id, "sealed")))) == ["again", "visit"]


def test_one_bad_report_refuses_the_batch_before_anything_is_committed(town: Town) -> None:
    visit = town.plan()
    good = item(VisitEvent(visit.visit_id, "opened"))
    raw = encode(TOPIC, _envelope(Batch((good, item(health())))))
    broken = raw.replace(b'"battery":80', b'"battery":101')
    assert broken != raw
    assert take(town, broken) == ["refused-malformed"]
    assert kept(town) == (0, 0)
    assert receipts(town) == []
    assert take(town, together(good)) == ["visit"]  # the kit sends each by itself then


def test_what_a_batch_knows_wrongly_is_named_for_that_report_alone(town: Town) -> None:
    visit = town.plan()
    strange, good = item(VisitEvent(new_ulid(), "opened")), item(VisitEvent(visit.visit_id, "opened"))
    assert take(town, together(strange, good)) == ["unknown-visit", "visit"]
    assert sorted(receipts(town)) == sorted([strange.id, good.id])


def test_health_of_before_never_replaces_what_is_newer(town: Town) -> None:
    topic, payload = message(health(battery=60))
    assert ingest.take(town.database, topic, payload, NOW).outcome == "state"
    assert take(town, together(item(health(battery=90), NOW - MINUTE, 10_000))) == ["older"]
    assert kit_row(town).health["battery"] == 60


@pytest.mark.parametrize("kit", ["kit-unknown"])
def test_a_batch_of_a_kit_nobody_knows_is_dropped(town: Town, kit: str) -> None:
    payload = together(item(health()), item(VisitEvent(new_ulid(), "opened")), kit=kit)
    heard = ingest.take_all(town.database, [(topic_of(kit, Tail.BATCH), payload)], NOW)
    assert [each.outcome for each in heard] == ["unknown-kit", "unknown-kit"]
    assert kept(town) == (0, 0)


def _envelope(body: Body) -> Envelope:
    return Envelope(v=1, id=new_ulid(), kit=KIT, ses=1, seq=0, ts=instant(NOW), ts_src="ntp", body=body)
