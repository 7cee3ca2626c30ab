"""Which delivery days an ingest run is for: one answer for every way in which a run can begin.

Pure functions of what Airflow knows about a run, so that they are tested without Airflow.
A delivery day is a calendar day of the shop's business time zone (``MALLARD_TIME_ZONE``).

| how the run began | what it lands | waits for a late feed |
| --- | --- | --- |
| schedule: partition key | that day, and what came late for the days before it | yes |
| backfill, or by hand with a partition key | that day | no |
| by hand with ``first_day`` and/or ``last_day`` | the range, in this one run | no |
| by hand with a logical date in the past | the day of that date | no |
| by hand with none of these | all that the inbox holds | no |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

# A file that is delivered late, or again, within so many days is found by the next scheduled run without anybody's
# help; an unchanged file costs one hash of its bytes.
LOOK_BACK_DAYS = 7

SCHEDULED = "scheduled"


@dataclass(frozen=True)
class Days:
    """The delivery days of one ingest run: ``first`` to ``last``, both inclusive, ``None`` for no limit.

    ``key`` is the partition that the run announces to the warehouse. ``look_back`` is the range of earlier days
    that is looked through for late or replaced files, where there is one. ``waits`` says whether a missing
    delivery may still come, so that waiting is worth it.
    """

    first: date | None
    last: date | None
    key: str
    look_back: tuple[date, date] | None = None
    waits: bool = False

    def __str__(self) -> str:
        if self.first is None and self.last is None:
            return "all delivery days that the inbox holds"
        if self.first == self.last:
            return f"the delivery day {self.first}"
        if self.last is None:
            return f"the delivery days from {self.first} on"
        if self.first is None:
            return f"the delivery days up to {self.last}"
        return f"the delivery days {self.first} to {self.last}"


def resolve(
    *,
    run_type: str,
    partition_key: str | None,
    logical_date: datetime | None,
    run_after: datetime,
    params: Mapping[str, object],
    time_zone: str,
) -> Days:
    """The days of one run.

    ``run_type`` is Airflow's (``scheduled``, ``backfill``, ``manual``, ...), ``run_after`` the instant from which the
    run may start, ``params`` the run's parameters, of which ``first_day`` and ``last_day`` count.

    Raises:
        ValueError: a parameter or the partition key is no day, or the range ends before it begins.
    """
    zone = ZoneInfo(time_zone)
    # A delivery holds what arrived on its day, so today's is not whole yet.
    latest_whole_day = run_after.astimezone(zone).date() - timedelta(days=1)

    first = _day(params.get("first_day"), "first_day")
    last = _day(params.get("last_day"), "last_day")
    if first or last:
        if first and last and last < first:
            raise ValueError(f"The range ends before it begins: first_day is {first}, last_day is {last}.")
        return Days(first, last, key=(last or latest_whole_day).isoformat())

    if day := _day(partition_key, "the partition key"):
        if run_type != SCHEDULED:
            return Days(day, day, key=day.isoformat())
        look_back = (day - timedelta(days=LOOK_BACK_DAYS), day - timedelta(days=1))
        return Days(day, day, key=day.isoformat(), look_back=look_back, waits=True)

    if logical_date is not None:
        # The form in the UI fills in the present instant: that is no wish for a day.
        day = logical_date.astimezone(zone).date()
        if day <= latest_whole_day:
            return Days(day, day, key=day.isoformat())

    return Days(None, None, key=latest_whole_day.isoformat())


def _day(value: object, name: str) -> date | None:
    """A day as ``YYYY-MM-DD``; nothing where nothing was given."""
    if value is None or value == "":
        return None
    text = str(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # fromisoformat also takes 20251111 and 2025-W46-2, which no partition key is written as.
    if day is None or day.isoformat() != text:
        raise ValueError(f"{name} must be a day written as YYYY-MM-DD, such as 2025-11-11; found {text!r}.")
    return day
