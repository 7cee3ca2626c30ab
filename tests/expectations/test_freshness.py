"""The newest row of a feed is found without reading every delivery."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.freshness import measure_freshness

# delivery, instants of its events
DELIVERIES = {
    "a plain day": [("2025-11-01", ["2025-11-01 10:00"]), ("2025-11-02", ["2025-11-02 09:00"])],
    "the newest event came early, the last deliveries bring old ones": [
        ("2025-11-01", ["2025-10-30 10:00"]),
        ("2025-11-02", ["2025-11-02 22:00", "2025-11-01 10:00"]),
        ("2025-11-03", ["2025-10-01 10:00"]),
        ("2025-11-04", ["2025-10-02 10:00"]),
    ],
    "an early delivery reaches beyond the end": [
        ("2025-11-01", ["2025-11-02 23:30", "2031-01-01 00:00"]),
        ("2025-11-02", ["2025-11-02 09:00"]),
    ],
    "all that came is of the future": [("2025-11-01", ["2031-01-01 00:00"])],
    "a delivery without a row": [("2025-11-01", ["2025-11-01 10:00"]), ("2025-11-02", [])],
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as one:
        one.execute("set TimeZone = 'UTC'; create schema ops; create schema landing")
        one.execute("create table ops.run as select 'America/New_York' as time_zone")
        one.execute(
            "create table ops.load_audit (feed text, table_name text, delivery date, last_day date);"
            "create table landing.clickstream__events (event_at timestamptz, _delivery date);"
            "create table landing.orders__orders (ordered_at timestamptz, _delivery date);"
            "create table landing.channel_spend__channel_spend (spend_date date, _delivery date)"
        )
        yield one


@pytest.mark.parametrize("case", DELIVERIES)
def test_newest_instant_is_that_of_all_deliveries(connection: duckdb.DuckDBPyConnection, case: str) -> None:
    for delivery, instants in DELIVERIES[case]:
        days = [instant[:10] for instant in instants]
        connection.execute(
            "insert into ops.load_audit values ('clickstream', 'events', ?, ?)",
            [delivery, max(days, default=None)],
        )
        for instant in instants:
            connection.execute(
                "insert into landing.clickstream__events values (?::timestamptz, ?)", [instant, delivery]
            )
    last = DELIVERIES[case][-1][0]
    [expected] = connection.execute(
        """
        select strftime(max(event_at), '%Y-%m-%dT%H:%M:%S+00:00')
        from landing.clickstream__events
        where event_at < timezone('America/New_York', (?::date + 1)::timestamp)
        """,
        [last],
    ).fetchall()
    [found] = [one for one in measure_freshness(connection) if one.feed == "clickstream"]
    assert (found.newest_instant,) == expected
    assert found.newest_delivery == last
