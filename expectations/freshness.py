"""How old each feed's newest row is, at the end of the newest delivery day of any feed.

No clock is read: a rebuild of old deliveries gives the same ages. What comes late is seen against the feeds
that came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from expectations.registry import parameters
from ingestion.contract import read_contracts
from publishing.receipt import FeedFreshness

if TYPE_CHECKING:
    import duckdb

    from ingestion.contract import Column


def measure_freshness(connection: duckdb.DuckDBPyConnection) -> tuple[FeedFreshness, ...]:
    """The freshness of every feed's main table; one of which nothing was ever landed is ``empty``."""
    return tuple(
        _measure(
            connection, contract.feed, contract.table, _instant(contract.column(contract.partition_column))
        )
        for contract in read_contracts().values()
        if contract.is_main and contract.partition_column
    )


def _instant(happened: Column) -> str:
    """When a row happened, in SQL; what happened on a day, at its beginning in the shop's time zone."""
    return (
        f"timezone(run.time_zone, {happened.name}::timestamp)" if happened.kind == "date" else happened.name
    )


def _measure(connection: duckdb.DuckDBPyConnection, feed: str, table: str, instant: str) -> FeedFreshness:
    row: Any = connection.execute(
        f"""
        with newest as (
            select
                timezone(run.time_zone, (max(delivery) + 1)::timestamp) as ends_at,
                max(delivery) filter (where feed = '{feed}' and table_name = '{table}') as delivery
            from ops.load_audit
            cross join ops.run as run
            group by run.time_zone
        ),
        recent as (
            -- Of the deliveries that end in time, one ends last: older than its last day no newest row can be.
            select min(delivery) as delivery
            from ops.load_audit
            where feed = '{feed}' and table_name = '{table}' and last_day >= (
                select max(last_day)
                from ops.load_audit
                where feed = '{feed}' and table_name = '{table}'
                    and last_day < timezone('UTC', (select ends_at from newest))::date
            )
        ),
        happened as (
            -- A row from the future, by a wrong clock, must not make a feed look fresh for years.
            select max({instant}) as instant
            from landing.{feed}__{table}
            cross join ops.run as run
            where {instant} < (select ends_at from newest)
                and _delivery >= coalesce((select delivery from recent), date '0001-01-01')
        )
        select
            strftime(happened.instant, '%Y-%m-%dT%H:%M:%S+00:00'),
            newest.delivery::varchar,
            (epoch_us(newest.ends_at) - epoch_us(happened.instant)) / 3600e6
        from newest
        cross join happened
        """
    ).fetchone()
    instant_text, delivery, age = row or (None, None, None)
    limit = parameters()[f"freshness_hours_{feed}"]
    if age is None:
        return FeedFreshness(feed, table, instant_text, delivery, None, limit, "empty")
    state: Literal["fresh", "stale"] = "stale" if age > limit else "fresh"
    return FeedFreshness(feed, table, instant_text, delivery, float(age), limit, state)
