"""How the shop runs: ``promotion_effect``, ``merchant_performance``, ``fulfilment_daily``, ``referral``."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from .days import each_day, each_month, month_end, month_of, shift
from .facts import Facts, paid_day
from .marts_sales import sales_of
from .orders import UNKNOWN, Line, Order
from .values import ZERO, Row, as_float, change, mean, quantile, rate, total

if TYPE_CHECKING:
    from decimal import Decimal

MEDIAN, P90 = Fraction(1, 2), Fraction(9, 10)


def phases_of(promotion: Row, facts: Facts) -> dict[str, tuple[date, date]]:
    """phase -> its first and last day, both in."""
    start, end = facts.clock.day(promotion["starts_at"]), facts.clock.day(promotion["ends_at"])
    days = (end - start).days + 1
    phases = {"burst": (start, end), "after": (shift(end, 1), shift(end, days))}
    eve = start
    if promotion.get("warmup_at") and facts.clock.day(promotion["warmup_at"]) < start:
        eve = facts.clock.day(promotion["warmup_at"])
        phases["warmup"] = (eve, shift(start, -1))
    phases["before"] = (shift(eve, -days), shift(eve, -1))
    return phases


def phase_figures(facts: Facts, promotion: Row, first: date, last: date) -> Row:
    """The whole shop's figures of the days of a phase, and those of the orders that carry the promotion."""
    days = list(each_day(first, last))
    paid = [order for day in days for order in facts.paid_on.get(day, [])]
    carrying = [order for order in paid if order.text("promotion_id") == promotion["promotion_id"]]
    sales = sales_of([], paid, [refund for day in days for refund in facts.refunds_on.get(day, [])])
    sold_out = {
        row["product_id"]
        for row in facts.inventory
        if row["on_hand"] == 0 and first <= row["snapshot_date"] <= last
    }
    return {
        "orders": len(paid),
        "new_buyers": sum(facts.is_first_of_buyer(order) for order in paid),
        "promotion_orders": len(carrying),
        "stockout_products": len(sold_out),
        "gmv": sales.gmv,
        "gross_margin": sales.gross_margin,
        "promotion_gmv": total(order.amount for order in carrying),
        "discount_amount": total(order.discount for order in carrying),
        "gmv_per_day": rate(sales.gmv, len(days)),
        "all_discounts": sales.discount_amount,
    }


def promotion_effect(facts: Facts) -> list[Row]:
    """One row per promotion and phase; a phase that is not over has no figures."""
    rows: list[Row] = []
    for promotion in facts.promotions:
        phases = phases_of(promotion, facts)
        burst_days = (phases["burst"][1] - phases["burst"][0]).days + 1
        figures = {phase: phase_figures(facts, promotion, *days) for phase, days in phases.items()}
        has_before = facts.first_day is not None and facts.first_day <= phases["before"][0]
        before = figures["before"]
        for phase, (first, last) in phases.items():
            row = figures[phase]
            days = (last - first).days + 1
            row["lift"] = row["roi"] = None
            if phase != "before" and has_before:
                row["lift"] = change(row["gmv"] / days, before["gmv"] / burst_days)
            if phase == "burst" and has_before:
                # The burst and the days before it are equally many: "its days × the same per day" is their sum.
                usual = before["gross_margin"] + before["all_discounts"]
                gained = row["gross_margin"] + row["all_discounts"] - usual
                cost = row["discount_amount"] + (promotion.get("budget") or ZERO)
                row["roi"] = rate(gained - cost, cost)
        for phase, (first, last) in phases.items():
            is_mature = last <= facts.as_of
            row = {name: value for name, value in figures[phase].items() if name != "all_discounts"}
            rows.append(
                {
                    "promotion_id": promotion["promotion_id"],
                    "phase": phase,
                    "days": (last - first).days + 1,
                    **(row if is_mature else dict.fromkeys(row)),
                    "is_mature": is_mature,
                }
            )
    return rows


def merchant_performance(facts: Facts) -> list[Row]:
    """One row per month and merchant that was a member or sold something in it."""
    rows: list[Row] = []
    for month in each_month(facts.first_day, facts.as_of) if facts.first_day else ():
        rows += merchant_month(facts, month)
    return rows


def happened_on(facts: Facts, at: datetime | None) -> date | None:
    """The business day of what has happened by ``as_of``."""
    day = facts.clock.day(at) if at else None
    return day if day and day <= facts.as_of else None


