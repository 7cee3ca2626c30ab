"""Runs of every kind, made and run by Airflow itself, land the right days and set off the right builds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(in_airflow: Any) -> Any:
    return in_airflow("run_types.py")


def test_scheduled_run_looks_back_then_lands_the_day_that_ended(runs: Any) -> None:
    run = runs["scheduled"]
    day = date.fromisoformat(run["key"])
    today = datetime.now(UTC).date()
    assert today - timedelta(days=2) <= day < today
    week = [(day - timedelta(days=7)).isoformat(), (day - timedelta(days=1)).isoformat()]
    assert run["asked"] == [["orders", *week], ["orders", run["key"], run["key"]]]
    assert run["announced"] == [["landed_orders", run["key"]]]
    assert run["states"] == ["success"]


def test_backfill_lands_each_day_and_nothing_else(runs: Any) -> None:
    for feed in ("orders", "channel_spend"):
        for key in ("2025-11-10", "2025-11-11", "2025-11-12"):
            run = runs[f"backfill {feed} {key}"]
            assert run["type"] == "backfill"
            assert run["asked"] == [[feed, key, key]]
            assert run["announced"] == [[f"landed_{feed}", key]]


def test_backfilled_day_without_a_delivery_fails_at_once(runs: Any) -> None:
    run = runs["backfill clickstream 2025-11-12"]
    assert run["states"] == ["failed"], "it must not wait six hours for a file of the past"
    assert run["announced"] == []


def test_scheduled_day_without_a_delivery_is_waited_for(runs: Any) -> None:
    assert runs["late feed"]["states"] == ["up_for_retry"]
    assert runs["late feed"]["announced"] == []


@pytest.mark.parametrize("feed", ["orders", "clickstream", "channel_spend"])
def test_range_is_landed_in_one_run_that_announces_its_last_day(runs: Any, feed: str) -> None:
    run = runs[f"range {feed}"]
    assert (run["type"], run["key"]) == ("manual", None)
    assert run["asked"] == [[feed, "2025-10-01", "2025-10-31"]]
    assert run["announced"] == [[f"landed_{feed}", "2025-10-31"]]


@pytest.mark.parametrize(("name", "day"), [("key by hand", "2025-09-01"), ("date by hand", "2025-09-02")])
def test_day_given_by_hand_is_landed(runs: Any, name: str, day: str) -> None:
    assert runs[name]["asked"] == [["orders", day, day]]
    assert runs[name]["announced"] == [["landed_orders", day]]


def test_run_by_hand_without_a_day_lands_all_that_is_there(runs: Any) -> None:
    assert runs["nothing by hand"]["asked"] == [["orders", None, None]]
    assert runs["nothing by hand"]["states"] == ["success"]


def test_range_that_ends_before_it_begins_fails_and_lands_nothing(runs: Any) -> None:
    assert runs["backwards range"]["states"] == ["failed"]
    assert runs["backwards range"]["asked"] == []


def test_the_warehouse_is_built_once_for_each_key_that_all_three_feeds_announced(runs: Any) -> None:
    # 2025-11-12 lacks its clickstream; a range announces one key, not thirty-one.
    assert runs["warehouse"] == ["2025-10-31", "2025-11-10", "2025-11-11"]
