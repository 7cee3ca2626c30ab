"""Everything that the marts are computed from, as of the last complete day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from .days import Clock, each_day
from .identity import User, active_users, known_visitors, name_sessions
from .orders import Order, Refund, Shop, find_sessions, name_buyers, read_orders
from .rates import Rates
from .sessions import Event, Session, cut_sessions, read_events
from .suspicious import flag_suspicious
from .values import Row, money
from .versions import History, Landing, newest, newest_whole, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    from .seeds import Seeds

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Spend:
    """What one campaign cost on one day, in reporting currency."""

    day: date
    channel: str
    campaign_id: str
    impressions: int
    clicks: int
    amount: Decimal


@dataclass
class Facts:
    """The shop as it is known at the end of ``as_of``.

    ``events`` and ``sessions`` hold everybody's, bots flagged, in order; ``orders`` with their refunds.
    ``first_day`` is that of the first order or event of no bot: from it on there are marts.
    """

    as_of: date
    first_day: date | None
    clock: Clock
    seeds: Seeds
    events: list[Event]
    sessions: list[Session]
    users: dict[str, User]
    orders: list[Order]
    customers: History
    products: History
    promotions: list[Row]
    merchants: dict[str, Row]
    reviews: list[Row]
    inventory: list[Row]
    spend: list[Spend]

    def __post_init__(self) -> None:
        self.days = list(each_day(self.first_day, self.as_of)) if self.first_day else []
        self.people_events = [event for event in self.events if not event.is_bot]
        self.people_sessions = [session for session in self.sessions if not session.is_bot]
        self.paid_orders = sorted(
            (order for order in self.orders if order.paid_at),
            key=lambda order: (order.paid_at, order.order_id),
        )
        self.refunds = [refund for order in self.orders for refund in order.refunds]
        self.events_on = by_day(self.people_events, lambda event: event.day)
        self.sessions_on = by_day(self.people_sessions, lambda session: session.day)
        self.placed_on = by_day(self.orders, lambda order: order.placed_day)
        self.paid_on = by_day(self.paid_orders, paid_day)
        self.refunds_on: dict[date, list[Refund]] = by_day(self.refunds, lambda refund: refund.day)
        self.orders_in: dict[int, list[Order]] = defaultdict(list)
        for order in self.orders:
            if order.session:
                self.orders_in[id(order.session)].append(order)
        #: buyer -> paid orders, the first first.
        self.orders_of: dict[str, list[Order]] = defaultdict(list)
        for order in self.paid_orders:
            self.orders_of[order.buyer].append(order)

    def orders_of_session(self, session: Session) -> list[Order]:
        """The orders, paid or not, whose session it is."""
        return self.orders_in.get(id(session), [])

    def is_first_of_buyer(self, order: Order) -> bool:
        """Whether a paid order is the first that its buyer ever paid."""
        return self.orders_of[order.buyer][0] is order


def paid_day(order: Order) -> date:
    """The business day of payment of a paid order."""
    assert order.paid_day is not None
    return order.paid_day


def by_day(things: Iterable[Thing], day_of: Callable[[Thing], date]) -> dict[date, list[Thing]]:
    """``things`` by their business day, in the order given."""
    found: dict[date, list[Thing]] = defaultdict(list)
    for thing in things:
        found[day_of(thing)].append(thing)
    return found


def gather(landing: Landing, as_of: date, clock: Clock, currency: str, seeds: Seeds) -> Facts:
    """Read all landed tables up to ``as_of``."""
    rates = Rates(rows_of(landing, "orders", "fx_rates"), currency)
    products = History(rows_of(landing, "orders", "products"), "product_id", clock)
    customers = History(rows_of(landing, "orders", "customers"), "customer_id", clock)
    merchants = {
        row["merchant_id"]: row for row in newest(rows_of(landing, "orders", "merchants"), "merchant_id")
    }
    events = read_events(rows_of(landing, "clickstream", "events"), as_of, clock, seeds)
    sessions = cut_sessions(events, seeds)
    visitors = known_visitors(events)
    name_sessions(sessions, visitors)
    orders = read_orders(
        rows_of(landing, "orders", "orders"),
        rows_of(landing, "orders", "order_items"),
        rows_of(landing, "orders", "refunds"),
        Shop(as_of, clock, rates, products, customers),
    )
    find_sessions(orders, sessions, events)
    name_buyers(orders, visitors)
    flag_suspicious(orders, merchants, seeds)
    first_days = [event.day for event in events if not event.is_bot]
    for order in orders:
        first_days += [order.placed_day, order.paid_day or order.placed_day]
    reviews = newest(rows_of(landing, "orders", "reviews"), "review_id")
    inventory = newest(rows_of(landing, "orders", "inventory"), "product_id", "snapshot_date")
    return Facts(
        as_of=as_of,
        first_day=min(first_days, default=None),
        clock=clock,
        seeds=seeds,
        events=events,
        sessions=sessions,
        users=active_users(events, sessions),
        orders=orders,
        customers=customers,
        products=products,
        promotions=newest(rows_of(landing, "orders", "promotions"), "promotion_id"),
        merchants=merchants,
        reviews=[row for row in reviews if clock.day(row["reviewed_at"]) <= as_of],
        inventory=[row for row in inventory if row["snapshot_date"] <= as_of],
        spend=read_spend(rows_of(landing, "channel_spend", "channel_spend"), as_of, rates),
    )


def read_spend(rows: list[Row], as_of: date, rates: Rates) -> list[Spend]:
    """The spend dated up to ``as_of``; the newest delivery replaces a (day, channel) as a whole."""
    for row in rows:
        row["campaign_id"] = row["campaign_id"] or ""
    return [
        Spend(
            row["spend_date"],
            row["channel"],
            row["campaign_id"],
            row["impressions"] or 0,
            row["clicks"] or 0,
            money(Fraction(row["spend"]) * rates.on(row["spend_date"], row["currency"])),
        )
        for row in newest_whole(rows, ("spend_date", "channel"), "campaign_id")
        if row["spend_date"] <= as_of
    ]


def sessions_frame(facts: Facts) -> pl.DataFrame:
    """The sessions, one row each, to look into differences."""
    return pl.DataFrame(
        [
            {
                "dt": session.day,
                "visitor_id": session.visitor_id,
                "session_id": session.session_id,
                "started_at": session.start,
                "ended_at": session.end,
                "user_id": session.user_id,
                "channel": session.channel,
                "campaign_id": session.campaign_id,
                "device": session.device,
                "is_bot": session.is_bot,
                "is_bounce": session.is_bounce,
                "active_seconds": session.active_time.total_seconds(),
                "events": len(session.events),
            }
            for session in facts.sessions
        ],
        infer_schema_length=None,
    )


def orders_frame(facts: Facts) -> pl.DataFrame:
    """The orders, one row each, to look into differences."""
    return pl.DataFrame(
        [
            {
                "order_id": order.order_id,
                "placed_day": order.placed_day,
                "paid_day": order.paid_day,
                "buyer": order.buyer,
                "session_visitor_id": order.session.visitor_id if order.session else None,
                "session_id": order.session.session_id if order.session else None,
                "session_started_at": order.session.start if order.session else None,
                "channel": order.channel,
                "campaign_id": order.campaign_id,
                "device": order.device,
                "member_tier": order.member_tier,
                "amount": order.amount,
                "discount": order.discount,
                "cost": order.cost,
                "refunded": sum((refund.amount for refund in order.refunds), Decimal()),
                "is_cancelled": order.is_cancelled,
                "is_suspicious": order.is_suspicious,
            }
            for order in facts.orders
        ],
        infer_schema_length=None,
    )
