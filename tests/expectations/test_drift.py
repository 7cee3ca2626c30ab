"""The newest day against the weeks before it: what is unusual is told, noise is not."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.registry import read_suites

CHECKS = {check.name: check for suite in read_suites() if suite.name == "drift" for check in suite.checks}
NEWEST = "date '2025-11-30'"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """29 quiet days with a ripple of a few per cent, 1,000 sessions and 400 orders each."""
    with duckdb.connect() as opened:
        opened.execute(
            f"""
            create schema ops;
            create schema marts;
            create table ops.run as select {NEWEST} as as_of;
            create table days as
            select {NEWEST} - i::integer as dt, 1 + 0.02 * sin(i * 2.4) as ripple from range(29) as days (i);
            create table marts.gmv_daily as
            select
                dt, (800 * ripple)::bigint as uv, (3000 * ripple)::bigint as pv, 1000::bigint as sessions,
                400::bigint as orders, (20000 * ripple)::decimal(18, 4) as gmv, 50 * ripple as aov,
                700::bigint as units, 0.45 * ripple as conversion_rate
            from days;
            create table marts.active_users as select dt, 0.3 * ripple as bounce_rate from days;
            create table marts.funnel_daily as
            select dt, channel, device, visited
            from days
            cross join (
                values ('direct', 'mobile', 500), ('search', 'desktop', 300), ('email', 'mobile', 200)
            ) as sessions (channel, device, visited);
            create table marts.gmv_by_dimension as
            select dt, 'region' as dimension, member, orders
            from days
            cross join (values ('north', 250), ('south', 150)) as regions (member, orders);
            """
        )
        yield opened


def found(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    return [row[0] for row in connection.execute(CHECKS[f"drift.{name}"].sql).fetchall()]


def test_drift_is_told_and_never_blocks() -> None:
    assert {check.severity for check in CHECKS.values()} == {"warn"}


@pytest.mark.parametrize("name", ["key_figures_are_usual", "mix_is_usual"])
def test_ripple_is_no_drift(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    assert found(connection, name) == []


def test_currency_that_was_mixed_up_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"update marts.gmv_daily set aov = aov * 7, gmv = gmv * 7 where dt = {NEWEST}")
    assert sorted(found(connection, "key_figures_are_usual")) == ["aov", "gmv"]


@pytest.mark.parametrize(("sessions", "expected"), [(1100, []), (1300, ["sessions"])])
def test_figure_that_hardly_ever_moves_may_move_a_little(
    connection: duckdb.DuckDBPyConnection, sessions: int, expected: list[str]
) -> None:
    connection.execute(f"update marts.gmv_daily set sessions = {sessions} where dt = {NEWEST}")
    assert found(connection, "key_figures_are_usual") == expected


def test_unusual_day_in_the_past_is_over(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"update marts.gmv_daily set aov = aov * 7 where dt = {NEWEST} - 3")
    assert found(connection, "key_figures_are_usual") == []


def test_young_shop_has_nothing_to_compare_with(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"delete from marts.gmv_daily where dt < {NEWEST} - 20")
    connection.execute(f"update marts.gmv_daily set aov = aov * 7 where dt = {NEWEST}")
    assert found(connection, "key_figures_are_usual") == []


def test_tag_that_was_lost_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"update marts.funnel_daily set channel = 'direct' where dt = {NEWEST}")
    assert found(connection, "mix_is_usual") == ["sessions by channel"]


def test_field_that_is_no_longer_filled_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"update marts.gmv_by_dimension set member = 'unknown' where dt = {NEWEST}")
    assert found(connection, "mix_is_usual") == ["orders by region"]


def test_few_sessions_say_nothing_of_shares(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"update marts.funnel_daily set channel = 'direct', visited = visited // 10 where dt = {NEWEST}"
    )
    assert found(connection, "mix_is_usual") == []
