"""What was sold: ``gmv_daily``, ``gmv_by_dimension``, ``gmv_drivers``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from .days import shift
from .values import ZERO, Row, change, money, rate, total

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from .facts import Facts
    from .orders import Line, Order, Refund

COMPARE_TO = {"day": 1, "week": 7, "year": 364}


@dataclass
class Sales:
    """Additive figures of some lines and refunds."""

    gmv: Decimal = ZERO
    placed_gmv: Decimal = ZERO
    gmv_excl_suspicious: Decimal = ZERO
    discount_amount: Decimal = ZERO
    refund_amount: Decimal = ZERO
    cost: Decimal = ZERO
    returned_cost: Decimal = ZERO
    known_cost_gmv: Decimal = ZERO
    units: int = 0

    def add_placed(self, line: Line) -> None:
        """A line of an order placed on the day."""
        self.placed_gmv += line.amount

    def add_paid(self, line: Line) -> None:
        """A line of an order paid on the day."""
        self.gmv += line.amount
        self.units += line.quantity
        self.discount_amount += line.discount
        self.cost += line.cost or ZERO
        if line.cost is not None:
            self.known_cost_gmv += line.amount
        if not line.order.is_suspicious:
            self.gmv_excl_suspicious += line.amount

    def add_refund(self, amount: Decimal, returned_cost: Decimal) -> None:
        """A refund, or a part of one, dated on the day."""
        self.refund_amount += amount
        self.returned_cost += returned_cost

    @property
    def net_revenue(self) -> Decimal:
        return self.gmv - self.discount_amount - self.refund_amount

    @property
    def gross_margin(self) -> Decimal:
        return self.net_revenue - self.cost + self.returned_cost

    def row(self) -> Row:
        """The columns that ``gmv_daily`` and ``gmv_by_dimension`` share."""
        return {
            "gmv": self.gmv,
            "placed_gmv": self.placed_gmv,
            "gmv_excl_suspicious": self.gmv_excl_suspicious,
            "discount_amount": self.discount_amount,
            "refund_amount": self.refund_amount,
            "net_revenue": self.net_revenue,
            "gross_margin": self.gross_margin,
            "units": self.units,
        }


def sales_of(placed: Iterable[Order], paid: Iterable[Order], refunds: Iterable[Refund]) -> Sales:
    """The additive figures of a day, or of any other set of orders and refunds."""
    sales = Sales()
    for order in placed:
        for part in order.parts:
            sales.add_placed(part)
    for order in paid:
        for part in order.parts:
            sales.add_paid(part)
    for refund in refunds:
        sales.add_refund(refund.amount, refund.returned_cost)
    return sales


def gmv_daily(facts: Facts) -> list[Row]:
    """One row per day from the first to ``as_of``."""
    rows: list[Row] = []
    gmv_on: dict[date, Decimal] = {}
    for day in facts.days:
        placed, paid = facts.placed_on.get(day, []), facts.paid_on.get(day, [])
        events = facts.events_on.get(day, [])
        sales = sales_of(placed, paid, facts.refunds_on.get(day, []))
        gmv_on[day] = sales.gmv
        buyers = len({order.buyer for order in paid})
        uv = len({event.user_id for event in events})
        rows.append(
            {
                "dt": day,
                **sales.row(),
                "orders": len(paid),
                "buyers": buyers,
                "new_buyers": sum(facts.is_first_of_buyer(order) for order in paid),
                "uv": uv,
                "pv": sum(event.kind == "page_view" for event in events),
                "sessions": len(facts.sessions_on.get(day, [])),
                "cost_coverage": rate(sales.known_cost_gmv, sales.gmv),
                "conversion_rate": rate(buyers, uv),
                "spend_per_buyer": rate(sales.gmv, buyers),
                "aov": rate(sales.gmv, len(paid)),
                "cancel_rate": rate(sum(order.is_cancelled for order in placed), len(placed)),
                "refund_rate": rate(sum(bool(order.refunds) for order in paid), len(paid)),
                "gmv_wow": change(sales.gmv, gmv_on.get(shift(day, -7))),
                "gmv_yoy": change(sales.gmv, gmv_on.get(shift(day, -364))),
            }
        )
    return rows


def members(order: Order, line: Line) -> dict[str, str]:
    """What a line counts for in each dimension."""
    return {
        "channel": order.channel,
        "category_l1": line.member("category_l1"),
        "category_l2": line.member("category_l2"),
        "category_l3": line.member("category_l3"),
        "brand": line.member("brand"),
        "merchant": line.member("merchant_id"),
        "region": order.text("ship_region") or "unknown",
        "device": order.device,
        "promotion": order.text("promotion_id") or "unknown",
        "member_tier": order.member_tier,
        "sales_channel": order.text("sales_channel") or "unknown",
    }


def gmv_by_dimension(facts: Facts) -> list[Row]:
    """One row per day, dimension and member with something placed, paid or refunded on the day."""
    found: dict[tuple[date, str, str], Sales] = defaultdict(Sales)
    orders: dict[tuple[date, str, str], set[str]] = defaultdict(set)
    for order in facts.orders:
        for line in order.lines:
            for dimension, member in members(order, line).items():
                found[order.placed_day, dimension, member].add_placed(line)
                if order.paid_day:
                    found[order.paid_day, dimension, member].add_paid(line)
                    orders[order.paid_day, dimension, member].add(order.order_id)
        if order.rest and order.rest.discount and order.paid_day:
            for dimension, member in members(order, order.rest).items():
                found[order.paid_day, dimension, member].add_paid(order.rest)
        for refund in order.refunds:
            for part in refund.parts:
                for dimension, member in members(order, part.line).items():
                    found[refund.day, dimension, member].add_refund(part.amount, part.returned_cost)
    return [
        {
            "dt": day,
            "dimension": dimension,
            "member": member,
            **sales.row(),
            "orders": len(orders[day, dimension, member]),
        }
        for (day, dimension, member), sales in found.items()
    ]


@dataclass(frozen=True)
class Funnel:
    """What GMV is the product of."""

    uv: int
    buyers: int
    gmv: Decimal

    @property
    def factors(self) -> tuple[Decimal, Decimal, Decimal]:
        """UV, conversion rate, spend per buyer; 0 where the one before is 0."""
        uv, buyers = Decimal(self.uv), Decimal(self.buyers)
        return uv, buyers / uv if uv else Decimal(0), self.gmv / buyers if buyers else Decimal(0)


def effects(now: Funnel, before: Funnel) -> tuple[Decimal, Decimal, Decimal]:
    """The change of GMV split over UV, conversion and spend: logarithmic-mean Divisia index.

    B. W. Ang, "The LMDI approach to decomposition analysis" (2005), additive form: the effect of a factor x
    is L(V1, V0) × ln(x1 / x0), with L(a, b) = (a − b) / ln(a / b) and L(a, a) = a.
    """
    whole = now.gmv - before.gmv
    if now.uv == before.uv == 0:
        return ZERO, ZERO, whole
    with localcontext(prec=50):
        pairs = list(zip(now.factors, before.factors, strict=True))
        for number, pair in enumerate(pairs):
            if not all(pair):
                first = [ZERO, ZERO, ZERO]
                first[number] = whole
                return first[0], first[1], first[2]
        mean = now.gmv if not whole else whole / (now.gmv / before.gmv).ln()
        uv, conversion, _ = (money(mean * (new / old).ln()) for new, old in pairs)
    return uv, conversion, whole - uv - conversion


def funnels(facts: Facts, day: date) -> dict[str, Funnel]:
    """Each channel seen on the day, and ``all``."""
    uv: dict[str, set[str]] = defaultdict(set)
    for session in facts.sessions_on.get(day, []):
        uv[session.channel].add(session.user_id)
    paid: dict[str, list[Order]] = defaultdict(list)
    for order in facts.paid_on.get(day, []):
        paid[order.channel].append(order)
        paid["all"].append(order)
    uv["all"] = {event.user_id for event in facts.events_on.get(day, [])}
    return {
        channel: Funnel(
            len(uv.get(channel, ())),
            len({order.buyer for order in paid.get(channel, [])}),
            total(order.amount for order in paid.get(channel, [])),
        )
        for channel in {*uv, *paid}
    }


def gmv_drivers(facts: Facts) -> list[Row]:
    """One row per day, comparison with an earlier day in the data, and channel seen on either."""
    seen = {day: funnels(facts, day) for day in facts.days}
    nothing = Funnel(0, 0, ZERO)
    rows: list[Row] = []
    for day in facts.days:
        for compare_to, days in COMPARE_TO.items():
            earlier = seen.get(shift(day, -days))
            if earlier is None:
                continue
            for channel in {*seen[day], *earlier}:
                now, before = seen[day].get(channel, nothing), earlier.get(channel, nothing)
                uv, conversion, spend = effects(now, before)
                rows.append(
                    {
                        "dt": day,
                        "compare_to": compare_to,
                        "channel": channel,
                        "gmv": now.gmv,
                        "gmv_before": before.gmv,
                        "uv_effect": uv,
                        "conversion_effect": conversion,
                        "spend_effect": spend,
                    }
                )
    return rows
