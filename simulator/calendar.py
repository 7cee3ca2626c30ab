"""The shop's days: where each begins in its zone, and how busy it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from simulator.arrays import Floats, Ints

EPOCH = date(1970, 1, 1)
# Monday to Sunday, and the share of a day's visits that each hour gets.
_WEEKDAYS = (0.96, 0.94, 0.95, 0.97, 1.02, 1.12, 1.08)
_HOURS = (
    22, 12, 7, 4, 3, 4, 8, 16, 28, 40, 48, 52,
    58, 52, 46, 44, 46, 50, 56, 66, 78, 84, 72, 44,
)  # fmt: skip


@dataclass(frozen=True)
class Calendar:
    """``days`` business days from ``first_day`` on, in the shop's zone."""

    first_day: date
    days: int
    time_zone: str = "UTC"

    @cached_property
    def starts(self) -> Ints:
        """The instant at which each day begins; one more at the end, for where the last day ends."""
        zone = ZoneInfo(self.time_zone)
        instants = (
            datetime.combine(self.first_day + timedelta(day), time(), zone).astimezone(UTC)
            for day in range(self.days + 1)
        )
        return np.array([int(instant.timestamp()) * 1000 for instant in instants], dtype=np.int64)

    @property
    def begin(self) -> int:
        return int(self.starts[0])

    @property
    def end(self) -> int:
        """Where the last day ends: what is later has not happened."""
        return int(self.starts[-1])

    def date(self, day: int) -> date:
        return self.first_day + timedelta(day)

    @property
    def first_ordinal(self) -> int:
        """The first day as a number of days since 1970."""
        return (self.first_day - EPOCH).days

    def day_of(self, instants: Ints) -> Ints:
        """The business day of each instant: negative before the first, ``days`` after the last."""
        return np.searchsorted(self.starts, instants, side="right").astype(np.int64) - 1

    @cached_property
    def festival(self) -> Floats:
        """How much busier than a usual day each day is: 10 on a shopping festival."""
        return np.array([_festival(self.date(day)) for day in range(self.days)])

    @cached_property
    def traffic(self) -> Floats:
        weekdays = np.array([_WEEKDAYS[self.date(day).weekday()] for day in range(self.days)])
        visits: Floats = self.festival * weekdays
        return visits

    @cached_property
    def hours(self) -> Floats:
        return np.array(_HOURS, dtype=np.float64)


def black_friday(year: int) -> date:
    """The day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta((3 - first.weekday()) % 7 + 21 + 1)


def festivals(year: int) -> dict[date, str]:
    """The shopping festivals of a year."""
    return {
        date(year, 6, 18): "618",
        date(year, 11, 11): "Double 11",
        black_friday(year): "Black Friday",
        date(year, 12, 12): "Double 12",
    }


def _festival(day: date) -> float:
    known = festivals(day.year)
    if day in known:
        return 10.0
    if any(timedelta(1) <= other - day <= timedelta(3) for other in known):
        return 0.85  # people wait
    return 1.0
