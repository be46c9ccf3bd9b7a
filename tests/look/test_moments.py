"""Dates and times are said as people in Belgium write them, in Belgian time."""

from datetime import UTC, date, datetime

import pytest

from look import LANGUAGES, moments

SUMMER = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
WINTER = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("nl", "maandag 23 november 2026"),
        ("fr", "lundi 23 novembre 2026"),
        ("de", "Montag, 23. November 2026"),
        ("en", "Monday, 23 November 2026"),
    ],
)
def test_a_day(language: str, said: str) -> None:
    assert moments.day(date(2026, 11, 23), language) == said


def test_an_instant_is_shown_at_its_belgian_day_and_hour() -> None:
    assert moments.clock(WINTER, "nl") == "09:00"
    assert moments.clock(SUMMER, "nl") == "00:30"
    assert moments.short_day(SUMMER, "nl") == "2 juli 2026"
    assert "00:30" in moments.moment(SUMMER, "fr")


@pytest.mark.parametrize(
    ("seconds", "said"), [(30, "30 seconden"), (60, "60 seconden"), (600, "10 minuten"), (90_000, "25 uur")]
)
def test_how_long(seconds: float, said: str) -> None:
    assert moments.lasting(seconds, "nl") == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_instant_without_zone_is_a_bug(language: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        moments.clock(WINTER.replace(tzinfo=None), language)
