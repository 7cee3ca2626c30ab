"""The reference's operations marts against figures worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from .handmade import Shop, at, pick
from .marts_experiments import chi_squared_p, two_proportions


def test_phases_of_a_promotion() -> None:
    shop = Shop()
    shop.add(
        "promotions",
        promotion_id="sale",
        warmup_at=at("03-03 12:00"),
        starts_at=at("03-05 08:00"),
        ends_at=at("03-06 20:00"),
        budget=Decimal(10),
    )
    shop.order("first", "02-28 10:00", ("p", 1, "1"), customer_id="1")
    shop.order("before", "03-01 10:00", ("p", 1, "100"), customer_id="1")
    shop.order(
        "burst", "03-05 10:00", ("p", 1, "320"), customer_id="2", promotion_id="sale", discount_amount="20"
    )
    for day, on_hand in ((5, 0), (6, 0), (7, 3)):
        shop.add("inventory", product_id="p", snapshot_date=date(2025, 3, day), on_hand=on_hand)
    rows = {row["phase"]: row for row in shop.mart("promotion_effect")}
    assert {phase: row["days"] for phase, row in rows.items()} == {
        "before": 2,
        "warmup": 2,
        "burst": 2,
        "after": 2,
    }
    burst = rows["burst"]
    assert (burst["gmv_per_day"], burst["lift"], burst["stockout_products"]) == (160, pytest.approx(2.2), 1)
    assert (burst["new_buyers"], burst["promotion_orders"], burst["discount_amount"]) == (1, 1, 20)
    # Margin and discounts: 300 + 20, usually 100; cost 20 + 10.
    assert burst["roi"] == pytest.approx((220 - 30) / 30)
    assert (rows["before"]["lift"], rows["warmup"]["lift"], rows["after"]["roi"]) == (None, -1.0, None)


def test_a_phase_that_is_not_over_has_no_figures() -> None:
    shop = Shop()
    shop.add("promotions", promotion_id="s", starts_at=at("03-09 08:00"), ends_at=at("03-10 20:00"))
    shop.order("o", "03-08 10:00", ("p", 1, "100"))
    rows = {row["phase"]: row for row in shop.mart("promotion_effect")}
    assert (rows["after"]["days"], rows["after"]["gmv"], rows["after"]["is_mature"]) == (2, None, False)
    # 7 March is not in the data.
    assert (rows["burst"]["is_mature"], rows["burst"]["lift"], rows["burst"]["roi"]) == (True, None, None)


def test_merchants_of_a_month() -> None:
    shop = Shop()
    shop.product("p", merchant_id="m")
    shop.product("q", merchant_id="n")
    shop.add("merchants", merchant_id="m", joined_at=at("01-15 10:00"), left_at=at("02-15 10:00"))
    shop.add("merchants", merchant_id="idle", joined_at=at("02-15 10:00"))
    shop.order("o", "01-20 10:00", ("p", 1, "10"), ("q", 1, "10"), ("none", 1, "99"))
    shop.refund("o", "01-21 10:00", "1")
    shop.add("reviews", review_id="r", product_id="p", rating=4, reviewed_at=at("01-25 10:00"))
    rows = shop.mart("merchant_performance")
    month = pick(rows, month="01-01", merchant_id="m")
    assert (month["gmv"], month["orders"], month["gmv_rank"], month["refund_rate"]) == (10, 1, 1, 1.0)
    assert (month["rating"], month["is_new"], month["is_churned"]) == (4.0, True, False)
    assert pick(rows, month="01-01", merchant_id="n")["gmv_rank"] == 1
    assert {row["merchant_id"] for row in rows if row["month"] == date(2025, 2, 1)} == {"m", "idle"}
    assert pick(rows, month="02-01", merchant_id="m")["is_churned"] is True
    march = pick(rows, month="03-01", merchant_id="idle")
    assert (march["gmv"], march["gmv_rank"], march["is_new"], march["is_mature"]) == (
        None,
        None,
        False,
        False,
    )


def test_fulfilment_of_the_orders_delivered_on_a_day() -> None:
    shop = Shop()
    for number, hours in enumerate((1, 2, 4)):
        shop.order(
            f"o{number}",
            "03-05 00:00",
            shipped_at=at(f"03-05 0{hours}:00"),
            delivered_at=at("03-06 04:00"),
            promised_at=at(f"03-06 0{2 * hours}:00") if number else None,
        )
    shop.refund("o1", "03-08 10:00", "1", kind="return")
    row = shop.day("fulfilment_daily", "03-06")
    assert (row["orders"], row["hours_to_ship_median"], row["hours_to_deliver_median"]) == (3, 2.0, 26.0)
    assert row["hours_to_ship_p90"] == pytest.approx(3.6)
    assert (row["on_time_rate"], row["return_rate"]) == (1.0, pytest.approx(1 / 3))
    empty = shop.day("fulfilment_daily", "03-07")
    assert (empty["orders"], empty["on_time_rate"], empty["hours_to_ship_p90"]) == (0, None, None)


def test_referrals_by_month_of_registration() -> None:
    shop = Shop()
    for customer, referrer, day in (
        ("2", "1", "01-10"),
        ("3", "1", "01-31"),
        ("4", "2", "03-12"),
        ("5", None, "01-10"),
    ):
        when = at(f"{day} 10:00")
        shop.add("customers", customer_id=customer, referrer_customer_id=referrer, registered_at=when)
    shop.event("a", "01-11 10:00", customer_id="2")
    shop.event("b", "01-11 10:00", customer_id="1")
    shop.event("c", "01-11 10:00")
    shop.order("o", "03-01 10:00", ("p", 1, "7"), customer_id="3")
    [row] = shop.mart("referral")
    assert (row["month"], row["referrers"], row["referred"]) == (date(2025, 1, 1), 1, 2)
    assert (row["referred_buyers"], row["referred_gmv"], row["k_factor"]) == (1, 7, 1.0)


def test_p_values_against_published_tables() -> None:
    assert chi_squared_p(3.841458820694124, 1) == pytest.approx(0.05)
    assert chi_squared_p(5.991464547107979, 2) == pytest.approx(0.05)
    assert chi_squared_p(7.814727903251179, 3) == pytest.approx(0.05)
    # 30 of 100 against 20 of 100: pooled 0.25, z = 0.1 / sqrt(0.25 × 0.75 × 0.02) = 1.632993.
    assert two_proportions(30, 100, 20, 100) == pytest.approx(0.102470, abs=1e-6)
    assert two_proportions(0, 5, 0, 5) is None


def test_experiments_count_users_by_their_first_variant() -> None:
    shop = Shop()
    trial = {"experiment_id": "x"}
    for number in range(6):
        shop.event(
            f"v{number}", "03-05 10:00", variant="control" if number % 2 else "big", s=f"{number}", **trial
        )
    shop.event("v0", "03-05 10:01", variant="control", s="0", **trial)
    shop.order("early", "03-05 09:00", visitor_id="v2", session_id="2")
    shop.order("o", "03-05 10:05", visitor_id="v0", session_id="0")
    rows = {row["variant"]: row for row in shop.mart("experiment_results")}
    big, control = rows["big"], rows["control"]
    assert (big["users"], big["buyers"], control["users"], control["buyers"]) == (3, 1, 3, 0)
    assert (big["lift"], big["verdict"], control["verdict"]) == (None, "inconclusive", "control")
    assert (big["srm_p_value"], control["p_value"]) == (1.0, None)


def test_health_needs_28_days_before() -> None:
    shop = Shop()
    for day in range(28):
        shop.event("a" if day else "b", f"02-{day + 1:02} 10:00", s=f"{day}")
    for visitor in range(2):
        shop.event(f"n{visitor}", "03-01 10:00")
    rows = shop.mart("health_quadrant")
    assert pick(rows, dt="02-28")["uv_median"] is None
    row = pick(rows, dt="03-01")
    assert (row["uv"], row["uv_median"], row["uv_deviation"], row["uv_state"]) == (2, 1.0, 1.0, "healthy")
    assert (row["conversion_rate"], row["spend_per_buyer_state"]) == (0.0, None)
    assert pick(rows, dt="03-02")["uv_state"] == "alarm"


def test_spend_without_orders_for_three_days_alerts_per_channel() -> None:
    shop = Shop()
    shop.order("o", "03-05 10:00", ("p", 1, "1"))
    for day in ("05", "06", "07"):
        shop.spend(f"03-{day}", "email", "x", "1")
        shop.spend(f"03-{day}", "display", "x", "0")
    rows = [row for row in shop.mart("alerts") if row["rule_id"] == "spend_without_orders"]
    assert [(row["dt"], row["scope"], row["value"]) for row in rows] == [(date(2025, 3, 7), "email", 3.0)]
