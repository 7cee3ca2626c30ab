"""Orders: who buys what, at which price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.arrays import HOUR, MINUTE, NONE, Ints, Rows, converted, starts_of
from simulator.catalogue import COUPON, FULL_REDUCTION, GIFT, LIMITED_TIME, MEMBER, Catalogue

if TYPE_CHECKING:
    from simulator.calendar import Calendar
    from simulator.life import Life
    from simulator.people import People
    from simulator.rates import Rates
    from simulator.traffic import Browsing
    from simulator.truth import Truth

SALES_CHANNELS = ("web", "app", "phone")
WEB, APP, PHONE = range(3)


@dataclass
class Basket:
    """Orders to be, and their lines in order; ``lines["order"]`` is the place in ``orders``."""

    orders: Rows
    lines: Rows


class Sales:
    """Turns baskets into orders, and hands them to their life."""

    def __init__(
        self,
        *,
        calendar: Calendar,
        people: People,
        catalogue: Catalogue,
        rates: Rates,
        life: Life,
        truth: Truth,
        faults: frozenset[str],
    ) -> None:
        self.calendar = calendar
        self.people = people
        self.catalogue = catalogue
        self.rates = rates
        self.life = life
        self.truth = truth
        self.faults = faults
        self.orders = 0

    def check_out(self, rng: np.random.Generator, day: int, browsing: Browsing) -> Rows:
        """Place the orders of a day's sessions: one for each purchase, in their order."""
        at, sessions = browsing.purchases["at_session"], browsing.sessions
        size = len(at)
        if not size:
            return {
                name: np.zeros(0, dtype=np.int64) for name in ("order", "session", "ordered_at", "paid_at")
            }
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
            "session": np.where(
                told < (0 if "no_session_ids" in self.faults else 0.95), sessions["session"][at], NONE
            ),
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

    def _place(
        self, rng: np.random.Generator, day: int, basket: Basket, *, pays_at_once: bool = False
    ) -> Rows:
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
        first = starts_of(np.bincount(lines["order"], minlength=size))
        amount = np.add.reduceat(lines["quantity"] * lines["unit_price"], first)
        off_lines = np.add.reduceat(np.maximum(lines["discount"], 0), first)
        off_order = self._discount(rng, day, orders, amount - off_lines)
        # An order whose lines are cheaper for a limited time carries that promotion, if no other.
        timed = np.maximum.reduceat(lines["promotion"], first)
        orders["promotion"] = np.where(orders["promotion"] < 0, timed, orders["promotion"])
        orders["discount"] = np.where((off_order > 0) | (rng.random(size) < 0.5), off_order, NONE)
        orders["shipping_fee"] = np.where(amount < 30 * 10_000, 49_900, 0)

        self.life.plan(rng, orders, pays_at_once=pays_at_once)
        first_told = self.life.tell(rng, orders, ordered_day)
        self.life.tell_lines(rng, orders, lines, first_told)
        self.life.refund(rng, orders, lines, amount - off_lines - off_order, rate)
        self.life.review(rng, orders, lines)

        self.catalogue.sell(lines["product"], lines["quantity"])
        buyers = np.unique(orders["person"][orders["person"] >= 0])
        self.people.count_orders(orders["customer"][orders["customer"] >= 0], buyers)
        self.truth.count_orders(
            orders,
            amount=np.add.reduceat(
                converted(lines["quantity"] * lines["unit_price"], rate[lines["order"]]), first
            ),
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


def _distinct(order: Ints, product: Ints) -> Rows:
    """The lines of orders: each product once per order, in the order of the orders."""
    width = int(product.max(initial=0)) + 1
    unique = np.unique(order * width + product)
    return {"order": unique // width, "product": unique % width}
