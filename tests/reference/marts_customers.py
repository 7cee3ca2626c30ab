"""Who buys and buys again: ``repurchase``, ``repurchase_cohort``, ``customer_rfm``, ``rfm_segments``."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from .days import add_months, month_end, month_of, shift
from .facts import Facts, paid_day
from .values import ZERO, Number, Row, as_float, mean, median, quantile, rate, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from .orders import Order

WINDOWS = (30, 90, 180, 365)
RFM_DAYS = 365
PREVIOUS_DAYS = 30
MONTHS = range(13)
SEGMENTS = {
    "HHH": "champions",
    "HHL": "loyal",
    "HLH": "big_spenders",
    "HLL": "new_or_recent",
    "LHH": "at_risk_champions",
    "LHL": "at_risk_loyal",
    "LLH": "lapsed_big_spenders",
    "LLL": "hibernating",
}


def by_buyer(orders: Iterable[Order]) -> dict[str, list[Order]]:
    """Orders per buyer, in the order given."""
    found: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        found[order.buyer].append(order)
    return found


def days_between(earlier: Order, later: Order) -> Fraction:
    """Fractional days from one payment to another."""
    assert earlier.paid_at
    assert later.paid_at
    return Fraction((later.paid_at - earlier.paid_at) // timedelta(microseconds=1), 86_400 * 10**6)


def repurchase(facts: Facts) -> list[Row]:
    """One row per day and length of the window that ends on it."""
    rows: list[Row] = []
    for day in facts.days:
        for window in WINDOWS:
            first = shift(day, 1 - window)
            orders = [order for order in facts.paid_orders if first <= paid_day(order) <= day]
            buyers = by_buyer(orders)
            again = [order for theirs in buyers.values() for order in theirs[1:]]
            gaps = [
                days_between(earlier, later)
                for theirs in buyers.values()
                for earlier, later in pairwise(theirs)
            ]
            amount = total(order.amount for order in again)
            users = sum(len(theirs) >= 2 for theirs in buyers.values())
            rows.append(
                {
                    "dt": day,
                    "window_days": window,
                    "buyers": len(buyers),
                    "repurchase_users": users,
                    "repurchase_amount": amount,
                    "repurchase_rate": rate(users, len(buyers)),
                    "repurchase_amount_share": rate(amount, total(order.amount for order in orders)),
                    "median_days_between_orders": as_float(median(gaps)),
                    "is_full_window": facts.first_day is not None and facts.first_day <= first,
                }
            )
    return rows


def repurchase_cohort(facts: Facts) -> list[Row]:
    """One row per month of the first paid order and number of months since."""
    cohorts: dict[date, list[list[Order]]] = defaultdict(list)
    for orders in facts.orders_of.values():
        cohorts[month_of(paid_day(orders[0]))].append(orders)
    rows: list[Row] = []
    for cohort_month, buyers in cohorts.items():
        for month_n in MONTHS:
            month = add_months(cohort_month, month_n)
            is_mature = month_end(month) <= facts.as_of
            in_month = [o for theirs in buyers for o in theirs if month_of(paid_day(o)) == month]
            so_far = [o for theirs in buyers for o in theirs if month_of(paid_day(o)) <= month]
            active = len({order.buyer for order in in_month})
            row: Row = {
                "buyers": active,
                "orders": len(in_month),
                "buyer_rate": rate(active, len(buyers)),
                "cumulative_gmv_per_customer": rate(total(o.amount for o in so_far), len(buyers)),
                "gmv": total(order.amount for order in in_month),
            }
            rows.append(
                {
                    "cohort_month": cohort_month,
                    "month_n": month_n,
                    "cohort_size": len(buyers),
                    **(row if is_mature else dict.fromkeys(row)),
                    "is_mature": is_mature,
                }
            )
    return rows


@dataclass(frozen=True)
class Rfm:
    """One customer's recency, frequency and monetary value, and what follows from them."""

    recency_days: int
    frequency: int
    monetary: Decimal
    gmv: Decimal
    r_score: int = 0
    f_score: int = 0
    m_score: int = 0
    letters: str = ""

    @property
    def segment(self) -> str:
        return SEGMENTS[self.letters]

    @property
    def tier(self) -> str:
        if self.letters[0] == "L":
            return "dormant"
        return "high_value" if self.letters[2] == "H" else "potential"


