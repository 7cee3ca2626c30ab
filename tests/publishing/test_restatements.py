"""ops.restatements: which figures of past days a publish changed, from what, to what, and why."""

from __future__ import annotations

import dataclasses
from datetime import date

import duckdb

from mallard.candidate import Candidate
from mallard.settings import Settings
from publishing import restatements
from publishing.contents import connect
from publishing.receipt import InputDelivery
from publishing.restatements import cause_of
from publishing.versions import publish, rollback
from tests.publishing import small_shop as shop


def change(candidate: Candidate, statement: str) -> None:
    with duckdb.connect(str(candidate.path)) as connection:
        connection.execute(statement)


def read_restatements(settings: Settings, columns: str, version: int) -> list[tuple[object, ...]]:
    with connect(settings.published / "current.duckdb") as connection:
        return connection.execute(
            f"select {columns} from ops.restatements where version = {version} order by all"
        ).fetchall()


def test_changed_figure_of_a_past_day_is_told_with_both_values(settings: Settings) -> None:
    shop.publish_one(settings, "first", days=3)
    candidate = shop.make_candidate(settings, "second", days=4)
    change(candidate, "update marts.gmv_daily set gmv = 90, cancel_rate = null where dt = '2025-11-02'")
    publish(settings, candidate, shop.make_receipt(candidate))
    assert read_restatements(settings, "table_name, dt, member, metric, old_value, new_value", 2) == [
        ("gmv_daily", date(2025, 11, 2), "", "cancel_rate", 0.5, None),
        ("gmv_daily", date(2025, 11, 2), "", "gmv", 100.0, 90.0),
    ]


def test_new_day_and_unchanged_days_are_no_restatements(settings: Settings) -> None:
    shop.publish_one(settings, "first", days=3)
    shop.publish_one(settings, "second", days=5)
    assert read_restatements(settings, "*", 2) == []


def test_last_digits_of_a_rate_are_no_restatement(settings: Settings) -> None:
    shop.publish_one(settings, "first", days=3)
    candidate = shop.make_candidate(settings, "second", days=3)
    change(candidate, "update marts.gmv_daily set cancel_rate = cancel_rate + 1e-13")
    publish(settings, candidate, shop.make_receipt(candidate))
    assert read_restatements(settings, "*", 2) == []


def test_mart_with_members_names_the_member_and_rows_that_came_or_went(settings: Settings) -> None:
    first = shop.make_candidate(settings, "first", days=3)
    members = """
        create or replace table marts.funnel_daily as
        select * from (values
            (date '2025-11-01', 'direct', 'mobile', 10::bigint),
            (date '2025-11-01', 'email', 'mobile', 5::bigint)
        ) as t (dt, channel, device, visited)
    """
    change(first, members)
    publish(settings, first, shop.make_receipt(first))
    second = shop.make_candidate(settings, "second", days=3)
    change(second, members)
    change(second, "update marts.funnel_daily set channel = 'affiliate', visited = 6 where channel = 'email'")
    publish(settings, second, shop.make_receipt(second))
    assert read_restatements(settings, "member, metric, old_value, new_value", 2) == [
        ("channel=affiliate, device=mobile", "visited", None, 6.0),
        ("channel=email, device=mobile", "visited", 5.0, None),
    ]


def test_mart_as_of_a_day_and_days_before_the_first_are_no_restatements(settings: Settings) -> None:
    """rfm_segments holds the day as_of only; an earlier history that is loaded later was never told of."""
    segments = """
        create or replace table marts.rfm_segments as
        select as_of as dt, 'champions' as segment, 5::bigint as customers from ops.run
    """
    first = shop.make_candidate(settings, "first", days=3)
    change(first, segments)
    change(first, "delete from marts.gmv_daily where dt = '2025-11-01'")
    publish(settings, first, shop.make_receipt(first))
    second = shop.make_candidate(settings, "second", days=4)
    change(second, segments)
    publish(settings, second, shop.make_receipt(second))
    assert read_restatements(settings, "table_name, dt, member", 2) == []


def test_day_that_got_its_first_rows_late_is_told(settings: Settings) -> None:
    first = shop.make_candidate(settings, "first", days=3)
    change(first, "delete from marts.gmv_daily where dt = '2025-11-02'")
    publish(settings, first, shop.make_receipt(first))
    shop.publish_one(settings, "second", days=3)
    assert ("gmv_daily", date(2025, 11, 2), "gmv", None, 100.0) in read_restatements(
        settings, "table_name, dt, metric, old_value, new_value", 2
    )


def test_history_is_kept_and_follows_a_rollback(settings: Settings) -> None:
    shop.publish_one(settings, "first", gmv="1.0000")
    shop.publish_one(settings, "second", gmv="2.0000")
    rollback(settings)
    shop.publish_one(settings, "third", gmv="3.0000")
    assert read_restatements(settings, "distinct old_value, new_value", 2) == [], (
        "readers went back to the first"
    )
    assert read_restatements(settings, "distinct old_value, new_value", 3) == [(1.0, 3.0)]
    shop.publish_one(settings, "fourth", gmv="4.0000")
    assert len(read_restatements(settings, "*", 3)) == 3
    assert read_restatements(settings, "distinct old_value, new_value", 4) == [(3.0, 4.0)]


def test_restating_everything_tells_the_latest_days_and_counts_the_rest(
    settings: Settings, monkeypatch: object
) -> None:
    from publishing import records

    shop.publish_one(settings, "first", gmv="1.0000", days=20)
    limit, restatements.TOLD_PER_MART = restatements.TOLD_PER_MART, 5
    try:
        shop.publish_one(settings, "second", gmv="2.0000", days=20)
    finally:
        restatements.TOLD_PER_MART = limit
    told = read_restatements(settings, "dt", 2)
    assert [str(day) for (day,) in told] == [f"2025-11-{day}" for day in range(16, 21)]
    assert dict(records.read_records(settings)[-1].changes)["gmv_daily"] == 20


def test_cause_names_what_the_run_brought(settings: Settings) -> None:
    receipt = shop.make_receipt(shop.make_candidate(settings, "run"))
    late = InputDelivery("clickstream", "events", "2025-11-20", "inbox", 1, "x", "2025-11-17", "2025-11-20")
    other = InputDelivery("orders", "orders", "2025-11-20", "inbox", 1, "x", "2025-11-19", "2025-11-20")
    receipt = dataclasses.replace(receipt, input_deliveries=(late, other), is_full_refresh=False)
    assert cause_of(receipt, date(2025, 11, 17), "UTC") == (
        "late or restated rows of this day in clickstream.events 2025-11-20"
    )
    assert cause_of(receipt, date(2025, 10, 1), "UTC") == (
        "later rows that reach back in clickstream.events 2025-11-20, orders.orders 2025-11-20"
    )
    rebuilt = dataclasses.replace(receipt, input_deliveries=(), is_full_refresh=True, code_version="2")
    assert cause_of(rebuilt, date(2025, 10, 1), "UTC") == "changed logic (1 → 2)"
