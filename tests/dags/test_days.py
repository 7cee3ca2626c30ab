"""Every way in which a run can begin resolves to the days that the person or the schedule meant."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from mallard.airflow.days import LOOK_BACK_DAYS, Days, resolve

MIDNIGHT = datetime(2025, 11, 12, tzinfo=UTC)


def days_of(run_type: str = "manual", **changes: Any) -> Days:
    known: dict[str, Any] = {
        "partition_key": None,
        "logical_date": None,
        "run_after": MIDNIGHT,
        "params": {"first_day": None, "last_day": None},
        "time_zone": "UTC",
    }
    return resolve(run_type=run_type, **(known | changes))


def test_scheduled_run_lands_its_day_and_looks_back_and_waits() -> None:
    days = days_of("scheduled", partition_key="2025-11-11")
    assert (days.first, days.last, days.key) == (date(2025, 11, 11), date(2025, 11, 11), "2025-11-11")
    assert days.waits
    assert days.look_back == (date(2025, 11, 4), date(2025, 11, 10))
    assert (days.look_back[1] - days.look_back[0]).days + 1 == LOOK_BACK_DAYS


@pytest.mark.parametrize("run_type", ["backfill", "manual", "asset_triggered"])
def test_keyed_run_lands_its_day_only_and_does_not_wait(run_type: str) -> None:
    day = date(2024, 2, 29)
    assert days_of(run_type, partition_key="2024-02-29") == Days(day, day, key="2024-02-29")


def test_range_is_one_run_that_announces_its_last_day() -> None:
    days = days_of(params={"first_day": "2025-10-01", "last_day": "2025-10-31"})
    assert days == Days(date(2025, 10, 1), date(2025, 10, 31), key="2025-10-31")


def test_range_wins_over_key_and_date() -> None:
    days = days_of(
        "scheduled",
        partition_key="2025-11-11",
        logical_date=datetime(2025, 11, 3, tzinfo=UTC),
        params={"first_day": "2025-10-01", "last_day": "2025-10-02"},
    )
    assert (days.first, days.last) == (date(2025, 10, 1), date(2025, 10, 2))
    assert not days.waits


def test_open_range_announces_the_last_whole_day() -> None:
    assert days_of(params={"first_day": "2025-10-01"}) == Days(date(2025, 10, 1), None, key="2025-11-11")
    assert days_of(params={"last_day": "2025-10-05"}) == Days(None, date(2025, 10, 5), key="2025-10-05")


def test_logical_date_in_the_past_is_a_day() -> None:
    day = date(2025, 11, 3)
    assert days_of(logical_date=datetime(2025, 11, 3, 15, tzinfo=UTC)) == Days(day, day, key="2025-11-03")


def test_logical_date_of_now_is_no_wish_for_a_day() -> None:
    # The UI's form fills in the present instant.
    assert days_of(logical_date=MIDNIGHT) == Days(None, None, key="2025-11-11")


def test_run_by_hand_without_anything_lands_all_that_is_there() -> None:
    assert days_of() == Days(None, None, key="2025-11-11")


def test_days_are_the_shops_days() -> None:
    # 03:00 UTC of the 12th is still the 11th in New York: the last whole day is the 10th there.
    at = datetime(2025, 11, 12, 3, tzinfo=UTC)
    assert days_of(run_after=at, time_zone="America/New_York").key == "2025-11-10"
    assert days_of(run_after=at, time_zone="Asia/Tokyo").key == "2025-11-11"
    tokyo = days_of(logical_date=datetime(2025, 11, 3, 20, tzinfo=UTC), time_zone="Asia/Tokyo")
    assert tokyo.first == date(2025, 11, 4)


@pytest.mark.parametrize(
    "text", ["yesterday", "2025-13-01", "20251111", "2025-W46-2", "2025-11-11T00:00:00", 5]
)
def test_what_is_no_day_is_refused_by_name(text: object) -> None:
    with pytest.raises(ValueError, match="first_day must be a day written as YYYY-MM-DD"):
        days_of(params={"first_day": text})


def test_partition_key_that_is_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match="the partition key must be a day"):
        days_of("scheduled", partition_key="2025-11-11T00:00:00")


def test_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        days_of(params={"first_day": "2025-10-02", "last_day": "2025-10-01"})


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (Days(date(2025, 1, 1), date(2025, 1, 1), "k"), "the delivery day 2025-01-01"),
        (Days(date(2025, 1, 1), date(2025, 1, 2), "k"), "the delivery days 2025-01-01 to 2025-01-02"),
        (Days(date(2025, 1, 1), None, "k"), "the delivery days from 2025-01-01 on"),
        (Days(None, date(2025, 1, 2), "k"), "the delivery days up to 2025-01-02"),
        (Days(None, None, "k"), "all delivery days that the inbox holds"),
    ],
)
def test_days_read_as_a_person_says_them(days: Days, text: str) -> None:
    assert str(days) == text
