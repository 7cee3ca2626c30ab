"""The reference's sales, customers and conversion against figures worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from .handmade import Shop, at, pick
from .marts_sales import Funnel, effects


def test_a_discount_is_split_by_amount_and_the_last_line_takes_the_remainder() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00", ("p", 1, "10"), ("q", 2, "5"), ("r", 1, "10"), discount_amount="1")
    facts = shop.run("gmv_daily").facts
    assert facts is not None
    assert [str(line.discount) for line in facts.orders[0].lines] == ["0.3333", "0.3333", "0.3334"]
    assert shop.day("gmv_daily", "03-05")["discount_amount"] == Decimal("1.0000")


def test_money_is_converted_row_by_row_at_the_rate_of_the_orders_day() -> None:
    shop = Shop()
    for day, value in ((4, "1.1111111"), (8, "2")):
        shop.add("fx_rates", rate_date=date(2025, 3, day), currency="EUR", rate_to_reporting=Decimal(value))
    shop.order("o", "03-05 10:00", ("p", 1, "0.5"), ("q", 1, "0.5"), currency="EUR", paid="03-08 10:00")
    shop.refund("o", "03-09 10:00", "1")
    assert shop.day("gmv_daily", "03-08")["gmv"] == Decimal("1.1112")
    assert shop.day("gmv_daily", "03-09")["refund_amount"] == Decimal("1.1111")


def test_net_revenue_and_margin_of_a_day() -> None:
    shop = Shop()
    shop.product("p", unit_cost="3")
    shop.product("q")
    shop.order("o", "03-05 10:00", ("p", 2, "10"), ("q", 1, "5"), discount_amount="5")
    shop.order("unpaid", "03-05 11:00", ("p", 1, "10"), paid=None, status="cancelled")
    shop.refund("o", "03-06 10:00", "10", line_number=1, quantity=1, kind="return")
    shop.refund("o", "03-06 11:00", "1", line_number=1, kind="refund_only")
    shop.refund("unpaid", "03-06 12:00", "2", kind="return")
    shop.refund("nobody", "03-06 12:00", "99")
    fifth, sixth = shop.day("gmv_daily", "03-05"), shop.day("gmv_daily", "03-06")
    assert fifth["gmv"] == Decimal("25.0000")
    assert fifth["placed_gmv"] == Decimal("35.0000")
    assert fifth["net_revenue"] == Decimal("20.0000")
    assert fifth["gross_margin"] == Decimal("14.0000")
    assert fifth["cost_coverage"] == 0.8
    assert (fifth["cancel_rate"], fifth["refund_rate"]) == (0.5, 1.0)
    assert sixth["refund_amount"] == Decimal("13.0000")
    assert sixth["gross_margin"] == Decimal("-10.0000")
    assert sixth["conversion_rate"] is None


def test_a_line_cost_in_the_orders_currency_wins_over_the_products() -> None:
    shop = Shop()
    shop.add("fx_rates", rate_date=date(2025, 3, 5), currency="EUR", rate_to_reporting=Decimal(2))
    shop.product("p", unit_cost="3")
    shop.order("o", "03-05 10:00", currency="EUR")
    shop.line("o", 1, "p", 1, "10", unit_cost="4")
    shop.line("o", 2, "p", 1, "10")
    assert shop.day("gmv_daily", "03-05")["gross_margin"] == Decimal("29.0000")


def test_a_whole_order_return_gives_back_the_cost_of_all_lines() -> None:
    shop = Shop()
    shop.product("p", unit_cost="3", category_l1="a")
    shop.product("q", unit_cost="1", category_l1="b")
    shop.order("o", "03-05 10:00", ("p", 1, "10"), ("q", 3, "10"))
    shop.refund("o", "03-06 10:00", "10", kind="return")
    assert shop.day("gmv_daily", "03-06")["gross_margin"] == Decimal("-4.0000")
    rows = shop.mart("gmv_by_dimension")
    assert pick(rows, dt="03-06", dimension="category_l1", member="a")["refund_amount"] == Decimal("2.5000")
    assert pick(rows, dt="03-06", dimension="category_l1", member="b")["gross_margin"] == Decimal("-4.5000")


def test_what_has_no_line_in_the_order_is_unknowns() -> None:
    shop = Shop()
    shop.product("p", category_l1="a")
    shop.order("o", "03-05 10:00", ("p", 1, "10"), sales_channel="store")
    shop.refund("o", "03-06 10:00", "4", line_number=7)
    shop.order("empty", "03-05 10:00", discount_amount="2", sales_channel="store")
    rows = shop.mart("gmv_by_dimension")
    assert pick(rows, dt="03-06", dimension="category_l1", member="unknown")["refund_amount"] == 4
    unknown = pick(rows, dt="03-05", dimension="category_l1", member="unknown")
    assert (unknown["discount_amount"], unknown["orders"]) == (2, 0)
    store = pick(rows, dt="03-05", dimension="sales_channel", member="store")
    assert (store["gmv"], store["discount_amount"], store["orders"]) == (10, 2, 1)


def test_dimensions_add_up_to_the_day() -> None:
    shop = Shop()
    shop.product("p", category_l1="a", unit_cost="1", brand="x")
    shop.order("o", "03-05 10:00", ("p", 1, "10"), ("q", 3, "1"), discount_amount="1", device="phone")
    shop.order("u", "03-06 10:00", ("p", 1, "10"), paid="03-07 10:00", promotion_id="sale")
    shop.refund("o", "03-07 10:00", "3", kind="return")
    reference = shop.run("gmv_daily", "gmv_by_dimension")
    days, members = reference.marts["gmv_daily"], reference.marts["gmv_by_dimension"]
    for column in ("gmv", "placed_gmv", "discount_amount", "refund_amount", "gross_margin", "units"):
        sums = members.group_by("dimension").agg(pl.col(column).sum())
        assert sums.height == 11
        assert set(sums[column].to_list()) == {days[column].sum()}


def test_gmv_changes_against_a_week_before() -> None:
    shop = Shop()
    shop.order("a", "03-01 10:00", ("p", 1, "10"))
    shop.order("b", "03-08 10:00", ("p", 1, "15"))
    shop.order("c", "03-09 10:00", ("p", 1, "15"))
    rows = {row["dt"].day: row["gmv_wow"] for row in shop.mart("gmv_daily")}
    assert rows == {1: None, 2: None, 3: None, 4: None, 5: None, 6: None, 7: None, 8: 0.5, 9: None, 10: None}


def test_drivers_split_the_change_exactly() -> None:
    uv, conversion, spend = effects(
        Funnel(200, 10, Decimal("1000.0000")), Funnel(100, 10, Decimal("500.0000"))
    )
    # UV doubled, conversion halved, spend per buyer doubled: L = 500 / ln 2, so the effects are ±500.
    assert (uv, conversion, spend) == (Decimal("500.0000"), Decimal("-500.0000"), Decimal("500.0000"))


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (Funnel(0, 1, Decimal(5)), Funnel(0, 1, Decimal(3)), (0, 0, 2)),
        (Funnel(0, 1, Decimal(5)), Funnel(9, 1, Decimal(3)), (2, 0, 0)),
        (Funnel(5, 1, Decimal(5)), Funnel(9, 0, Decimal(0)), (0, 5, 0)),
        (Funnel(5, 1, Decimal(0)), Funnel(9, 1, Decimal(3)), (0, 0, -3)),
        (Funnel(5, 0, Decimal(0)), Funnel(9, 0, Decimal(0)), (0, 0, 0)),
    ],
)
def test_drivers_with_zeros(now: Funnel, before: Funnel, expected: tuple[int, int, int]) -> None:
    assert list(effects(now, before)) == list(expected)


def test_drivers_have_rows_for_channels_of_either_day() -> None:
    shop = Shop()
    shop.event("a", "03-08 10:00", utm_medium="email")
    shop.event("b", "03-09 10:00")
    shop.order("o", "03-09 10:00", ("p", 1, "10"), customer_id="1")
    rows = [row for row in shop.mart("gmv_drivers") if row["dt"] == date(2025, 3, 9)]
    assert {(row["compare_to"], row["channel"]) for row in rows} == {
        ("day", "all"),
        ("day", "direct"),
        ("day", "email"),
        ("day", "unattributed"),
    }
    assert pick(rows, channel="unattributed")["spend_effect"] == 10


def test_the_session_of_an_order() -> None:
    shop = Shop()
    for visitor, session, time in (("a", "1", "10:00"), ("b", "1", "11:00"), ("c", "3", "12:00")):
        shop.event(visitor, f"03-05 {time}", s=session)
    shop.event("c", "03-05 12:05", "purchase", s="3", order_id="bought")
    shop.event("d", "03-05 10:00", s="4", customer_id="1")
    shop.event("d", "03-05 10:20", s="5")
    shop.order("own", "03-05 09:00", session_id="1", visitor_id="a")
    shop.order("latest", "03-05 11:30", session_id="1")
    shop.order("earlier", "03-05 10:59", session_id="1")
    shop.order("bought", "03-05 12:05", session_id="lost", visitor_id="a")
    shop.order("recent", "03-05 10:50", customer_id="1")
    shop.order("stale", "03-05 10:50:01", customer_id="1")
    shop.order("visitor", "03-05 10:30", visitor_id="a", paid=None)
    orders = shop.run("gmv_daily").orders.sort("order_id")
    found = dict(
        zip(
            orders["order_id"],
            zip(orders["session_visitor_id"], orders["session_id"], strict=True),
            strict=True,
        )
    )
    assert found == {
        "own": ("a", "1"),
        "latest": ("b", "1"),
        "earlier": ("a", "1"),
        "bought": ("c", "3"),
        "recent": ("d", "5"),
        "stale": (None, None),
        "visitor": ("a", "1"),
    }
    assert dict(zip(orders["order_id"], orders["channel"], strict=True))["stale"] == "unattributed"


def test_the_buyer_of_a_guests_order() -> None:
    shop = Shop()
    shop.event("a", "03-05 10:00", s="1", customer_id="7")
    shop.event("b", "03-05 10:00", s="2")
    shop.order("1", "03-05 10:00", session_id="2", visitor_id="b")
    shop.order("2", "03-09 10:00", visitor_id="a")
    shop.order("3", "03-09 10:00", visitor_id="z")
    shop.order("4", "03-09 10:00")
    shop.order("5", "03-09 10:00", customer_id="9", visitor_id="a")
    orders = shop.run("gmv_daily").orders.sort("order_id")
    assert orders["buyer"].to_list() == ["v:b", "c:7", "v:z", "o:4", "c:9"]


def test_a_customer_without_session_is_suspicious_when_three_other_orders_have_one() -> None:
    shop = Shop()
    for number in range(3):
        shop.event("a", f"03-0{number + 1} 10:00", s=str(number), customer_id="1")
        shop.order(f"with{number}", f"03-0{number + 1} 10:00", customer_id="1", paid=None)
    shop.order("web", "03-08 10:00", ("p", 1, "1"), customer_id="1", sales_channel="web")
    shop.order("none", "03-08 10:00", ("p", 1, "2"), customer_id="1")
    shop.order("store", "03-08 10:00", ("p", 1, "4"), customer_id="1", sales_channel="store")
    row = shop.day("gmv_daily", "03-08")
    assert (row["gmv"], row["gmv_excl_suspicious"]) == (7, 4)


def test_six_orders_of_a_product_in_sixty_minutes_are_suspicious() -> None:
    shop = Shop()
    for minute in ("00", "10", "20", "30", "40"):
        shop.order(minute, f"03-08 10:{minute}", ("p", 1, "1"), customer_id="1")
    assert shop.day("gmv_daily", "03-08")["gmv_excl_suspicious"] == 5
    shop.order("60", "03-08 11:00", ("p", 1, "1"), customer_id="1")
    shop.order("61", "03-08 11:00:01", ("p", 1, "1"), customer_id="1")
    # 10:00 … 11:00 are six; so are 10:10 … 11:00:01.
    assert shop.day("gmv_daily", "03-08")["gmv_excl_suspicious"] == 0


def test_a_merchant_who_buys_its_own_goods_is_suspicious() -> None:
    shop = Shop()
    shop.add("merchants", merchant_id="m", owner_customer_id="1")
    shop.product("p", merchant_id="m")
    shop.order("own", "03-08 10:00", ("p", 1, "1"), customer_id="1")
    shop.order("other", "03-08 10:00", ("p", 1, "2"), customer_id="2")
    assert shop.day("gmv_daily", "03-08")["gmv_excl_suspicious"] == 2


def test_repurchase_counts_second_and_later_orders_in_the_window() -> None:
    shop = Shop()
    shop.order("a1", "01-01 12:00", ("p", 1, "1"), customer_id="1")
    shop.order("a2", "02-15 12:00", ("p", 1, "10"), customer_id="1")
    shop.order("a3", "03-01 00:00", ("p", 1, "20"), customer_id="1")
    shop.order("b1", "03-01 12:00", ("p", 1, "70"), customer_id="2")
    shop.order("b2", "03-02 12:00", ("p", 1, "100"), customer_id="2", paid=None)
    rows = shop.mart("repurchase")
    month = pick(rows, dt="03-10", window_days=30)
    assert (month["buyers"], month["repurchase_users"], month["repurchase_rate"]) == (2, 1, 0.5)
    assert month["repurchase_amount"] == 20
    assert month["repurchase_amount_share"] == 0.2
    assert month["median_days_between_orders"] == 13.5
    assert month["is_full_window"] is True
    quarter = pick(rows, dt="03-10", window_days=90)
    assert quarter["repurchase_amount"] == 30
    assert quarter["median_days_between_orders"] == (45 + 13.5) / 2
    assert quarter["is_full_window"] is False
    assert pick(rows, dt="01-30", window_days=30)["is_full_window"] is True
    assert pick(rows, dt="01-29", window_days=30)["is_full_window"] is False


def test_repurchase_cohorts_wait_for_the_month_to_be_over() -> None:
    shop = Shop()
    shop.order("a1", "01-05 12:00", ("p", 1, "10"), customer_id="1")
    shop.order("a2", "02-05 12:00", ("p", 1, "20"), customer_id="1")
    shop.order("b1", "01-06 12:00", ("p", 1, "30"))
    shop.order("a3", "03-05 12:00", ("p", 1, "20"), customer_id="1")
    rows = shop.mart("repurchase_cohort")
    february = pick(rows, cohort_month="01-01", month_n=1)
    assert (february["cohort_size"], february["buyers"], february["buyer_rate"]) == (2, 1, 0.5)
    assert (february["gmv"], february["cumulative_gmv_per_customer"]) == (20, 30.0)
    march = pick(rows, cohort_month="01-01", month_n=2)
    assert (march["cohort_size"], march["gmv"], march["is_mature"]) == (2, None, False)


def rfm_shop() -> Shop:
    """Five customers: ever later, more often and for more money."""
    shop = Shop()
    for customer in range(1, 6):
        for order in range(customer):
            shop.order(
                f"{customer}-{order}",
                f"0{1 + customer // 5}-1{customer} 10:00",
                ("p", customer, "10"),
                customer_id=str(customer),
            )
    return shop


def test_rfm_scores_segments_and_tiers() -> None:
    shop = rfm_shop()
    shop.refund("5-0", "02-20 10:00", "1")
    shop.order("guest", "03-01 10:00", ("p", 1, "10"))
    shop.order("old", "03-01 10:00", ("p", 1, "10"), customer_id="9", paid=None)
    rows = shop.mart("customer_rfm")
    assert [row["customer_id"] for row in rows] == ["1", "2", "3", "4", "5"]
    best, worst = rows[4], rows[0]
    assert best["monetary"] == Decimal("249.0000")
    assert best["recency_days"] == 23
    # With five distinct values the cut points lie between them: scores 1 to 5, mean 3.
    assert [row["f_score"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["r_score"] for row in rows] == [1, 2, 3, 4, 5]
    assert (best["segment"], best["tier"]) == ("champions", "high_value")
    assert (worst["segment"], worst["tier"]) == ("hibernating", "dormant")
    # On 8 February the fifth was no customer yet; of four, cut points 0.6, 1.2, 1.8, 2.4 of the way.
    assert best["previous_segment"] is None
    assert rows[3]["previous_segment"] == "champions"


def test_segments_count_moves_of_those_who_were_there_before() -> None:
    shop = Shop()
    shop.order("a1", "01-01 10:00", ("p", 1, "100"), customer_id="1")
    shop.order("b1", "01-02 10:00", ("p", 1, "10"), customer_id="2")
    shop.order("b2", "03-01 10:00", ("p", 1, "500"), customer_id="2")
    shop.order("c1", "03-01 10:00", ("p", 1, "1"), customer_id="3")
    rows = shop.mart("rfm_segments")
    assert sum(row["customers"] for row in rows) == 3
    assert sum(row["moved_in"] for row in rows) == sum(row["moved_out"] for row in rows) == 2
    assert sum(row["gmv"] for row in rows) == 611
    # 8 February: 1 paid more (lapsed big spender), 2 came later (new). Today: 2 is a champion, 1 hibernates.
    assert pick(rows, segment="lapsed_big_spenders")["moved_out"] == 1
    assert pick(rows, segment="champions")["moved_in"] == 1


def test_the_funnel_is_strict_and_any_order_is_beside_it() -> None:
    shop = Shop()
    shop.product("p", list_price="12.5")
    shop.event("a", "03-05 10:00", page_type="detail", product_id="p", s="1")
    shop.event("a", "03-05 10:00", "add_to_cart", product_id="p", s="1")
    shop.event("a", "03-05 10:02", page_type="checkout", s="1", device="phone")
    shop.order("o", "03-05 10:03", session_id="1", visitor_id="a", paid="03-07 10:00")
    shop.event("b", "03-05 10:00", "add_to_cart", product_id="p", s="2", device="phone")
    shop.event("b", "03-05 10:01", "add_to_cart", product_id="p", s="2")
    shop.event("b", "03-05 10:02", page_type="detail", product_id="p", s="2")
    shop.event("b", "03-05 10:03", "checkout", s="2")
    shop.event("c", "03-05 10:03", s="3")
    rows = shop.mart("funnel_daily")
    row = pick(rows, dt="03-05", channel="direct", device="phone")
    strict = [row[step] for step in ("visited", "viewed", "carted", "checked_out", "paid")]
    assert strict == [2, 2, 1, 1, 1]
    assert [row[f"any_{step}"] for step in ("viewed", "carted", "checked_out", "paid")] == [2, 2, 2, 1]
    assert (row["abandoned_carts"], row["abandoned_value"]) == (1, Decimal("12.5000"))
    assert (row["cart_rate"], row["overall_rate"]) == (0.5, 0.5)
    unknown = pick(rows, dt="03-05", channel="direct", device="unknown")
    assert (unknown["visited"], unknown["cart_rate"]) == (1, None)


def test_cancelled_goes_by_the_time_else_by_the_status() -> None:
    shop = Shop()
    shop.order("time", "03-05 10:00", cancelled_at=at("03-06 10:00"))
    shop.order("status", "03-05 10:00", status="cancelled")
    shop.order("future", "03-05 10:00", status="cancelled", cancelled_at=at("03-12 10:00"))
    orders = shop.run("gmv_daily").orders.sort("order_id")
    assert orders["is_cancelled"].to_list() == [False, True, True]