def merchant_month(facts: Facts, month: date) -> list[Row]:
    """The merchants of one month; a running month has flags, but no figures."""
    is_mature = month_end(month) <= facts.as_of
    lines: dict[str, list[Line]] = defaultdict(list)
    for order in facts.paid_orders:
        if month_of(paid_day(order)) == month:
            for line in order.lines:
                lines[line.member("merchant_id")].append(line)
    ratings: dict[str, list[int]] = defaultdict(list)
    for review in facts.reviews:
        day = facts.clock.day(review["reviewed_at"])
        merchant = facts.products.at(review["product_id"], day).get("merchant_id")
        if merchant and month_of(day) == month:
            ratings[merchant].append(review["rating"])
    joined = {name: happened_on(facts, row["joined_at"]) for name, row in facts.merchants.items()}
    left = {name: happened_on(facts, row.get("left_at")) for name, row in facts.merchants.items()}
    present = {
        name
        for name, day in joined.items()
        if day and day <= month_end(month) and (left[name] or date.max) >= month
    }
    gmv = {name: total(line.amount for line in lines[name]) for name in present | set(lines) - {UNKNOWN}}
    rows: list[Row] = []
    for merchant_id, amount in gmv.items():
        orders = {line.order.order_id: line.order for line in lines[merchant_id]}
        figures: Row = {
            "gmv": amount,
            "orders": len(orders),
            "buyers": len({order.buyer for order in orders.values()}),
            "active_products": len({line.product_id for line in lines[merchant_id]}),
            "gmv_rank": 1 + sum(other > amount for other in gmv.values()),
            "refund_rate": rate(sum(bool(order.refunds) for order in orders.values()), len(orders)),
            "rating": as_float(mean(ratings[merchant_id])),
        }
        joined_day, left_day = joined.get(merchant_id), left.get(merchant_id)
        rows.append(
            {
                "month": month,
                "merchant_id": merchant_id,
                **(figures if is_mature else dict.fromkeys(figures)),
                "is_new": joined_day is not None and month_of(joined_day) == month,
                "is_churned": left_day is not None and month_of(left_day) == month,
                "is_mature": is_mature,
            }
        )
    return rows


def hours(earlier: datetime | None, later: datetime | None) -> Fraction | None:
    """Fractional hours from one instant to another; None where one is missing."""
    if earlier is None or later is None:
        return None
    return Fraction((later - earlier) // timedelta(microseconds=1), 3600 * 10**6)


def fulfilment_daily(facts: Facts) -> list[Row]:
    """One row per day, of the orders delivered on it."""
    delivered: dict[date, list[Order]] = defaultdict(list)
    for order in facts.orders:
        if order.delivered_day:
            delivered[order.delivered_day].append(order)
    rows: list[Row] = []
    for day in facts.days:
        orders = delivered[day]
        ship = [h for o in orders if (h := hours(o.paid_at, o.shipped_at)) is not None]
        deliver = [h for o in orders if (h := hours(o.shipped_at, o.delivered_at)) is not None]
        promised = [(o.delivered_at, o.row["promised_at"]) for o in orders if o.row.get("promised_at")]
        on_time = sum(delivered_at is not None and delivered_at <= by for delivered_at, by in promised)
        returned = sum(any(refund.is_return for refund in order.refunds) for order in orders)
        rows.append(
            {
                "dt": day,
                "orders": len(orders),
                "hours_to_ship_median": as_float(quantile(ship, MEDIAN)),
                "hours_to_ship_p90": as_float(quantile(ship, P90)),
                "hours_to_deliver_median": as_float(quantile(deliver, MEDIAN)),
                "hours_to_deliver_p90": as_float(quantile(deliver, P90)),
                "on_time_rate": rate(on_time, len(promised)),
                "return_rate": rate(returned, len(orders)),
            }
        )
    return rows


def referral(facts: Facts) -> list[Row]:
    """One row per month in which a referred customer registered; the running one to date."""
    referred: dict[date, list[Row]] = defaultdict(list)
    for row in facts.customers.all_at(facts.as_of):
        registered = happened_on(facts, row.get("registered_at"))
        if registered and row.get("referrer_customer_id"):
            referred[month_of(registered)].append(row)
    rows: list[Row] = []
    for month, customers in referred.items():
        orders = [facts.orders_of.get(f"c:{row['customer_id']}", []) for row in customers]
        known = {
            user.user_id
            for user in facts.users.values()
            if user.user_id.startswith("c:") and any(month_of(day) == month for day in user.active_days)
        }
        gmv: Decimal = total(order.amount for theirs in orders for order in theirs)
        rows.append(
            {
                "month": month,
                "referrers": len({row["referrer_customer_id"] for row in customers}),
                "referred": len(customers),
                "referred_buyers": sum(bool(theirs) for theirs in orders),
                "referred_gmv": gmv,
                "k_factor": rate(len(customers), len(known)),
            }
        )
    return rows
