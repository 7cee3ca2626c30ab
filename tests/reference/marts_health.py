"""Whether to worry: ``health_quadrant``, ``alerts``."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from .days import shift
from .facts import Facts, paid_day
from .marts_customers import repurchase
from .marts_sales import gmv_daily
from .values import ZERO, Number, Row, as_float, median, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

MEDIAN_DAYS = 28
METRICS = ("uv", "conversion_rate", "spend_per_buyer", "repurchase_rate")
#: metric -> day -> value.
Values = dict[str, dict[date, Fraction | None]]
#: One alert without its rule: metric, scope, value, benchmark, severity.
Alert = tuple[str, str, float, float | None, str]


def ratio(numerator: Number, denominator: Number) -> Fraction | None:
    """An exact rate: a deviation of exactly 20 % must not depend on how a double was rounded."""
    return Fraction(numerator) / Fraction(denominator) if denominator else None


def median_before(values: dict[date, Fraction | None], day: date, facts: Facts) -> Fraction | None:
    """The median of the 28 days before; None until there are 28. Days without a value are passed over."""
    first = shift(day, -MEDIAN_DAYS)
    if facts.first_day is None or first < facts.first_day:
        return None
    before = [values.get(shift(first, number)) for number in range(MEDIAN_DAYS)]
    return median([value for value in before if value is not None])


def daily_values(facts: Facts) -> Values:
    """metric -> day -> value."""
    found: Values = defaultdict(dict)
    for row in gmv_daily(facts):
        day = row["dt"]
        found["uv"][day] = Fraction(row["uv"])
        found["gmv"][day] = Fraction(row["gmv"])
        found["conversion_rate"][day] = ratio(row["buyers"], row["uv"])
        found["spend_per_buyer"][day] = ratio(row["gmv"], row["buyers"])
        sessions = facts.sessions_on.get(day, [])
        found["bounce_rate"][day] = ratio(sum(session.is_bounce for session in sessions), len(sessions))
    for row in repurchase(facts):
        if row["window_days"] == 90:
            found["repurchase_rate"][row["dt"]] = ratio(row["repurchase_users"], row["buyers"])
    return found


def state_of(deviation: Fraction | None, limits: tuple[float, float]) -> str | None:
    """How far under the usual: healthy, to be watched, or an alarm."""
    if deviation is None:
        return None
    healthy, watch = (Fraction(str(limit)) for limit in limits)
    if deviation >= healthy:
        return "healthy"
    return "watch" if deviation >= watch else "alarm"


def health_quadrant(facts: Facts) -> list[Row]:
    """One row per day: four figures against the median of the 28 days before."""
    values = daily_values(facts)
    rows: list[Row] = []
    for day in facts.days:
        row: Row = {"dt": day}
        for metric in METRICS:
            value = values[metric][day]
            usual = median_before(values[metric], day, facts)
            deviation = value / usual - 1 if value is not None and usual else None
            row[metric] = int(value or 0) if metric == "uv" else as_float(value)
            row[f"{metric}_median"] = as_float(usual)
            row[f"{metric}_deviation"] = as_float(deviation)
            row[f"{metric}_state"] = state_of(deviation, facts.seeds.health.get(metric, (-0.10, -0.20)))
        rows.append(row)
    return rows


def alerts(facts: Facts) -> list[Row]:
    """One row per day, default rule and scope that went off; no words and no drill-down here."""
    values = daily_values(facts)
    rules: dict[str, Callable[[date], Iterator[Alert]]] = {
        "conversion_below_median": lambda day: conversion_below_median(facts, values, day),
        "return_rate_high": lambda day: return_rate_high(facts, day),
        "conversion_falling": lambda day: conversion_falling(values, day),
        "gmv_unusual": lambda day: gmv_unusual(facts, values, day),
        "spend_without_orders": lambda day: spend_without_orders(facts, day),
        "bounce_rate_high": lambda day: bounce_rate_high(facts, values, day),
    }
    return [
        {
            "dt": day,
            "rule_id": rule_id,
            "scope": scope,
            "metric": metric,
            "value": value,
            "benchmark": benchmark,
            "severity": severity,
            "message": None,
            "worst_channel": None,
            "worst_product": None,
        }
        for day in facts.days
        for rule_id, rule in rules.items()
        for metric, scope, value, benchmark, severity in rule(day)
    ]


def conversion_below_median(facts: Facts, values: Values, day: date) -> Iterator[Alert]:
    """More than 20 % under the median of the 28 days before; more than 40 %: alarm."""
    value = values["conversion_rate"][day]
    usual = median_before(values["conversion_rate"], day, facts)
    if value is not None and usual and value < Fraction(8, 10) * usual:
        severity = "alarm" if value < Fraction(6, 10) * usual else "warn"
        yield "conversion_rate", "all", float(value), float(usual), severity


def return_rate_high(facts: Facts, day: date) -> Iterator[Alert]:
    """More than 15 % of the orders paid in the last 30 days have a return by ``as_of``."""
    first = shift(day, -29)
    orders = [order for order in facts.paid_orders if first <= paid_day(order) <= day]
    value = rate(sum(any(r.is_return for r in order.refunds) for order in orders), len(orders))
    if value is not None and value > 0.15:
        yield "return_rate", "all", value, 0.15, "warn"


def conversion_falling(values: Values, day: date) -> Iterator[Alert]:
    """Lower than the day before, for the third day in a row."""
    run = [values["conversion_rate"].get(shift(day, -number)) for number in range(4)]
    known = [value for value in run if value is not None]
    if len(known) == 4 and known[0] < known[1] < known[2] < known[3]:
        yield "conversion_rate", "all", float(known[0]), float(known[3]), "warn"


def gmv_unusual(facts: Facts, values: Values, day: date) -> Iterator[Alert]:
    """Further than 3 robust deviations from the median of the same weekday in the 8 weeks before."""
    gmv = values["gmv"]
    before = [value for week in range(1, 9) if (value := gmv.get(shift(day, -7 * week))) is not None]
    value, usual = gmv[day], median(before)
    if len(before) < 8 or value is None or usual is None:
        return
    deviation = Fraction(14826, 10000) * (median([abs(other - usual) for other in before]) or 0)
    if abs(value - usual) > 3 * deviation:
        yield "gmv", "all", float(value), float(usual), "warn"


def spend_without_orders(facts: Facts, day: date) -> Iterator[Alert]:
    """A channel that cost money on each of the last 3 days and has no order paid on them."""
    days = [shift(day, -number) for number in range(3)]
    spend: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    for row in facts.spend:
        spend[row.channel][row.day] += row.amount
    sold = {order.channel for past in days for order in facts.paid_on.get(past, [])}
    for channel, by_day in spend.items():
        if all(by_day[past] > 0 for past in days) and channel not in sold:
            yield "spend", channel, float(sum(by_day[past] for past in days)), 0.0, "warn"


def bounce_rate_high(facts: Facts, values: Values, day: date) -> Iterator[Alert]:
    """More than 20 % over the median of the 28 days before."""
    value = values["bounce_rate"][day]
    usual = median_before(values["bounce_rate"], day, facts)
    if value is not None and usual and value > Fraction(12, 10) * usual:
        yield "bounce_rate", "all", float(value), float(usual), "warn"
