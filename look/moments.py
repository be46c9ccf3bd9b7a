"""Dates, times and durations in words, as people in Belgium write them, through Babel."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import format_date, format_time, format_timedelta

ZONE = ZoneInfo("Europe/Brussels")
_LOCALES = {
    "nl": Locale.parse("nl_BE"),
    "fr": Locale.parse("fr_BE"),
    "de": Locale.parse("de_BE"),
    "en": Locale.parse("en_GB"),
}


def day(value: date, language: str) -> str:
    """'maandag 23 november 2026'. An instant is shown as its day in Belgium."""
    return format_date(_local(value), format="full", locale=_LOCALES[language])


def short_day(value: date, language: str) -> str:
    """'23 november 2026'."""
    return format_date(_local(value), format="long", locale=_LOCALES[language])


def clock(value: datetime, language: str) -> str:
    """'09:30', in Belgian time."""
    return format_time(_aware(value), format="HH:mm", tzinfo=ZONE, locale=_LOCALES[language])


def moment(value: datetime, language: str) -> str:
    """'23 nov 2026 09:30', in Belgian time, in the language's own order."""
    return (
        f"{format_date(_local(value), format='medium', locale=_LOCALES[language])} {clock(value, language)}"
    )


def lasting(seconds: float, language: str) -> str:
    """'2 minuten': the largest unit that says it, without direction."""
    return format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=_LOCALES[language])


def _local(value: date) -> date:
    return _aware(value).astimezone(ZONE).date() if isinstance(value, datetime) else value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant on a screen has a zone")
    return value
