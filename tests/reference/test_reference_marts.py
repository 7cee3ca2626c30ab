"""The reference's conversion, product and channel marts against figures worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from .attribution import MODELS, position_based, removal_effects, spread
from .handmade import Shop, at, pick


def test_paths_keep_five_page_types_and_make_runs_one() -> None:
    shop = Shop()
    pages = {
        "1": ["home", "cart", "list", "list", "detail", "home"],
        "2": ["search", "home", "detail"],
        "3": ["home", "list"],
        "4": ["detail"],
    }
    for session, page_types in pages.items():
        for minute, page_type in enumerate(page_types):
            shop.event("a", f"03-05 1{session}:0{minute}", page_type=page_type, s=session)
    shop.order("o", "03-06 10:00", ("p", 1, "9"), session_id="1", visitor_id="a")
    rows = {row["path"]: row for row in shop.mart("conversion_paths")}
    assert set(rows) == {"home>list>detail", "other", "no_detail", "detail"}
    bought = rows["home>list>detail"]
    assert (bought["orders"], bought["conversion_rate"], bought["gmv"]) == (1, 1.0, 9)


def test_a_line_belongs_to_the_last_click_with_a_slot_before_the_order() -> None:
    shop = Shop()

    def see(time: str, kind: str, slot: str | None, product: str = "p") -> None:
        shop.event("a", f"03-05 {time}", kind, product_id=product, slot_id=slot, page_type="home", s="1")

    see("09:00", "impression", "top")
    see("09:01", "click", "top")
    see("10:01", "click", "top")
    see("10:02", "click", "top", "q")
    see("10:03", "click", None)
    see("10:20", "click", "late")
    shop.order(
        "o", "03-05 10:10", ("p", 1, "9"), ("q", 1, "1"), ("r", 1, "5"), session_id="1", visitor_id="a"
    )
    rows = shop.mart("slot_performance")
    assert [(row["hour"], row["slot_id"], row["clicks"], row["orders"], row["gmv"]) for row in rows] == [
        (9, "top", 1, 0, 0),
        (10, "late", 1, 0, 0),
        (10, "top", 2, 1, 10),
    ]
    assert (rows[0]["click_rate"], rows[1]["click_rate"]) == (1.0, None)


def test_product_figures_of_a_day() -> None:
    shop = Shop()
    shop.product("p", unit_cost="4")
    for visitor in ("a", "a", "b"):
        shop.event(visitor, "03-05 10:00", page_type="detail", product_id="p")
    shop.event("a", "03-05 10:00", "impression", product_id="p")
    shop.event("a", "03-05 10:01", "add_to_cart", product_id="p")
    shop.order("o", "03-05 10:02", ("p", 2, "10"), ("q", 1, "80"), customer_id="1")
    shop.order("x", "03-05 10:02", ("p", 1, "10"), customer_id="1")
    shop.refund("o", "03-07 10:00", "10", line_number=1, quantity=1, kind="return")
    shop.refund("x", "03-07 10:00", "1", kind="refund_only")
    shop.add("inventory", product_id="p", snapshot_date=date(2025, 3, 5), on_hand=6)
    for day, rating in (("04", 5), ("05", 2), ("06", 1)):
        shop.add("reviews", review_id=day, product_id="p", rating=rating, reviewed_at=at(f"03-{day} 10:00"))
    rows = shop.mart("product_performance")
    row = pick(rows, dt="03-05", product_id="p")
    assert [row[name] for name in ("impressions", "detail_views", "viewers", "carts")] == [1, 3, 2, 1]
    assert [row[name] for name in ("buyers", "orders", "units", "gmv")] == [1, 2, 3, 30]
    assert (row["gross_margin"], row["margin_rate"]) == (18, 0.6)
    assert (row["conversion_rate"], row["refund_rate"], row["return_rate"]) == (0.5, 1.0, 0.5)
    assert (row["rating"], row["on_hand"], row["days_of_stock"]) == (3.5, 6, 56.0)
    late = pick(rows, dt="03-07", product_id="p")
    assert (late["gmv"], late["gross_margin"], late["margin_rate"], late["orders"]) == (0, -7, None, 0)
    assert (late["rating"], late["on_hand"]) == (pytest.approx(8 / 3), None)
    assert pick(rows, dt="03-05", product_id="q")["refund_rate"] == 0.0


def selection_shop() -> Shop:
    """Four products of two categories: seen by 4, 3, 2, 1 people; the first two sell."""
    shop = Shop()
    for number, (product, price, cost, category) in enumerate(
        [("a", "100", "50", "x"), ("b", "10", "9", "x"), ("c", "10", "5", "x"), ("d", "10", "5", "y")]
    ):
        shop.product(product, list_price=price, unit_cost=cost, category_l2=category)
        for visitor in range(4 - number):
            shop.event(f"v{visitor}", f"03-05 10:0{number}", page_type="detail", product_id=product)
            shop.event(f"v{visitor}", f"03-05 10:0{number}", "impression", product_id=product)
    shop.product("gone", category_l2="y", delisted_at=at("03-09 10:00"))
    shop.order("o", "03-05 10:10", ("a", 1, "100"), ("b", 5, "10"), customer_id="1")
    return shop


def test_products_are_selected_by_four_rules() -> None:
    rows = selection_shop().mart("product_selection")
    assert [row["product_id"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["demand"] for row in rows] == [4, 3, 2, 1]
    # Upper quartile of 1 2 3 4 is 3.25; median competition of 2 2 2 0 is 2.
    assert [row["is_demand"] for row in rows] == [True, False, False, False]
    assert [row["competition"] for row in rows] == [2, 2, 2, 0]
    assert all(row["is_competition"] for row in rows)
    assert [row["margin_rate"] for row in rows] == [0.5, 0.1, None, None]
    assert [row["is_margin_rate"] for row in rows] == [True, False, False, False]
    assert [row["is_return_rate"] for row in rows] == [True, True, False, False]
    assert [row["passes"] for row in rows] == [True, False, False, False]
    # Median margin rate 0.3; a's price is above the upper quartile (32.5) of its category.
    assert [row["product_role"] for row in rows] == ["image", "traffic", "none", "none"]


def test_category_roles_take_the_first_that_fits() -> None:
    shop = selection_shop()
    shop.order("p", "03-05 10:10", ("d", 1, "10"), customer_id="2")
    rows = {row["category_l2"]: row for row in shop.mart("category_roles")}
    x, y = rows["x"], rows["y"]
    assert (x["exposure"], y["exposure"]) == (9, 1)
    # x: 1 buyer of 4 viewers, y: 1 of 1; y is shown less than the median.
    assert (x["conversion_rate"], y["conversion_rate"]) == (0.25, 1.0)
    assert (x["role"], y["role"]) == ("traffic", "rising_star")
    assert (x["units"], x["margin_rate"]) == (6, pytest.approx(55 / 150))


def test_credit_of_the_closed_models() -> None:
    assert position_based(1) == [1]
    assert position_based(2) == [Fraction(1, 2)] * 2
    assert position_based(4) == [Fraction(2, 5), Fraction(1, 10), Fraction(1, 10), Fraction(2, 5)]
    thirds = [Fraction(1, 3)] * 3
    assert spread(Decimal("10.0000"), thirds) == [Decimal("3.3333"), Decimal("3.3333"), Decimal("3.3334")]
    assert spread(Decimal("10.0000"), [Fraction(1), Fraction(0)]) == [Decimal("10.0000"), 0]


def test_removal_effects_of_a_worked_example() -> None:
    # start→A (2), A→B (1), A→conversion (1), B→conversion (1), start→B (1), B→null (1).
    effects = removal_effects([["A", "B"], ["A"]], [["B"]])
    # With all: P = 2/3 × (1/2 + 1/2 × 1/2) + 1/3 × 1/2 = 2/3. Without A: 1/6. Without B: 2/3 × 1/2 = 1/3.
    assert effects == {"A": Fraction(3, 4), "B": Fraction(1, 2)}
    assert removal_effects([["A", "A"]], [["A"]]) == {"A": 1}
    assert removal_effects([], [["A"]]) == {}


def touch_shop() -> Shop:
    """One order of 9.9999 after an email, a search ad and a direct visit."""
    shop = Shop()
    shop.event("a", "03-01 10:00", s="0", utm_medium="display", customer_id="1")
    shop.event("a", "03-02 10:00", s="1", utm_medium="email", utm_campaign="news")
    shop.event("a", "03-09 10:00", s="2", utm_medium="cpc", utm_campaign="ad")
    shop.event("a", "03-09 10:40", s="3")
    shop.order("o", "04-01 10:00", customer_id="1")
    return shop


def ninth(shop: Shop) -> dict[tuple[str, str], dict[str, Any]]:
    """(channel, model) -> row of 9 March."""
    rows = [row for row in shop.mart("channel_roi") if row["dt"] == date(2025, 3, 9)]
    return {(row["channel"], row["model"]): row for row in rows}


def test_touches_are_the_buyers_sessions_of_thirty_days_without_direct() -> None:
    shop = touch_shop()
    shop.order("p", "03-09 10:45", ("p", 1, "9.9999"), session_id="3", visitor_id="a", customer_id="1")
    rows = ninth(shop)
    assert {channel for channel, _ in rows} == {"other", "email", "paid_search", "direct"} - {"other"} | {
        "other"
    }
    assert rows["direct", "last_touch"]["orders"] == 0
    assert rows["direct", "last_touch"]["sessions"] == 1
    assert rows["paid_search", "last_touch"]["gmv"] == Decimal("9.9999")
    assert rows["other", "first_touch"]["orders"] == 1
    assert rows["email", "linear"]["gmv"] == Decimal("3.3333")
    assert rows["other", "position_based"]["orders"] == 0.4
    # Ages: 8 d 45 min, 7 d 45 min, 45 min: weights 2^-(8/7), 2^-1, 1 times a common factor.
    weights = [2 ** (-8 / 7), 0.5, 1.0]
    assert rows["email", "time_decay"]["orders"] == pytest.approx(0.5 / sum(weights), abs=1e-12)
    for model in MODELS:
        assert sum(row["gmv"] for (_, name), row in rows.items() if name == model) == Decimal("9.9999")
        assert sum(row["new_buyers"] for (_, name), row in rows.items() if name == model) == pytest.approx(1)


def test_direct_counts_where_there_is_nothing_else_and_no_touch_is_unattributed() -> None:
    shop = Shop()
    shop.event("a", "03-09 10:00", s="1", customer_id="1")
    shop.order("o", "03-09 10:10", ("p", 1, "1"), customer_id="1")
    shop.order("x", "03-09 10:10", ("p", 1, "2"), customer_id="2")
    rows = ninth(shop)
    assert rows["direct", "markov"]["gmv"] == 1
    assert rows["unattributed", "markov"]["gmv"] == 2
    assert rows["unattributed", "linear"]["new_buyers"] == 1


def test_both_ends_of_the_thirty_days_are_in() -> None:
    shop = Shop()
    shop.event("a", "02-07 10:00", s="1", customer_id="1", utm_medium="email")
    shop.order("o", "03-09 10:00", ("p", 1, "1"), customer_id="1")
    assert ninth(shop)["email", "linear"]["orders"] == 1
    shop.rows["orders", "orders"][0]["ordered_at"] = at("03-09 10:00:01")
    assert "email" not in {channel for channel, _ in ninth(shop)}


def test_a_bots_session_that_is_an_orders_is_its_touch_and_no_session() -> None:
    shop = Shop()
    shop.event("a", "03-09 10:00", s="1", user_agent="bot", utm_medium="email", customer_id="1")
    shop.event("a", "03-09 10:10", s="2", user_agent="bot", utm_medium="cpc", customer_id="1")
    shop.order("o", "03-09 10:20", ("p", 1, "1"), session_id="1", visitor_id="a", customer_id="1")
    rows = ninth(shop)
    assert (rows["email", "linear"]["orders"], rows["email", "linear"]["sessions"]) == (1, 0)
    assert ("paid_search", "linear") not in rows


def test_spend_without_orders_and_its_rates() -> None:
    shop = touch_shop()
    shop.spend("03-09", "display", "d", "20", clicks=0)
    shop.spend("03-09", "paid_search", "ad", "20", clicks=8)
    shop.order("p", "03-09 10:45", ("p", 1, "50"), customer_id="1")
    rows = ninth(shop)
    lonely, paid = rows["display", "last_touch"], rows["paid_search", "last_touch"]
    assert (lonely["spend"], lonely["cpc"], lonely["cac"], lonely["roas"], lonely["roi"]) == (
        20,
        None,
        None,
        0,
        -1,
    )
    assert (paid["cpc"], paid["click_rate"], paid["cac"], paid["roas"], paid["roi"]) == (
        2.5,
        0.08,
        20,
        2.5,
        1.5,
    )


def test_lifetime_value_pays_back_in_the_first_mature_month() -> None:
    shop = Shop()
    shop.event("a", "01-10 10:00", s="1", utm_medium="email", customer_id="1")
    shop.order("o", "01-10 10:05", ("p", 1, "30"), customer_id="1")
    shop.order("p", "01-10 10:05", ("p", 1, "40"))
    shop.order("q", "02-10 10:05", ("p", 1, "30"), customer_id="1", discount_amount="5")
    shop.refund("o", "02-11 10:00", "10")
    shop.spend("01-02", "email", "x", "40")
    shop.spend("01-03", "display", "x", "60")
    rows = shop.mart("customer_ltv")
    january, february, march = (
        pick(rows, cohort_month="01-01", channel="email", month_n=n) for n in range(3)
    )
    assert (january["cumulative_margin"], january["cac"], january["ltv_to_cac"]) == (30, 40, 0.75)
    assert (february["cumulative_gmv"], february["cumulative_margin"], february["ltv"]) == (60, 45, 45)
    assert {row["payback_month"] for row in (january, february, march)} == {1}
    assert (march["ltv"], march["cac"], march["customers"], march["is_mature"]) == (None, 40, 1, False)
    everybody = pick(rows, cohort_month="01-01", channel="all", month_n=1)
    assert (everybody["customers"], everybody["cac"], everybody["payback_month"]) == (2, 50, None)
    unattributed = pick(rows, cohort_month="01-01", channel="unattributed", month_n=0)
    assert (unattributed["cac"], unattributed["ltv_to_cac"], unattributed["ltv"]) == (None, None, 40)
