"""The reference itself against figures worked out by hand: versions, sessions, identity, users."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl
import pytest

from .columns import MARTS
from .compare import compare
from .handmade import AS_OF, SEEDS, Shop, at, pick
from .rates import MissingRateError
from .seeds import Seeds
from .sessions import host_of
from .values import money, quantile, rate, split

if TYPE_CHECKING:
    from pathlib import Path


def test_money_rounds_half_away_from_zero() -> None:
    assert money(Fraction(100_005, 1_000_000)) == Decimal("0.1000")
    assert money(Decimal("0.00005")) == Decimal("0.0001")
    assert money(Decimal("-0.00005")) == Decimal("-0.0001")
    assert money(Fraction(1, 3)) == Decimal("0.3333")


def test_split_gives_the_remainder_to_the_last() -> None:
    shares = split(Decimal("10.0000"), [1, 1, 1])
    assert shares == [Decimal("3.3333"), Decimal("3.3333"), Decimal("3.3334")]
    assert split(Decimal("5.0000"), [0, 0]) == [Decimal("0.0000"), Decimal("5.0000")]


def test_quantile_interpolates_and_rate_by_zero_is_missing() -> None:
    assert quantile([1, 2, 3, 4], Fraction(1, 4)) == Fraction(7, 4)
    assert quantile([], Fraction(1, 2)) is None
    assert rate(1, 0) is None
    assert rate(1, 4) == 0.25


def test_host_of_drops_scheme_port_and_user() -> None:
    assert host_of("https://user@WWW.Shop.example:8443/a?b") == "www.shop.example"
    assert host_of("shop.example:80/a") == "shop.example"
    assert host_of("/relative") == ""
    assert host_of(None) == ""


def test_as_of_is_the_earliest_feed_and_later_days_have_not_happened() -> None:
    shop = Shop()
    shop.order("o1", "03-09 10:00", ("p", 1, "10"), _delivery=date(2025, 3, 12))
    shop.order("o2", "03-10 10:00", ("p", 1, "10"), paid="03-11 01:00", cancelled_at=at("03-11 02:00"))
    shop.order("o3", "03-11 10:00", ("p", 1, "10"))
    shop.refund("o1", "03-11 10:00", "4")
    shop.event("a", "03-11 10:00")
    shop.spend("03-10", "email", "c", "1")
    reference = shop.run("gmv_daily")
    assert reference.as_of == AS_OF
    days = reference.marts["gmv_daily"]
    assert days["dt"].to_list() == [date(2025, 3, 9), date(2025, 3, 10)]
    assert days["gmv"].to_list() == [Decimal("10.0000"), Decimal("0.0000")]
    assert days["placed_gmv"].to_list() == [Decimal("10.0000"), Decimal("10.0000")]
    assert days["refund_amount"].sum() == 0
    assert days["cancel_rate"].to_list() == [0.0, 0.0]
    assert days["uv"].sum() == 0


def test_of_two_sources_on_one_day_the_later_by_name_counts_as_a_whole() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00", _source="web")
    shop.order("o", "03-05 10:00", paid=None, _source="app")
    shop.line("o", 1, "p", 1, "10", _source="web")
    shop.line("o", 1, "p", 1, "20", _source="app")
    shop.line("o", 2, "p", 1, "40", _source="app")
    assert shop.day("gmv_daily", "03-05")["gmv"] == Decimal(10)


def test_days_begin_with_a_payment_before_its_order() -> None:
    shop = Shop()
    shop.order("o", "03-05 00:01", ("p", 1, "10"), paid="03-04 23:59")
    days = shop.mart("gmv_daily")
    assert days[0]["dt"] == date(2025, 3, 4)
    assert [day["gmv"] for day in days[:2]] == [Decimal(10), Decimal(0)]


def test_newest_order_version_goes_by_updated_at_then_delivery_then_position() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00", ("p", 1, "10"), paid=None, updated_at=at("03-07 00:00"), status="placed")
    shop.order(
        "o", "03-05 10:00", paid="03-06 09:00", updated_at=at("03-06 09:00"), _delivery=date(2025, 3, 9)
    )
    shop.order("x", "03-05 10:00", paid="03-05 11:00", _delivery=date(2025, 3, 9))
    shop.order("x", "03-05 10:00", paid=None, _delivery=date(2025, 3, 8))
    reference = shop.run("gmv_daily")
    assert reference.orders.select("order_id", "paid_day").rows() == [("o", None), ("x", date(2025, 3, 5))]


def test_newest_complete_delivery_replaces_all_lines_of_an_order() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00")
    shop.line("o", 1, "p", 1, "10", _delivery=date(2025, 3, 5))
    shop.line("o", 2, "q", 1, "5", _delivery=date(2025, 3, 5))
    shop.line("o", 1, "p", 3, "10", _delivery=date(2025, 3, 6))
    shop.line("o", 1, "p", 9, "10", _delivery=date(2025, 3, 7), _is_incomplete=True)
    shop.order("z", "03-05 10:00")
    shop.line("z", 1, "p", 1, "1", _delivery=date(2025, 3, 5), _is_incomplete=True)
    shop.line("z", 1, "p", 2, "1", _delivery=date(2025, 3, 6), _is_incomplete=True)
    assert shop.run("gmv_daily").orders["amount"].to_list() == [Decimal("30.0000"), Decimal("1.0000")]


def test_spend_of_a_day_and_channel_is_replaced_as_a_whole() -> None:
    shop = Shop()
    shop.spend("03-05", "email", "a", "10", _delivery=date(2025, 3, 6))
    shop.spend("03-05", "email", "b", "20", _delivery=date(2025, 3, 6))
    shop.spend("03-05", "email", "a", "7", _delivery=date(2025, 3, 9))
    shop.spend("03-05", "display", "d", "1", _delivery=date(2025, 3, 6))
    facts = shop.run("gmv_daily").facts
    assert facts is not None
    assert {(row.channel, row.campaign_id, row.amount) for row in facts.spend} == {
        ("email", "a", Decimal("7.0000")),
        ("display", "d", Decimal("1.0000")),
    }


def test_reference_attributes_are_those_of_the_orders_day() -> None:
    shop = Shop()
    shop.add("customers", customer_id="1", member_tier="basic", _delivery=date(2025, 3, 3))
    shop.add("customers", customer_id="1", member_tier="gold", _delivery=date(2025, 3, 6))
    shop.add("customers", customer_id="1", member_tier="silver", updated_at=at("03-08 23:00"))
    shop.add("customers", customer_id="1", member_tier="platinum", updated_at=at("03-08 23:30"))
    for day in ("01", "05", "06", "07", "08"):
        shop.order(f"o{day}", f"03-{day} 10:00", customer_id="1")
    shop.order("guest", "03-09 10:00")
    tiers = shop.run("gmv_daily").orders["member_tier"].to_list()
    assert tiers == ["basic", "basic", "gold", "gold", "platinum", "unknown"]


def test_sessions_are_cut_after_more_than_thirty_minutes_and_not_at_midnight() -> None:
    shop = Shop()
    shop.event("a", "03-05 23:45")
    shop.event("a", "03-06 00:15")
    shop.event("a", "03-06 00:45:01")
    shop.event("a", "03-06 00:30", "click", s="named")
    sessions = shop.run("gmv_daily").sessions
    assert sessions.select("dt", "events", "active_seconds").rows() == [
        (date(2025, 3, 5), 2, 1800.0),
        (date(2025, 3, 6), 1, 0.0),
        (date(2025, 3, 6), 1, 0.0),
    ]


def test_a_named_session_keeps_long_gaps_but_counts_thirty_minutes_of_each() -> None:
    shop = Shop()
    for time in ("10:00", "10:01", "12:00"):
        shop.event("a", f"03-05 {time}", s="1")
    shop.event("b", "03-05 10:00", s="1")
    sessions = shop.run("gmv_daily").sessions
    assert sessions["active_seconds"].to_list() == [1860.0, 0.0]


def test_channel_comes_from_the_first_utm_else_the_first_outside_referrer() -> None:
    own = {"page_url": "https://shop.example/x"}
    shop = Shop()
    shop.event("a", "03-05 10:00", referrer="https://www.google.com/", **own)
    shop.event("a", "03-05 10:01", utm_medium="EMAIL", utm_campaign="spring", **own)
    shop.event("b", "03-05 10:00", referrer="https://shop.example/y", **own)
    shop.event("b", "03-05 10:01", referrer="https://www.google.co.uk/", **own)
    shop.event("c", "03-05 10:00", referrer="https://shop.example/y", **own)
    shop.event("d", "03-05 10:00", utm_campaign="only", referrer="https://shop.example/y", **own)
    shop.event("e", "03-05 10:00", utm_source="x", utm_medium="y", **own)
    shop.event("f", "03-05 10:00", utm_campaign="only", referrer="https://blog.example/", **own)
    sessions = shop.run("gmv_daily").sessions.sort("visitor_id")
    assert sessions.select("channel", "campaign_id").rows() == [
        ("email", "spring"),
        ("organic_search", ""),
        ("direct", ""),
        ("other", "only"),
        ("other", ""),
        ("referral", "only"),
    ]


def test_a_visitor_who_becomes_known_restates_its_past() -> None:
    shop = Shop()
    shop.event("a", "03-05 10:00", s="1")
    shop.event("a", "03-06 10:00", s="2", customer_id="1")
    shop.event("b", "03-05 10:00", s="3", customer_id="1")
    shop.event("b", "03-05 10:01", s="3", customer_id="2")
    shop.event("b", "03-06 10:00", s="4")
    sessions = shop.run("gmv_daily").sessions.sort("session_id")
    assert sessions["user_id"].to_list() == ["c:1", "c:1", "c:2", "v:b"]


def test_bots_by_agent_or_by_more_than_500_events_a_day_are_left_out() -> None:
    shop = Shop()
    shop.event("agent", "03-05 10:00", user_agent="GoogleBot/2.1")
    shop.event("agent", "03-05 10:10", user_agent="Mozilla")
    shop.event("agent", "03-06 10:00", user_agent="Mozilla")
    for number in range(501):
        shop.event("busy", f"03-06 {number // 60:02}:{number % 60:02}")
    for number in range(500):
        shop.event("keen", f"03-06 {number // 60:02}:{number % 60:02}")
    rows = shop.mart("gmv_daily")
    assert rows[0]["dt"] == date(2025, 3, 6)
    assert (rows[0]["uv"], rows[0]["pv"], rows[0]["sessions"]) == (2, 501, 2)


def test_a_bots_session_goes_by_its_first_day_and_its_events_by_their_own() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00")
    shop.event("a", "03-05 23:50", user_agent="a bot")
    shop.event("a", "03-06 00:10", user_agent="Mozilla")
    rows = shop.mart("active_users")
    assert [(row["dau"], row["sessions_per_user"]) for row in rows[:2]] == [(0, None), (1, 0.0)]


def test_active_users_windows_and_new_users() -> None:
    shop = Shop()
    shop.event("a", "03-01 10:00")
    shop.event("a", "03-07 10:00", customer_id="1")
    shop.event("b", "03-07 10:00")
    shop.event("b", "03-07 10:10", "impression")
    shop.event("b", "03-08 10:00", "click")
    shop.order("o", "03-07 10:05", ("p", 1, "9"), customer_id="1")
    rows = shop.mart("active_users")
    assert [row["wau"] for row in rows] == [None] * 6 + [2, 2, 2, 2]
    assert {row["mau"] for row in rows} == {None}
    seventh = rows[6]
    assert (seventh["dau"], seventh["new_users"], seventh["returning_users"]) == (2, 1, 1)
    assert (seventh["payer_rate"], seventh["bounce_rate"]) == (0.5, 1.0)
    assert seventh["active_seconds_per_user"] == 300.0
    assert rows[7]["bounce_rate"] == 0.0
    assert rows[1]["dau"] == 0
    assert rows[1]["bounce_rate"] is None


def test_retention_by_channel_is_missing_until_the_day_is_over() -> None:
    shop = Shop()
    shop.event("a", "03-05 10:00", utm_medium="email")
    shop.event("a", "03-06 10:00")
    shop.event("a", "03-08 10:00")
    shop.event("b", "03-05 10:00")
    shop.spend("03-05", "email", "x", "1")
    rows = shop.mart("retention")
    first = pick(rows, cohort_dt="03-05", channel="all", day_n=1)
    assert (first["cohort_size"], first["retained"], first["retention_rate"]) == (2, 1, 0.5)
    third = pick(rows, cohort_dt="03-05", channel="email", day_n=3)
    assert (third["cohort_size"], third["retained"], third["is_mature"]) == (1, 1, True)
    late = pick(rows, cohort_dt="03-05", channel="all", day_n=7)
    assert (late["cohort_size"], late["retained"], late["is_mature"]) == (2, None, False)
    assert len(rows) == 3 * 7


def test_weekly_retention_counts_iso_weeks() -> None:
    shop = Shop()
    shop.event("a", "02-23 10:00")
    shop.event("a", "03-02 10:00")
    shop.event("a", "03-03 10:00")
    rows = shop.mart("retention_weekly")
    week = {row["week_n"]: row for row in rows if row["channel"] == "all"}
    assert week[0]["cohort_week"] == date(2025, 2, 17)
    assert [week[n]["retained"] for n in range(4)] == [1, 1, 1, None]


def test_business_days_follow_the_time_zone() -> None:
    shop = Shop()
    shop.order("o", "03-05 03:00", ("p", 1, "10"))
    [row, *_] = shop.mart("gmv_daily", time_zone="America/New_York")
    assert row["dt"] == date(2025, 3, 4)


def test_a_currency_without_a_rate_is_refused() -> None:
    shop = Shop()
    shop.order("o", "03-09 10:00", currency="EUR")
    shop.add("fx_rates", rate_date=date(2025, 3, 1), currency="EUR", rate_to_reporting=Decimal("1.1"))
    with pytest.raises(MissingRateError, match="EUR"):
        shop.run()
    shop.add("fx_rates", rate_date=date(2025, 3, 2), currency="EUR", rate_to_reporting=Decimal("1.2"))
    facts = shop.run("gmv_daily").facts
    assert facts is not None
    assert facts.orders[0].rate == Fraction(12, 10)


def test_a_shop_without_anything_has_empty_marts_of_the_right_types() -> None:
    reference = Shop().run()
    assert reference.as_of is None
    assert all(mart.is_empty() for mart in reference.marts.values())
    assert reference.marts["gmv_daily"].schema["gmv"] == pl.Decimal(18, 4)


def test_a_shop_with_orders_only_has_all_its_marts() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00", ("p", 1, "10"), customer_id="1")
    reference = shop.run()
    assert reference.marts["retention"].is_empty()
    assert reference.marts["customer_rfm"].height == 1


def test_seeds_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bot_agents.csv").write_text("user_agent_pattern\nbot\n")
    (tmp_path / "channel_rules.csv").write_text(
        "rule_order,utm_source_pattern,utm_medium_pattern,referrer_host_pattern,channel\n2,.+,,,b\n1,x,,,a\n"
    )
    seeds = Seeds.read(tmp_path)
    assert seeds.bot_agents == ("bot",)
    assert [rule.channel for rule in seeds.channel_rules] == ["a", "b"]


def test_compare_names_every_difference() -> None:
    expected = pl.DataFrame({"k": ["a", "b"], "n": [1, 2], "x": [1.0, None]})
    assert compare(expected, expected.with_columns(pl.col("x") * (1 + 1e-12)), ["k"]) == []
    actual = pl.DataFrame({"k": ["a", "c"], "n": [1, 2], "x": [None, 1.0]}, schema=expected.schema)
    assert compare(expected, actual, ["k"]) == [
        "k=a: x expected 1.0, found None",
        "missing row: k=b",
        "row too many: k=c",
    ]
    assert compare(expected, expected.drop("x"), ["k"]) == ["missing column: x"]
    assert compare(expected, pl.concat([expected, expected]), ["k"])[0] == "twice in the actual table: k=a"
    assert compare(expected, expected.with_columns(pl.col("n").cast(pl.Int32)), ["k"]) == [
        "type of n: expected Int64, found Int32"
    ]


def test_the_mart_columns_are_declared_with_a_grain() -> None:
    assert len(MARTS) == 25
    assert all(any(is_grain for _, is_grain in columns.values()) for columns in MARTS.values())
    assert SEEDS.bot_events_per_day == 500
