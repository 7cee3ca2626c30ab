"""What becomes of an order over the weeks: paid, shipped, delivered, amended, called off, refunded, reviewed.

A life is planned whole when the order is placed. Each of its turns is put into the outbox of the day on
which the shop's system would tell it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    take,
    within_groups,
)

if TYPE_CHECKING:
    from simulator.calendar import Calendar
    from simulator.catalogue import Catalogue
    from simulator.outbox import Outbox
    from simulator.truth import Truth

STATUSES = ("placed", "paid", "shipped", "delivered", "completed", "cancelled")
PLACED, PAID, SHIPPED, DELIVERED, COMPLETED, CANCELLED = range(6)
REFUND_KINDS = ("return", "refund_only", "exchange")
REFUND_ONLY = 1
REASONS = ("does not fit", "damaged", "not as shown", "changed my mind", "came too late, by a week")
_NEVER = np.iinfo(np.int64).max


class Life:
    """Plans what happens to orders. ``lines["order"]`` is a place among the orders, in their order."""

    def __init__(
        self,
        calendar: Calendar,
        catalogue: Catalogue,
        outbox: Outbox,
        truth: Truth,
        *,
        faults: frozenset[str],
    ) -> None:
        self.calendar = calendar
        self.catalogue = catalogue
        self.outbox = outbox
        self.truth = truth
        self.faults = faults
        self.refunds = 0
        self.reviews = 0

    def plan(self, rng: np.random.Generator, orders: Rows, *, pays_at_once: bool) -> None:
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

    def tell(self, rng: np.random.Generator, orders: Rows, ordered_day: Ints) -> Ints:
        """Put each order's states into the deliveries of the days on which they are known; returns the first's day."""
        calendar = self.calendar
        size = len(ordered_day)
        first_told = ordered_day
        if "late" in self.faults:
            delay = np.where(rng.random(size) < 0.03, rng.integers(1, 4, size), 0)
            # No day is without an order: the first of its day is never late.
            delay[orders["ordered_at"].argmin()] = 0
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

    def tell_lines(self, rng: np.random.Generator, orders: Rows, lines: Rows, first_told: Ints) -> None:
        """Put the lines beside the first state of their order, and amended ones a day later once more."""
        counts = np.bincount(lines["order"], minlength=len(first_told))
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

    def refund(self, rng: np.random.Generator, orders: Rows, lines: Rows, net: Ints, rate: Ints) -> None:
        """Plan refunds: of orders called off all of it, of some delivered ones all of it or one or two lines.

        ``net`` is what each order cost after discounts: its refunds never add up to more.
        """
        size = len(net)
        first = starts_of(np.bincount(lines["order"], minlength=size))
        luck = rng.random(size)
        off = (orders["is_called_off"] > 0) & (luck < 0.9)
        back = (orders["delivered_at"] >= 0) & (luck < 0.13)
        whole = np.flatnonzero((off | back & (rng.random(size) < 0.4)) & (net > 0))
        after = (rng.random(size) ** 2.5 * 30 * DAY).astype(np.int64) + HOUR
        at = np.where(off, orders["cancelled_at"] + 5 * MINUTE, orders["delivered_at"] + after)
        # Return 60 %, refund only 30 %, exchange 10 %.
        kind = np.where(
            off, REFUND_ONLY, np.searchsorted(np.array([0.6, 0.9]), rng.random(size), side="right")
        )

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

    def review(self, rng: np.random.Generator, orders: Rows, lines: Rows) -> None:
        """Plan reviews of what was delivered; one in ten is anonymous."""
        whose = lines["order"]
        is_reviewed: Flags = (orders["delivered_at"][whose] >= 0) & (rng.random(len(whose)) < 0.18)
        line = np.flatnonzero(is_reviewed)
        whose, product = whose[line], lines["product"][line]
        at = orders["delivered_at"][whose] + (rng.random(len(line)) ** 2 * 20 * DAY).astype(np.int64) + HOUR
        rating = (
            np.rint(self.catalogue.quality[product] + rng.normal(0, 0.9, len(line)))
            .clip(1, 5)
            .astype(np.int64)
        )
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
