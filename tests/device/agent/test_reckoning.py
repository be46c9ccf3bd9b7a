"""The kit's own reckoning: no clock prolongs it, none makes it leap without having been on trial."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.agent.events import Abandoned, Answered, Expired, Opened, Sealed, Uploaded
from device.agent.reckoning import HARD_LIMIT, LEAP, TRIAL, Reckoning, advance, due
from device.agent.visit import Visit
from tests.device.agent.wishes import PACKET, VISIT, digest

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = timedelta()
OPENED = Opened(VISIT, "be.eid.application", digest("c"), "an.peeters", "0207500123")
SEALED = Sealed(PACKET, digest("m"), 100)
DRAFT = Visit(opened=OPENED)
WAITING = Visit(opened=OPENED, sealed=SEALED)


def test_a_clock_that_is_right_is_followed() -> None:
    assert advance(Reckoning(NOW), NOW + HOUR, HOUR) == Reckoning(NOW + HOUR)
    assert advance(Reckoning(NOW), NOW + LEAP, NOTHING) == Reckoning(NOW + LEAP), "switched off meanwhile"


def test_ten_days_in_a_drawer_are_believed_at_once_and_a_second_more_is_not() -> None:
    ten = timedelta(days=10)
    assert advance(Reckoning(NOW), NOW + ten, NOTHING) == Reckoning(NOW + ten)
    longer = NOW + ten + timedelta(seconds=1)
    assert advance(Reckoning(NOW), longer, NOTHING) == Reckoning(NOW)


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    known = Reckoning(NOW)
    for _ in range(48):
        known = advance(known, NOW - timedelta(days=400), HOUR)
    assert known == Reckoning(NOW + timedelta(days=2))


def test_a_clock_far_ahead_is_believed_after_a_day_of_running_only() -> None:
    known = Reckoning(NOW)
    for _ in range(23):
        known = advance(known, NOW + timedelta(days=3650), HOUR)
    assert known == Reckoning(NOW + 23 * HOUR, 23 * HOUR)
    assert advance(known, NOW + timedelta(days=3650), HOUR) == Reckoning(NOW + timedelta(days=3650))


def test_a_clock_that_was_put_right_in_time_has_done_no_harm_and_its_trial_begins_anew() -> None:
    known = advance(Reckoning(NOW), NOW + timedelta(days=3650), 23 * HOUR)
    right = advance(known, NOW + 24 * HOUR, HOUR)
    assert right == Reckoning(NOW + 24 * HOUR)
    assert advance(right, NOW + timedelta(days=3650), HOUR).known == NOW + 25 * HOUR


days = st.integers(-4000, 4000).map(lambda hours: timedelta(hours=hours))


@given(st.lists(st.tuples(days, st.integers(0, 600)), max_size=60))
def test_whatever_the_clock_says_it_never_goes_back_nor_slower_than_the_kit_runs(
    steps: list[tuple[timedelta, int]],
) -> None:
    known = Reckoning(NOW)
    for off, minutes in steps:
        ran = timedelta(minutes=minutes)
        after = advance(known, NOW + off, ran)
        assert after.known >= known.known + ran
        assert after.known <= max(known.known + ran, NOW + off)
        assert NOTHING <= after.doubted < TRIAL
        known = after


@pytest.mark.parametrize(
    ("visit", "days", "why"),
    [
        (DRAFT, 13.9, None),
        (DRAFT, 14, "draft-limit"),
        (DRAFT, 90, "hard-limit"),
        (WAITING, 89.9, None),
        (WAITING, 90, "hard-limit"),
        (Visit(opened=OPENED, sealed=SEALED, uploaded=Uploaded(PACKET)), 90, "hard-limit"),
        (Visit(opened=OPENED, sealed=SEALED, answered=Answered(PACKET, "accepted", "")), 900, None),
        (Visit(opened=OPENED, abandoned=Abandoned("mistake")), 900, None),
        (Visit(opened=OPENED, expired=Expired("draft-limit")), 900, None),
        (Visit(opened=OPENED, sealed=SEALED, expired=Expired("hard-limit")), 900, None),
    ],
)
def test_what_is_due_and_why(visit: Visit, days: float, why: str | None) -> None:
    assert timedelta(days=90) == HARD_LIMIT
    assert due(visit, timedelta(days=days), timedelta(days=14)) == why
