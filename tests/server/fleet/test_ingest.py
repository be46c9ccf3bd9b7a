"""What kits say, taken in once, whatever is repeated, late, foreign or malformed."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import (
    AccessEvent,
    ApplicationEvent,
    Birth,
    Body,
    DeletionEvent,
    Envelope,
    Health,
    Presence,
    VisitEvent,
    encode,
    instant,
)
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE
from server.db.tables import Application, Kit, Message, OutboxRow, Request, Visit
from server.fleet import ingest, kits
from tests.server.town import KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)
SEQUENCE = itertools.count(1)
TAILS: dict[type, Tail] = {
    Presence: Tail.PRESENCE,
    Birth: Tail.BIRTH,
    Health: Tail.HEALTH,
    VisitEvent: Tail.VISIT,
    ApplicationEvent: Tail.APPLICATION,
    DeletionEvent: Tail.DELETION,
    AccessEvent: Tail.ACCESS,
}


def message(body: Body, ses: int = 1, kit: str = KIT, ts: datetime = NOW) -> tuple[str, bytes]:
    topic = topic_of(kit, TAILS[type(body)])
    envelope = Envelope(
        v=1, id=new_ulid(), kit=kit, ses=ses, seq=next(SEQUENCE), ts=instant(ts), ts_src="ntp", body=body
    )
    return topic, encode(topic, envelope)


def say(town: Town, body: Body, **about: Any) -> str:
    return ingest.take(town.database, *message(body, **about), NOW).outcome


def kit_row(town: Town) -> Kit:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Kit, KIT)


def visit_state(town: Town, visit: Visit) -> str:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Visit, visit.visit_id).state


def receipts(town: Town) -> list[str]:
    with town.database.reading(EVERYONE) as db:
        return list(db.scalars(select(OutboxRow.body).where(OutboxRow.queue == "receipt")))


def health(**changes: Any) -> Health:
    facts: dict[str, Any] = {
        "battery": 80,
        "mains": False,
        "temperature_c": 40,
        "disk_free_mb": 1000,
        "peripherals": {"card": "ok"},
        "sealed_waiting": 1,
        "oldest_waiting_s": 60,
        "reports_waiting": 0,
        "in_visit": False,
        "uptime_s": 10,
    }
    return Health(**(facts | changes))


def test_an_event_is_taken_once_and_a_receipt_that_waits_is_enough_for_all_its_repeats(town: Town) -> None:
    visit = town.plan()
    topic, payload = message(VisitEvent(visit.visit_id, "opened"))
    outcomes = [ingest.take(town.database, topic, payload, NOW) for _ in range(3)]
    assert [heard.outcome for heard in outcomes] == ["visit", "again", "again"]
    assert receipts(town) == [outcomes[0].message_id]
    with town.database.reading(EVERYONE) as db:
        assert len(db.scalars(select(Message)).all()) == 1
    assert visit_state(town, visit) == VisitState.OPENED


def test_a_sealed_application_is_counted_from_the_kits_word_on(town: Town) -> None:
    visit = town.plan()
    packet_id = new_ulid()
    assert say(town, ApplicationEvent(packet_id, visit.visit_id, "sealed", "a" * 64)) == "application"
    with town.database.reading(EVERYONE) as db:
        row = db.get_one(Application, packet_id)
        assert (row.state, row.tenant) == (ApplicationState.SEALED, visit.tenant)


def test_the_kits_later_words_about_a_packet_change_nothing(town: Town) -> None:
    visit = town.plan()
    packet_id = new_ulid()
    for state in ("uploaded", "receipted", "deleted"):
        say(town, ApplicationEvent(packet_id, visit.visit_id, state, "a" * 64))  # type: ignore[arg-type]
    with town.database.reading(EVERYONE) as db:
        assert db.get(Application, packet_id) is None


def test_facts_only_move_forward(town: Town) -> None:
    visit = town.plan()
    assert say(town, VisitEvent(visit.visit_id, "sealed")) == "visit"
    assert say(town, VisitEvent(visit.visit_id, "opened")) == "old-news"
    assert say(town, VisitEvent(visit.visit_id, "abandoned", "unwell")) == "old-news"
    assert visit_state(town, visit) == VisitState.SEALED


def test_an_abandoned_visit_frees_its_time_and_can_be_planned_again(town: Town) -> None:
    visit = town.plan(hour=9)
    assert say(town, VisitEvent(visit.visit_id, "abandoned", "not-home")) == "visit"
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Request, visit.request_id).state == VisitState.ABANDONED
    town.plan(visit.request_id, hour=9)


def test_a_will_of_an_older_session_is_stale(town: Town) -> None:
    say(town, Presence("online"), ses=4)
    say(town, Presence("online"), ses=5)
    assert say(town, Presence("lost"), ses=4) == "old-session"
    assert kit_row(town).presence == "online"
    assert say(town, Presence("lost"), ses=5) == "state"
    assert kit_row(town).presence == "lost"


@pytest.mark.parametrize("end", ["off", "lost"])
def test_a_session_that_has_ended_does_not_come_back(town: Town, end: Any) -> None:
    """A broker that was killed shows the presence it had saved, a slower worker hears it last."""
    say(town, Presence("online"), ses=7)
    say(town, Presence(end), ses=7)
    assert say(town, Presence("online"), ses=7) == "old-session"
    assert kit_row(town).presence == end
    assert say(town, Presence("online"), ses=8) == "state"


def test_an_older_health_report_does_not_replace_a_newer(town: Town) -> None:
    say(town, health(battery=70), ts=NOW)
    assert say(town, health(battery=90), ts=datetime(2026, 1, 1, tzinfo=UTC)) == "older"
    held = kit_row(town).health
    assert held is not None
    assert held["battery"] == 70


def test_a_kit_whose_clock_is_ahead_does_not_silence_itself(town: Town) -> None:
    say(town, health(battery=70), ts=datetime(2030, 1, 1, tzinfo=UTC))
    assert say(town, health(battery=60)) == "state"


def birth(reads: int = 1) -> Birth:
    return Birth(
        version="0.1.0",
        started=instant(NOW),
        peripherals=(),
        certificate_until=instant(NOW),
        bag=reads,
        protection="reduced",
        test_trust=True,
    )


def test_birth_is_kept_as_it_was_said(town: Town) -> None:
    assert say(town, birth()) == "state"
    held = kit_row(town).birth
    assert held is not None
    assert held["protection"] == "reduced"


def test_a_kit_cannot_speak_of_a_visit_that_is_not_its_own(town: Town) -> None:
    visit = town.plan()
    assert say(town, VisitEvent(visit.visit_id, "abandoned", "refused"), kit=OTHER_KIT) == "foreign-visit"
    assert say(town, VisitEvent(new_ulid(), "opened")) == "unknown-visit"
    assert visit_state(town, visit) == VisitState.PLANNED
    assert len(receipts(town)) == 2  # said and done: the kit need not repeat it


def test_an_unknown_or_retired_kit_is_not_heard(town: Town) -> None:
    assert say(town, Presence("online"), kit="kit-nobody") == "unknown-kit"
    with town.database.writing(EVERYONE) as db:
        kits.retire(db, KIT, NOW)
    assert say(town, Presence("online")) == "unknown-kit"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 5000,
        b'{"v":1,"id":"x"}',
        b"\xff\xfe",
        b" " * 40_000,
    ],
)
def test_what_is_no_message_is_named_and_dropped(town: Town, payload: bytes) -> None:
    heard = ingest.take(town.database, topic_of(KIT, Tail.HEALTH), payload, NOW)
    assert heard.outcome.startswith("refused-")
    assert receipts(town) == []


def test_a_message_on_another_kits_topic_is_refused(town: Town) -> None:
    _, payload = message(Presence("online"))
    heard = ingest.take(town.database, topic_of(OTHER_KIT, Tail.PRESENCE), payload, NOW)
    assert heard.outcome == "refused-wrong-topic"


@given(data=st.binary(max_size=300), topic=st.sampled_from(["", "tl/v1/kit/kit-x/up/evt/visit", "$SYS/x"]))
def test_no_bytes_on_any_topic_raise(ground: Any, data: bytes, topic: str) -> None:
    from server.db.engine import Database

    database = Database(f"sqlite:///{ground.folder / 'filled.db'}")
    assert ingest.take(database, topic, data, NOW).outcome.startswith("refused-")
    database.close()


def test_a_deletion_certificate_that_is_none_is_told_once_and_receipted(town: Town) -> None:
    topic, data = message(DeletionEvent("eyJ0.e30.c2ln"))
    heard = [ingest.take(town.database, topic, data, NOW) for _ in range(2)]
    assert [each.outcome for each in heard] == ["deletion-untrusted", "again"]
    assert heard[0].message_id in receipts(town)
