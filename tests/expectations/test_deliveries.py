"""The suite of what arrived: volume against the same weekdays before, gaps, sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pytest

from expectations.measure import measure_suite
from expectations.registry import read_suites

MONDAY = date(2025, 11, 24)
CHECKS = {check.name: check for suite in read_suites() for check in suite.checks}
(PREPARE,) = [suite.prepare for suite in read_suites() if suite.name == "deliveries"]
WEEK_BY_WEEK = [28, 21, 14, 7]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("create schema ops")
        opened.execute(
            """
            create table ops.load_audit (
                feed varchar, table_name varchar, source varchar, delivery date, rows_in bigint,
                rows_landed bigint, rows_quarantined bigint, rows_duplicate bigint, is_new boolean
            )
            """
        )
        yield opened


def deliver(
    connection: duckdb.DuckDBPyConnection,
    rows: Mapping[date, int],
    new: set[date],
    feed: str = "clickstream",
    table: str = "events",
) -> None:
    for day, count in rows.items():
        connection.execute(
            "insert into ops.load_audit values (?, ?, 'inbox', ?, ?, ?, 0, 0, ?)",
            [feed, table, day, count, count, day in new],
        )


def history(rows: int) -> dict[date, int]:
    return {MONDAY - timedelta(days=days): rows for days in WEEK_BY_WEEK}


def measure(connection: duckdb.DuckDBPyConnection, name: str) -> float:
    check = CHECKS[f"deliveries.{name}"]
    connection.execute(PREPARE)
    sql = f"select count(*) from ({check.sql})" if check.measure == "rows" else check.sql
    return float(connection.execute(sql).fetchall()[0][0])


def verdicts(share: float) -> tuple[bool, bool]:
    """(would be told, would block) for a share of the usual volume."""
    told, blocked = CHECKS["deliveries.volume_is_usual"], CHECKS["deliveries.volume_is_there"]
    assert told.at_least is not None
    assert blocked.at_least is not None
    return share < told.at_least, share < blocked.at_least


def test_both_volume_checks_measure_the_same_and_only_one_blocks() -> None:
    told, blocked = CHECKS["deliveries.volume_is_usual"], CHECKS["deliveries.volume_is_there"]
    assert told.sql == blocked.sql
    assert (told.severity, blocked.severity) == ("warn", "block")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1000, (False, False)),
        (850, (False, False)),
        (700, (True, False)),
        (600, (True, True)),
        (50, (True, True)),
        (9000, (False, False)),
    ],
)
def test_volume_is_compared_with_the_same_weekdays(
    connection: duckdb.DuckDBPyConnection, rows: int, expected: tuple[bool, bool]
) -> None:
    deliver(connection, {**history(1000), MONDAY: rows}, new={MONDAY})
    assert verdicts(measure(connection, "volume_is_usual")) == expected


def test_person_is_told_of_which_feed_how_much_came_and_how_much_usually_does(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    deliver(connection, {**history(1200), MONDAY: 600}, new={MONDAY})
    (suite,) = [suite for suite in read_suites() if suite.name == "deliveries"]
    blocked, whole = (
        replace(suite, checks=(CHECKS[f"deliveries.{name}"],)) for name in ("volume_is_there", "rows_add_up")
    )
    told = measure_suite(connection, blocked, {})["deliveries.volume_is_there"]
    assert told.observed == 0.5
    assert told.message == "clickstream of 2025-11-24 from inbox: 600 rows, about 1,200 expected"
    assert measure_suite(connection, whole, {})["deliveries.rows_add_up"].message == ""


def test_day_under_test_is_never_part_of_what_it_is_measured_against(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """With the day itself among the four, the median would be 510 and the share twice as large."""
    counts = [20, 1000, 1000, 1000, 20]
    deliver(
        connection, {MONDAY - timedelta(weeks=week): count for week, count in enumerate(counts)}, new={MONDAY}
    )
    assert measure(connection, "volume_is_usual") == pytest.approx(20 / 1000)


def test_campaign_in_two_of_the_weeks_makes_no_normal_day_suspect(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    counts = [1000, 3000, 3000, 1000, 1000]
    deliver(
        connection, {MONDAY - timedelta(weeks=week): count for week, count in enumerate(counts)}, new={MONDAY}
    )
    assert verdicts(measure(connection, "volume_is_usual")) == (False, False)


def test_orders_are_compared_from_fewer_rows_on_than_events(connection: duckdb.DuckDBPyConnection) -> None:
    """An order is one row; events come in sessions, so that a small number of them swings widely."""
    rows = {**history(200), MONDAY: 120}
    deliver(connection, rows, new={MONDAY})
    assert verdicts(measure(connection, "volume_is_usual")) == (False, False)
    deliver(connection, rows, new={MONDAY}, feed="orders", table="orders")
    assert verdicts(measure(connection, "volume_is_usual")) == (True, True)


def test_other_weekdays_do_not_count(connection: duckdb.DuckDBPyConnection) -> None:
    quiet_sundays = {MONDAY - timedelta(days=1 + days): 5000 for days in WEEK_BY_WEEK}
    deliver(connection, {**history(1300), **quiet_sundays, MONDAY: 1300}, new={MONDAY})
    assert measure(connection, "volume_is_usual") == 1


@pytest.mark.parametrize(
    "rows",
    [
        {**history(950), MONDAY: 1},
        {MONDAY - timedelta(days=7): 5000, MONDAY: 1},
        {MONDAY: 1},
    ],
    ids=["too few rows to compare", "too few weeks to compare", "the first delivery"],
)
def test_small_and_young_shops_are_left_alone(
    connection: duckdb.DuckDBPyConnection, rows: dict[date, int]
) -> None:
    deliver(connection, rows, new={MONDAY})
    assert measure(connection, "volume_is_usual") == 1


def test_backfill_is_judged_by_its_newest_day(connection: duckdb.DuckDBPyConnection) -> None:
    """A slow holiday three weeks ago is history by now."""
    days = {MONDAY - timedelta(days=day): 1000 for day in range(60)}
    days[MONDAY - timedelta(days=21)] = 3
    deliver(connection, days, new=set(days))
    assert measure(connection, "volume_is_usual") == 1


def test_worst_feed_decides(connection: duckdb.DuckDBPyConnection) -> None:
    deliver(connection, {**history(1000), MONDAY: 1000}, new={MONDAY})
    deliver(connection, {**history(1000), MONDAY: 100}, new={MONDAY}, feed="orders", table="orders")
    assert measure(connection, "volume_is_usual") == pytest.approx(0.1)


def test_days_between_deliveries_are_told(connection: duckdb.DuckDBPyConnection) -> None:
    deliver(connection, {MONDAY - timedelta(days=day): 10 for day in (0, 1, 4)}, new={MONDAY})
    deliver(connection, {MONDAY: 10}, new={MONDAY}, feed="orders", table="orders")
    assert measure(connection, "no_delivery_is_missing") == 2


def test_rows_that_do_not_add_up_are_found(connection: duckdb.DuckDBPyConnection) -> None:
    deliver(connection, {MONDAY: 10}, new={MONDAY})
    assert measure(connection, "rows_add_up") == 0
    connection.execute("update ops.load_audit set rows_landed = 9")
    assert measure(connection, "rows_add_up") == 1
    connection.execute("update ops.load_audit set rows_landed = null")
    assert measure(connection, "rows_add_up") == 1, "nothing is not zero"


def test_large_quarantine_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    deliver(connection, {MONDAY: 1000}, new={MONDAY})
    connection.execute("update ops.load_audit set rows_in = 1000, rows_landed = 995, rows_quarantined = 5")
    assert measure(connection, "quarantine_is_small") == 0
    connection.execute("update ops.load_audit set rows_landed = 994, rows_quarantined = 6")
    assert measure(connection, "quarantine_is_small") == 1


@pytest.mark.parametrize(
    ("days_late", "how_many", "expected"),
    [(3, 2, []), (4, 2, [2]), (40, 1, [1]), (4, 8, [])],
    ids=["on time", "late", "very late", "a history"],
)
def test_events_that_come_late_are_told(
    connection: duckdb.DuckDBPyConnection, days_late: int, how_many: int, expected: list[int]
) -> None:
    connection.execute(
        """
        set TimeZone = 'UTC';
        create view new_clickstream__events as
        select
            'inbox' as _source,
            $monday as _delivery,
            $monday::timestamptz - to_days(if(i < $how_many, $days_late, 0)) as event_at
        from range(10) as events (i)
        """.replace("$monday", f"date '{MONDAY}'")
        .replace("$how_many", str(how_many))
        .replace("$days_late", str(days_late))
    )
    rows = connection.execute(CHECKS["deliveries.events_are_on_time"].sql).fetchall()
    assert [late for _, _, late, _ in rows] == expected