def scores(values: dict[str, Number]) -> dict[str, int]:
    """1 + the number of the 20/40/60/80 % cut points that each value is strictly above."""
    cuts = [quantile(values.values(), Fraction(share, 5)) for share in (1, 2, 3, 4)]
    return {
        name: 1 + sum(cut is not None and Fraction(value) > cut for cut in cuts)
        for name, value in values.items()
    }


def high(scored: dict[str, int]) -> dict[str, str]:
    """H where the score is above the mean score of all, else L."""
    average = mean(list(scored.values()))
    return {name: "H" if average is not None and score > average else "L" for name, score in scored.items()}


def rfm_at(facts: Facts, end: date) -> dict[str, Rfm]:
    """customer_id -> figures over the 365 days that end with ``end``, with refunds up to it."""
    first = shift(end, 1 - RFM_DAYS)
    orders = [
        order
        for order in facts.paid_orders
        if order.buyer.startswith("c:") and first <= paid_day(order) <= end
    ]
    plain: dict[str, Rfm] = {}
    for buyer, theirs in by_buyer(orders).items():
        refunded = total(r.amount for order in theirs for r in order.refunds if r.day <= end)
        gmv = total(order.amount for order in theirs)
        plain[buyer.removeprefix("c:")] = Rfm(
            recency_days=(end - paid_day(theirs[-1])).days,
            frequency=len(theirs),
            monetary=gmv - total(order.discount for order in theirs) - refunded,
            gmv=gmv,
        )

    def score(value_of: Callable[[Rfm], Number]) -> dict[str, int]:
        return scores({name: value_of(rfm) for name, rfm in plain.items()})

    r = {name: 6 - value for name, value in score(lambda rfm: rfm.recency_days).items()}
    f = score(lambda rfm: rfm.frequency)
    m = score(lambda rfm: rfm.monetary)
    letters = [high(r), high(f), high(m)]
    return {
        name: Rfm(
            rfm.recency_days,
            rfm.frequency,
            rfm.monetary,
            rfm.gmv,
            r[name],
            f[name],
            m[name],
            "".join(letter[name] for letter in letters),
        )
        for name, rfm in plain.items()
    }


def customer_rfm(facts: Facts) -> list[Row]:
    """One row per customer who paid an order in the 365 days that end with ``as_of``."""
    previous = rfm_at(facts, shift(facts.as_of, -PREVIOUS_DAYS))
    return [
        {
            "customer_id": customer_id,
            "segment": rfm.segment,
            "tier": rfm.tier,
            "previous_segment": previous[customer_id].segment if customer_id in previous else None,
            "recency_days": rfm.recency_days,
            "frequency": rfm.frequency,
            "r_score": rfm.r_score,
            "f_score": rfm.f_score,
            "m_score": rfm.m_score,
            "monetary": rfm.monetary,
        }
        for customer_id, rfm in rfm_at(facts, facts.as_of).items()
    ]


def rfm_segments(facts: Facts) -> list[Row]:
    """One row per segment that has a customer, or lost one to another segment."""
    current = rfm_at(facts, facts.as_of)
    previous = rfm_at(facts, shift(facts.as_of, -PREVIOUS_DAYS))
    moves = [
        (previous[name].segment, rfm.segment)
        for name, rfm in current.items()
        if name in previous and previous[name].segment != rfm.segment
    ]
    moved_out = Counter(before for before, _ in moves)
    moved_in = Counter(after for _, after in moves)
    customers = Counter(rfm.segment for rfm in current.values())
    gmv: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for rfm in current.values():
        gmv[rfm.segment] += rfm.gmv
    return [
        {
            "dt": facts.as_of,
            "segment": segment,
            "customers": customers[segment],
            "moved_in": moved_in[segment],
            "moved_out": moved_out[segment],
            "gmv": gmv[segment],
            "gmv_share": rate(gmv[segment], total(gmv.values())),
        }
        for segment in {*customers, *moved_out}
    ]
