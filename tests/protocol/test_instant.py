from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.instant import read_instant, write_instant


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_read_back_to_the_millisecond(at):
    written = write_instant(at)
    assert read_instant(written) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_the_literal_spellings():
    brussels = timezone(timedelta(hours=1))
    assert write_instant(datetime(2026, 11, 23, 10, 30, tzinfo=brussels)) == "2026-11-23T09:30:00Z"
    assert write_instant(datetime(2026, 11, 23, 9, 30, 0, 5000, UTC)) == "2026-11-23T09:30:00.005Z"
    with pytest.raises(ValueError):
        write_instant(datetime(2026, 11, 23))  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T09:30:00",
        "2026-11-23 09:30:00Z",
        "2026-11-23T09:30:00+00:00",
        "2026-11-23T09:30:00z",
        "2026-11-23T09:30Z",
        "2026-11-23T09:30:00.5Z",
        "2026-02-30T09:30:00Z",
        "2026-11-23T24:30:00Z",
        "2026-11-23T09:30:60Z",
        "2026-11-23T09:30:00Z\n",
        "２026-11-23T09:30:00Z",
    ],
)
def test_another_spelling_is_refused(text):
    with pytest.raises(ValueError):
        read_instant(text)
