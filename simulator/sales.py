"""Orders: what is bought, and what becomes of it over the next weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.arrays import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    SECOND,
    Flags,
    Ints,
    Rows,
    converted,
    starts_of,
    stream,
    take,
    within_groups,
)
from simulator.calendar import Calendar
from simulator.catalogue import COUPON, FULL_REDUCTION, GIFT, LIMITED_TIME, MEMBER, Catalogue
from simulator.outbox import Outbox
from simulator.people import People
from simulator.rates import Rates
from simulator.traffic import Browsing
from simulator.truth import Truth

STATUSES = ("placed", "paid", "shipped", "delivered", "completed", "cancelled")
PLACED, PAID, SHIPPED, DELIVERED, COMPLETED, CANCELLED = range(6)
SALES_CHANNELS = ("web", "app", "phone")
WEB, APP, PHONE = range(3)
REFUND_KINDS = ("return", "refund_only", "exchange")
RETURN, REFUND_ONLY, EXCHANGE = range(3)
REASONS = ("does not fit", "damaged", "not as shown", "changed my mind", "came too late, by a week")
_NEVER = np.iinfo(np.int64).max


@dataclass
class Basket:
    """Orders to be, and their lines in order; ``lines["order"]`` is the place in ``orders``."""

    orders: Rows
    lines: Rows


class Sales:
    """Turns baskets into orders, and plans their whole life at once.

    What is planned is put into the outbox of the day on which the shop's system would tell it.
    """

    def __init__(
        self,
        calendar: Calendar,
        people: People,
        catalogue: Catalogue,
        rates: Rates,
        outbox: Outbox,
        truth: Truth,
        *,
        seed: int,
        faults: frozenset[str],
    ) -> None:
        self.calendar = calendar
        self.people = people
        self.catalogue = catalogue
        self.rates = rates
        self.outbox = outbox
        self.truth = truth
        self.seed = seed
        self.faults = faults
        self.orders = 0
        self.refunds = 0
        self.reviews = 0

    def check_out(self, rng: np.random.Generator, day: int, browsing: Browsing) -> Rows:
        """Place the orders of a day's sessions: one for each purchase, in their order."""
        at, sessions = browsing.purchases["at_session"], browsing.sessions
        size = len(at)
        if not size:
            return {name: np.zeros(0, dtype=np.int64) for name in ("order", "session", "paid_at")}
        order_of_session = np.full(len(sessions["session"]), NONE)
        order_of_session[at] = np.arange(size)
        order = order_of_session[browsing.carted["at_session"]]
        product = browsing.carted["product"][order >= 0]
        order = order[order >= 0]
        # Who comes back to a cart of earlier days buys what lay in it.
        returning = np.flatnonzero(np.bincount(order, minlength=size) == 0)
        saved = 1 + (rng.random(len(returning)) < 0.3)
        order = np.r_[order, np.repeat(returning, saved)]
        product = np.r_[product, self.catalogue.draw(rng, int(saved.sum()))]

        person = sessions["person"][at]
        told = rng.random(size)
        orders: Rows = {
            "person": person,
            "customer": np.where(sessions["guest"][at] > 0, NONE, sessions["customer"][at]),
            "visitor": sessions["visitor"][at],
            # One in twenty orders does not say in which session it was placed: its purchase event does.
            "session": np.where(told < 0.95, sessions["session"][at], NONE),
            "nth": sessions["nth"][at],
            "session_day": np.full(size, day),
            "ordered_at": browsing.purchases["ordered_at"],
            "sales_channel": np.where(rng.random(size) < 0.3, APP, WEB),
        }
        return self._place(rng, day, Basket(orders, _distinct(order, product)))

    def take_calls(self, rng: np.random.Generator, day: int, online: int) -> None:
        """Orders by telephone: a few, and at least as many as it takes that no day is without an order."""
        size = max(int(rng.poisson(online * 0.04)), 2 - online)
        if size <= 0:
            return
        opens = int(self.calendar.starts[day])
        callers = self.people.idle_customers(opens - 31 * MINUTE)
        is_customer = (rng.random(size) < 0.7) & (len(callers) > 0)
        customer = np.full(size, NONE)
        if len(callers):
            customer[is_customer] = rng.choice(callers, int(is_customer.sum()))
        person = np.where(customer >= 0, self.people.person_of(np.maximum(customer, 0)), NONE)
        self._place(rng, day, self._offline(rng, opens, person, customer, np.full(size, PHONE)))

    def brush(self, rng: np.random.Generator, day: int) -> None:
        """Orders that are not what they seem: six of one product within the hour, and owners in their own shop."""
        opens = int(self.calendar.starts[day])
        callers = self.people.idle_customers(opens - 31 * MINUTE)
        if not len(callers) or rng.random() < 0.5:
            return
        size = 6
        customer = np.repeat(rng.choice(callers, 1), size)
        basket = self._offline(rng, opens, self.people.person_of(customer), customer, np.full(size, WEB))
        basket.orders["ordered_at"] = basket.orders["ordered_at"][0] + np.arange(size) * 7 * MINUTE
        basket.lines = {"order": np.arange(size), "product": np.repeat(self.catalogue.draw(rng, 1), size)}
        self._place(rng, day, basket, pays_at_once=True)
        owner = self.catalogue.merchants["owner"][self.catalogue.rows["merchant"]]
        product = np.flatnonzero(np.isin(owner, callers))
        product = product[np.isin(product, self.catalogue.live)]
        if len(product):
            product = rng.choice(product, 1)
            customer = owner[product]
            basket = self._offline(rng, opens, self.people.person_of(customer), customer, np.full(1, WEB))
            basket.lines = {"order": np.zeros(1, dtype=np.int64), "product": product}
            self._place(rng, day, basket, pays_at_once=True)

    def _offline(
        self, rng: np.random.Generator, opens: int, person: Ints, customer: Ints, sales_channel: Ints
    ) -> Basket:
        size = len(person)
        nothing = np.full(size, NONE)
        orders: Rows = {
            "person": person,
            "customer": customer,
            "visitor": nothing,
            "session": nothing,
            "nth": nothing,
            "session_day": nothing,
            "ordered_at": opens + 8 * HOUR + np.sort(rng.integers(0, 10 * HOUR, size)),
            "sales_channel": sales_channel,
        }
        order = np.repeat(np.arange(size), 1 + (rng.random(size) < 0.3))
        return Basket(orders, _distinct(order, self.catalogue.draw(rng, len(order))))

    def _place(self, rng: np.random.Generator, day: int, basket: Basket, *, pays_at_once: bool = False) -> Rows:
        orders, lines = basket.orders, basket.lines
        size = len(orders["person"])
        orders["order"] = self.orders + np.arange(size)
        self.orders += size
        ordered_day = self.calendar.day_of(orders["ordered_at"])
        currency = self._currency(orders["person"])
        rate = self.rates.of(currency, ordered_day)
        person = np.maximum(orders["person"], 0)
        orders["currency"] = currency
        orders["ship_region"] = np.where(rng.random(size) < 0.97, self.people.region[person], NONE)
        device = self.people.device_kind[self.people.device_of[person, 0]].astype(np.int64)
        orders["device"] = np.where((orders["visitor"] >= 0) & (rng.random(size) < 0.6), device, NONE)
        self._price(rng, day, basket, rate)
        first, counts = _extent(lines["order"], size)
        amount = np.add.reduceat(lines["quantity"] * lines["unit_price"], first)
        off_lines = np.add.reduceat(np.maximum(lines["discount"], 0), first)
        off_order = self._discount(rng, day, orders, amount - off_lines)
        # An order whose lines are cheaper for a limited time carries that promotion, if no other.
        timed = np.maximum.reduceat(lines["promotion"], first)
        orders["promotion"] = np.where(orders["promotion"] < 0, timed, orders["promotion"])
        orders["discount"] = np.where((off_order > 0) | (rng.random(size) < 0.5), off_order, NONE)
        orders["shipping_fee"] = np.where(amount < 30 * 10_000, 49_900, 0)

        self._live(rng, orders, pays_at_once=pays_at_once)
        first_told = self._tell(rng, orders, ordered_day)
        self._tell_lines(rng, orders, lines, counts, first_told)
        net = amount - off_lines - off_order
        self._refund(rng, orders, lines, first, net, rate)
        self._review(rng, orders, lines)

        self.catalogue.sell(lines["product"], lines["quantity"])
        buyers = np.unique(orders["person"][orders["person"] >= 0])
        self.people.count_orders(orders["customer"][orders["customer"] >= 0], buyers)
        self.truth.count_orders(
            orders,
            amount=np.add.reduceat(converted(lines["quantity"] * lines["unit_price"], rate[lines["order"]]), first),
            discount=np.add.reduceat(converted(np.maximum(lines["discount"], 0), rate[lines["order"]]), first)
            + converted(off_order, rate),
            units=np.add.reduceat(lines["quantity"], first),
        )
        return orders

    def _currency(self, person: Ints) -> Ints:
        if self.people.currency is None:
            return np.zeros(len(person), dtype=np.int64)
        return np.where(person >= 0, self.people.currency[np.maximum(person, 0)], 0)

    def _price(self, rng: np.random.Generator, day: int, basket: Basket, rate: Ints) -> None:
        """Quantity, price, cost and discount of each line, in the order's currency and whole cents."""
        lines, rows = basket.lines, self.catalogue.rows
        size = len(lines["order"])
        lines["quantity"] = np.minimum(rng.geometric(0.78, size), 6)
        line_rate = rate[lines["order"]]
        price = rows["price"][lines["product"]] * 1_000_000 // line_rate // 100 * 100
        lines["unit_price"] = np.maximum(price, 100)
        cost = rows["cost"][lines["product"]]
        own_cost = np.where(cost >= 0, cost * 1_000_000 // line_rate, NONE)
        lines["unit_cost"] = np.where(rng.random(size) < 0.85, own_cost, NONE)
        promotions = self.catalogue.promotions
        running = promotions.running(self.calendar, day)
        timed = running[promotions.rows["kind"][running] == LIMITED_TIME]
        discount = np.full(size, NONE)
        if len(timed):
            # Every third product takes part.
            share = np.where(lines["product"] % 3 == 0, promotions.discount[timed[0]], 0)
            discount = lines["quantity"] * lines["unit_price"] * share // 10_000 * 100
            discount = np.where(discount > 0, discount, NONE)
        lines["discount"] = discount
        lines["promotion"] = np.where(discount > 0, timed[0] if len(timed) else NONE, NONE)

    def _discount(self, rng: np.random.Generator, day: int, orders: Rows, amount: Ints) -> Ints:
        """The discount on whole orders, and the promotion that each carries."""
        promotions = self.catalogue.promotions
        running = promotions.running(self.calendar, day)
        kinds = promotions.rows["kind"][running]
        size = len(amount)
        chosen = np.full(size, NONE)
        luck = rng.random(size)
        tempted = 0.75 if self.calendar.festival[day] > 5 else 0.3
        for kind, share in ((MEMBER, 0.04), (GIFT, 0.1), (COUPON, tempted), (FULL_REDUCTION, tempted)):
            fitting = running[kinds == kind]
            if len(fitting):
                who = (luck < share) & ((kind != MEMBER) | (orders["customer"] >= 0))
                chosen = np.where(who, fitting[-1], chosen)
        orders["promotion"] = chosen
        return np.where(chosen >= 0, amount * promotions.discount[chosen] // 10_000 * 100, 0)

    def _live(self, rng: np.random.Generator, orders: Rows, *, pays_at_once: bool) -> None:
        """The instants of an order's life; NONE for what never happens."""
        ordered_at = orders["ordered_at"]
        size = len(ordered_at)
        luck = rng.random(size)
        paid = ordered_at + rng.integers(5 * SECOND, 12 * MINUTE, size)
        later = ordered_at + rng.integers(20 * HOUR, 3 * DAY, size)
        paid = np.where(luck < 0.05, later, np.where(luck < 0.13, NONE, paid))
        if pays_at_once:
            paid = ordered_at + MINUTE
        is_paid = paid >= 0
        change = rng.random(size)
        given_up = ~is_paid & (change < 0.8)
        called_off = is_paid & (change < 0.02)
        cancelled = np.where(given_up, ordered_at + DAY + rng.integers(0, HOUR, size), NONE)
        cancelled = np.where(called_off, paid + rng.integers(HOUR, 4 * HOUR, size), cancelled)
        shipped = np.where(is_paid & ~called_off, paid + rng.integers(4 * HOUR, 60 * HOUR, size), NONE)
        arrives = (shipped >= 0) & (rng.random(size) < 0.985)
        delivered = np.where(arrives, shipped + rng.integers(20 * HOUR, 6 * DAY, size), NONE)
        orders["paid_at"] = paid
        orders["shipped_at"] = shipped
        orders["promised_at"] = np.where(rng.random(size) < 0.9, ordered_at + 5 * DAY, NONE)
        orders["delivered_at"] = delivered
        orders["completed_at"] = np.where(arrives, delivered + 7 * DAY, NONE)
        orders["cancelled_at"] = cancelled
        orders["is_called_off"] = called_off.astype(np.int64)

    def _tell(self, rng: np.random.Generator, orders: Rows, ordered_day: Ints) -> Ints:
        """Put each order's states into the deliveries of the days on which they are known; returns the first's day."""
        calendar = self.calendar
        size = len(ordered_day)
        first_told = ordered_day
        if "late" in self.faults:
            delay = np.where(rng.random(size) < 0.01, rng.integers(1, 4, size), 0)
            # A telephone order may be the only one of its day.
            delay = np.where(orders["sales_channel"] == PHONE, 0, delay)
            first_told = np.minimum(ordered_day + delay, calendar.days - 1)
            self.truth.summary["late"]["orders"] += int((first_told > ordered_day).sum())
        steps = ("paid_at", "shipped_at", "delivered_at", "completed_at", "cancelled_at")
        told = [first_told]
        for step in steps:
            day = calendar.day_of(orders[step])
            told.append(np.where((orders[step] >= 0) & (day > first_told), day, _NEVER))
        whose = np.tile(np.arange(size), len(told))
        days = np.concatenate(told)
        is_told = days < calendar.days
        unique = np.unique(whose[is_told] * calendar.days + days[is_told])
        whose, days = unique // calendar.days, unique % calendar.days
        rows = take(orders, whose)
        until = calendar.starts[days + 1]
        updated = rows["ordered_at"]
        status = np.full(len(days), PLACED)
        for step, reached in zip(steps, (PAID, SHIPPED, DELIVERED, COMPLETED, CANCELLED), strict=True):
            is_known = (rows[step] >= 0) & (rows[step] < until)
            rows[step] = np.where(is_known, rows[step], NONE)
            updated = np.maximum(updated, rows[step])
            status = np.where(is_known, reached, status)
        rows["status"] = status
        rows["updated_at"] = updated
        self.outbox.put("orders", days, rows)
        return first_told

    def _tell_lines(
        self, rng: np.random.Generator, orders: Rows, lines: Rows, counts: Ints, first_told: Ints
    ) -> None:
        rows = dict(lines)
        group, place = within_groups(counts)
        rows["line"] = place + 1
        rows["order"] = orders["order"][group]
        days = first_told[group]
        is_amended = np.zeros(len(counts), dtype=np.bool_)
        if "amended_orders" in self.faults:
            is_amended = (rng.random(len(counts)) < 0.06) & (first_told + 1 < self.calendar.days)
        if is_amended.any():
            # The final lines come a day later; at first there was one line more, and more of the first.
            first_version = take(rows, is_amended[group])
            last_line = np.r_[first_version["order"][1:] != first_version["order"][:-1], True]
            extra = take(first_version, last_line)
            extra["line"] = extra["line"] + 1
            extra["product"] = self.catalogue.draw(rng, len(extra["line"]))
            first_version["quantity"] = first_version["quantity"] + (first_version["line"] == 1)
            for version in (first_version, extra):
                whose = np.searchsorted(orders["order"], version["order"])
                self.outbox.put("order_items", first_told[whose], version)
            days = days + is_amended[group]
            self.truth.summary["amended_orders"] += int(is_amended.sum())
        self.outbox.put("order_items", days, rows)

    def _refund(
        self, rng: np.random.Generator, orders: Rows, lines: Rows, first: Ints, net: Ints, rate: Ints
    ) -> None:
        """Plan refunds: of orders called off all of it, of some delivered ones all of it or one or two lines."""
        size = len(net)
        luck = rng.random(size)
        off = (orders["is_called_off"] > 0) & (luck < 0.9)
        back = (orders["delivered_at"] >= 0) & (luck < 0.075)
        whole = np.flatnonzero((off | back & (rng.random(size) < 0.4)) & (net > 0))
        after = (rng.random(size) ** 1.7 * 30 * DAY).astype(np.int64) + HOUR
        at = np.where(off, orders["cancelled_at"] + 5 * MINUTE, orders["delivered_at"] + after)
        # Return 60 %, refund only 30 %, exchange 10 %.
        kind = np.where(off, REFUND_ONLY, np.searchsorted(np.array([0.6, 0.9]), rng.random(size), side="right"))

        share = np.zeros(size, dtype=np.int64)
        some = np.flatnonzero(back & ~np.isin(np.arange(size), whole) & (net > 0))
        share[some] = 1
        picks = share[lines["order"]] > 0
        place = np.arange(len(lines["order"])) - first[lines["order"]]
        line = np.flatnonzero(picks & ((place == 0) | (rng.random(len(place)) < 0.25)))
        whose = lines["order"][line]
        quantity = 1 + (rng.random(len(line)) * lines["quantity"][line]).astype(np.int64)
        gross = lines["quantity"] * lines["unit_price"] - np.maximum(lines["discount"], 0)
        per_order = np.add.reduceat(gross, first)
        # Its part of what was paid for the order, cut to cents: together never more than that.
        amount = gross[line] * quantity // lines["quantity"][line]
        amount = amount * (net[whose] // 100) // np.maximum(per_order[whose], 1) * 100
        # No quantity means the whole line.
        is_silent = (quantity == lines["quantity"][line]) & (rng.random(len(line)) < 0.3)
        refunds: Rows = {
            "of": np.r_[whole, whose],
            "line": np.r_[np.full(len(whole), NONE), place[line] + 1],
            "refunded_at": np.r_[at[whole], at[whose] + place[line] * HOUR],
            "amount": np.r_[net[whole], amount],
            "quantity": np.r_[np.full(len(whole), NONE), np.where(is_silent, NONE, quantity)],
            "kind": np.r_[kind[whole], kind[whose]],
        }
        refunds["reason"] = rng.integers(-1, len(REASONS), len(refunds["of"]))
        refunds = take(refunds, (refunds["amount"] > 0) & (refunds["refunded_at"] < self.calendar.end))
        day = self.calendar.day_of(refunds["refunded_at"])
        refunds["order"] = orders["order"][refunds["of"]]
        refunds["refund"] = self.refunds + np.arange(len(day))
        self.refunds += len(day)
        self.outbox.put("refunds", day, refunds)
        self.truth.count_refunds(day, converted(refunds["amount"], rate[refunds["of"]]))

    def _review(self, rng: np.random.Generator, orders: Rows, lines: Rows) -> None:
        whose = lines["order"]
        is_reviewed: Flags = (orders["delivered_at"][whose] >= 0) & (rng.random(len(whose)) < 0.18)
        line = np.flatnonzero(is_reviewed)
        whose, product = whose[line], lines["product"][line]
        at = orders["delivered_at"][whose] + (rng.random(len(line)) ** 2 * 20 * DAY).astype(np.int64) + HOUR
        rating = np.rint(self.catalogue.quality[product] + rng.normal(0, 0.9, len(line))).clip(1, 5).astype(np.int64)
        is_signed = rng.random(len(line)) < 0.9
        reviews: Rows = {
            "order": np.where(is_signed, orders["order"][whose], NONE),
            "product": product,
            "customer": np.where(is_signed, orders["customer"][whose], NONE),
            "rating": rating,
            "reviewed_at": at,
        }
        reviews = take(reviews, at < self.calendar.end)
        reviews["review"] = self.reviews + np.arange(len(reviews["rating"]))
        self.reviews += len(reviews["rating"])
        self.outbox.put("reviews", self.calendar.day_of(reviews["reviewed_at"]), reviews)


def _distinct(order: Ints, product: Ints) -> Rows:
    """The lines of orders: each product once per order, in the order of the orders."""
    width = int(product.max(initial=0)) + 1
    unique = np.unique(order * width + product)
    return {"order": unique // width, "product": unique % width}


def _extent(order: Ints, size: int) -> tuple[Ints, Ints]:
    """Where each order's lines begin, and how many there are; every order has one."""
    counts = np.bincount(order, minlength=size).astype(np.int64)
    return starts_of(counts), counts

