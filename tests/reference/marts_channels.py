"""What channels bring and cost: ``channel_roi``, ``customer_ltv``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from .attribution import MODELS, Attribution, attribute, spread
from .days import add_months, month_end, month_of
from .facts import Facts, paid_day
from .marts_customers import MONTHS
from .orders import UNATTRIBUTED, Order
from .values import ZERO, Row, as_float, rate, total

if TYPE_CHECKING:
    from decimal import Decimal

Key = tuple[date, str, str]


@dataclass
class Credit:
    """What one model credits to a channel's campaign on a day of payment."""

    orders: Fraction = Fraction(0)
    new_buyers: Fraction = Fraction(0)
    gmv: Decimal = ZERO
    margin: Decimal = ZERO


@dataclass
class Traffic:
    """What a channel's campaign cost and brought on a day, whatever the model."""

    impressions: int = 0
    clicks: int = 0
    spend: Decimal = ZERO
    sessions: int = 0
    new_users: int = 0
    credits: dict[str, Credit] = field(default_factory=lambda: {model: Credit() for model in MODELS})


def add_credit(found: dict[Key, Traffic], facts: Facts, attribution: Attribution) -> None:
    """Give an order to its touches; without any it is ``unattributed``."""
    order = attribution.order
    is_first = facts.is_first_of_buyer(order)
    keys = [(paid_day(order), session.channel, session.campaign_id) for session in attribution.touches]
    for model in MODELS:
        shares = attribution.credits[model] or [Fraction(1)]
        gmv, margin = spread(order.amount, shares), spread(order.margin, shares)
        for number, key in enumerate(keys or [(paid_day(order), UNATTRIBUTED, "")]):
            credit = found[key].credits[model]
            credit.orders += shares[number]
            credit.new_buyers += shares[number] if is_first else 0
            credit.gmv += gmv[number]
            credit.margin += margin[number]


def channel_roi(facts: Facts) -> list[Row]:
    """Six rows, one per model, for each day and campaign with spend, a session, a new user or a touch."""
    found: dict[Key, Traffic] = defaultdict(Traffic)
    for spend in facts.spend:
        traffic = found[spend.day, spend.channel, spend.campaign_id]
        traffic.impressions += spend.impressions
        traffic.clicks += spend.clicks
        traffic.spend += spend.amount
    for session in facts.people_sessions:
        found[session.day, session.channel, session.campaign_id].sessions += 1
    for user in facts.users.values():
        first = user.first_session
        found[user.first_day, first.channel, first.campaign_id].new_users += 1
    for attribution in attribute(facts):
        add_credit(found, facts, attribution)
    return [
        {
            "dt": day,
            "channel": channel,
            "campaign_id": campaign_id,
            "model": model,
            "impressions": traffic.impressions,
            "clicks": traffic.clicks,
            "sessions": traffic.sessions,
            "new_users": traffic.new_users,
            "spend": traffic.spend,
            "gmv": credit.gmv,
            "margin": credit.margin,
            "orders": as_float(credit.orders),
            "new_buyers": as_float(credit.new_buyers),
            "cpc": rate(traffic.spend, traffic.clicks),
            "click_rate": rate(traffic.clicks, traffic.impressions),
            "cac": rate(traffic.spend, credit.new_buyers),
            "roas": rate(credit.gmv, traffic.spend),
            "roi": rate(credit.margin - traffic.spend, traffic.spend),
        }
        for (day, channel, campaign_id), traffic in found.items()
        for model, credit in traffic.credits.items()
    ]


def customer_ltv(facts: Facts) -> list[Row]:
    """One row per month and channel of the first paid order, and month since."""
    cohorts: dict[tuple[date, str], list[list[Order]]] = defaultdict(list)
    for orders in facts.orders_of.values():
        month = month_of(paid_day(orders[0]))
        cohorts[month, orders[0].channel].append(orders)
        cohorts[month, "all"].append(orders)
    rows: list[Row] = []
    for (cohort_month, channel), buyers in cohorts.items():
        rows += ltv_rows(facts, cohort_month, channel, buyers)
    return rows


def ltv_rows(facts: Facts, cohort_month: date, channel: str, buyers: list[list[Order]]) -> list[Row]:
    """The rows of one cohort."""
    spend = total(
        row.amount
        for row in facts.spend
        if month_of(row.day) == cohort_month and channel in {row.channel, "all"}
    )
    has_cac = spend > 0 and month_end(cohort_month) <= facts.as_of
    rows: list[Row] = []
    payback_month: int | None = None
    for month_n in MONTHS:
        end = month_end(add_months(cohort_month, month_n))
        is_mature = end <= facts.as_of
        orders = [order for theirs in buyers for order in theirs if paid_day(order) <= end]
        refunds = [r for theirs in buyers for order in theirs for r in order.refunds if r.day <= end]
        gmv = total(order.amount for order in orders)
        margin = total(order.margin for order in orders) - total(refund.amount for refund in refunds)
        if is_mature and has_cac and margin >= spend and payback_month is None:
            payback_month = month_n
        figures: Row = {
            "cumulative_gmv": gmv,
            "cumulative_margin": margin,
            "ltv": rate(margin, len(buyers)),
            "ltv_to_cac": rate(margin, spend) if has_cac else None,
        }
        rows.append(
            {
                "cohort_month": cohort_month,
                "channel": channel,
                "month_n": month_n,
                "customers": len(buyers),
                **(figures if is_mature else dict.fromkeys(figures)),
                "cac": rate(spend, len(buyers)) if has_cac else None,
                "is_mature": is_mature,
            }
        )
    return [{**row, "payback_month": payback_month} for row in rows]
