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
    # A minute ago it may have been another day.
    now = datetime.now(UTC)
    assert day in {(at - timedelta(days=1)).date() for at in (now, now - timedelta(minutes=10))}
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
    (alert,) = run["alerts"]
    assert "ingest_clickstream.land failed for 2025-11-12" in alert
    assert "No delivery of clickstream for 2025-11-12." in alert
    assert "deliver it" in alert


def test_scheduled_day_without_a_delivery_is_waited_for(runs: Any) -> None:
    assert runs["late feed"]["states"] == ["up_for_retry"]
    assert runs["late feed"]["announced"] == []
    assert runs["late feed"]["alerts"] == [], "an alert while it is still waited for is one too many"


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


def test_feed_that_the_shop_does_not_have_is_announced_without_landing(runs: Any) -> None:
    run = runs["not declared"]
    assert run["asked"] == []
    assert run["states"] == ["success"]
    assert run["announced"] == [["landed_channel_spend", run["key"]]]


def test_the_warehouse_is_built_once_for_each_key_that_all_three_feeds_announced(runs: Any) -> None:
    # 2025-11-12 lacks its clickstream; a range announces one key, not thirty-one.
    assert runs["warehouse"] == ["2025-10-31", "2025-11-10", "2025-11-11"]
