"""Business days, weeks and months."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Turns instants into business days and hours of one time zone."""

    def __init__(self, time_zone: str) -> None:
        self.zone = ZoneInfo(time_zone)

    def day(self, at: datetime) -> date:
        """The calendar day of an instant (with an offset) in the business zone."""
        return at.astimezone(self.zone).date()

    def hour(self, at: datetime) -> int:
        """The hour of the day, 0 to 23, in the business zone."""
        return at.astimezone(self.zone).hour


def shift(day: date, days: int) -> date:
    """The day so many days later (earlier, when negative)."""
    return day + timedelta(days=days)


def each_day(first: date, last: date) -> Iterator[date]:
    """Every day from ``first`` to ``last``, both in."""
    for number in range((last - first).days + 1):
        yield shift(first, number)


def week_of(day: date) -> date:
    """The Monday of the ISO week."""
    return shift(day, -day.weekday())


def month_of(day: date) -> date:
    """The first day of the month."""
    return day.replace(day=1)


def add_months(month: date, months: int) -> date:
    """The first day of the month so many months later."""
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def month_end(month: date) -> date:
    """The last day of the month that begins on ``month``."""
    return shift(add_months(month, 1), -1)


def each_month(first: date, last: date) -> Iterator[date]:
    """The first days of all months from that of ``first`` to that of ``last``."""
    month = month_of(first)
    while month <= last:
        yield month
        month = add_months(month, 1)
