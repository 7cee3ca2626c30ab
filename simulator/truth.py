"""The truth that the simulator knows: the figures of the marts, kept while the shop is made.

Nothing of Mallard's own code is used here. Money is counted in ten-thousandths as whole numbers; who a
visitor is, is settled at the end, when all is known that the visitor's events will ever say.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import pages as walking
from simulator.arrays import MINUTE, NONE, Flags, Ints, Rows
from simulator.touches import CHANNEL_OF, CHANNELS, DIRECT, HAS_REFERRER, HAS_UTM

if TYPE_CHECKING:
    from simulator.calendar import Calendar

FUNNEL = (
    "visited", "viewed", "carted", "checked_out", "paid",
    "any_viewed", "any_carted", "any_checked_out", "any_paid",
)  # fmt: skip
RETENTION_DAYS = (1, 3, 7, 14, 30, 60, 90)
REPURCHASE_WINDOW = 30
_NEVER = np.iinfo(np.int64).max


class Truth:
    """Collects what happens, and in the end says what a warehouse should make of it."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        days = calendar.days
        self.daily: dict[str, Ints] = {
            name: np.zeros(days, dtype=np.int64)
            for name in (
                "gmv", "placed_gmv", "discount_amount", "refund_amount", "orders", "placed_orders", "units",
                "cancelled_orders", "pv", "sessions",
            )
        }  # fmt: skip
        self.funnel = np.zeros((days, len(FUNNEL)), dtype=np.int64)
        self.channels = np.zeros((days, len(CHANNELS)), dtype=np.int64)
        self.summary: dict[str, Any] = {
            "late": {"events": 0, "orders": 0},
            "restated_spend": 0,
            "amended_orders": 0,
        }
        self._user_days: list[Rows] = []
        self._named = np.zeros(0, dtype=np.int64)
        self._orders: list[Rows] = []
        self._spend: list[Rows] = []

    def count_orders(self, orders: Rows, *, amount: Ints, discount: Ints, units: Ints) -> None:
        """Orders with their amounts in reporting currency; what is dated after the last day has not happened."""
        calendar = self.calendar
        placed = calendar.day_of(orders["ordered_at"])
        np.add.at(self.daily["placed_gmv"], placed, amount)
        np.add.at(self.daily["placed_orders"], placed, 1)
        is_cancelled = (orders["cancelled_at"] >= 0) & (orders["cancelled_at"] < calendar.end)
        np.add.at(self.daily["cancelled_orders"], placed[is_cancelled], 1)
        is_paid = self.is_paid(orders)
        paid = calendar.day_of(orders["paid_at"][is_paid])
        for name, figure in (("gmv", amount), ("discount_amount", discount), ("units", units)):
            np.add.at(self.daily[name], paid, figure[is_paid])
        np.add.at(self.daily["orders"], paid, 1)
        self._orders.append(
            {
                "order": orders["order"][is_paid],
                "customer": orders["customer"][is_paid],
                "visitor": orders["visitor"][is_paid],
                "paid_at": orders["paid_at"][is_paid],
                "day": paid,
                "amount": amount[is_paid],
            }
        )

    def is_paid(self, orders: Rows) -> Flags:
        return (orders["paid_at"] >= 0) & (orders["paid_at"] < self.calendar.end)

    def count_refunds(self, day: Ints, amount: Ints) -> None:
        np.add.at(self.daily["refund_amount"], day, amount)

    def count_spend(self, rows: Rows, converted: Ints) -> None:
        """The figures that a day and its campaigns end with."""
        self._spend.append({**rows, "converted": converted})

    def count_events(self, events: Rows) -> None:
        """Count events of people, in the order of their sessions and times.

        ``at_session`` tells the sessions apart, ``kept_id`` whether an event still has its session's id;
        on the purchase events, ``is_paid`` is that of their order, ``by_id`` whether it names its session.
        """
        if not len(events["happened"]):
            return
        calendar = self.calendar
        days = calendar.day_of(events["happened"])
        self._learn_names(events["visitor"], events["customer"])
        session, order = _cut(events)
        ordered = {name: column[order] for name, column in events.items()} if order is not None else events
        days = days[order] if order is not None else days
        begins = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
        day = days[begins]

        np.add.at(self.daily["pv"], days[ordered["kind"] == walking.VIEW], 1)
        np.add.at(self.daily["sessions"], day, 1)
        np.add.at(self.channels, (day, self._channel(ordered["touch"], begins)), 1)
        steps = _funnel(ordered, session, begins)
        for at, step in enumerate(steps):
            np.add.at(self.funnel[:, at], day[step], 1)

        # A session is that of the last customer it names, on each of the days that it touches.
        place = np.arange(len(session))
        last_named = np.maximum.reduceat(np.where(ordered["customer"] >= 0, place, NONE), begins)
        customer = np.where(last_named >= 0, ordered["customer"][last_named], NONE)
        unique = np.unique(session * (calendar.days + 1) + days)
        whose = unique // (calendar.days + 1)
        self._user_days.append(
            {
                "day": (unique % (calendar.days + 1)).astype(np.int32),
                "visitor": ordered["visitor"][begins][whose].astype(np.int32),
                "customer": customer[whose].astype(np.int32),
            }
        )

    def _learn_names(self, visitor: Ints, customer: Ints) -> None:
        """Remember the one customer that each visitor names: NONE for none yet, -2 for several."""
        most = int(visitor.max(initial=-1)) + 1
        if most > len(self._named):
            grown = np.full(max(most, 2 * len(self._named)), NONE)
            grown[: len(self._named)] = self._named
            self._named = grown
        names = customer >= 0
        unique = np.unique(visitor[names] * 2**32 + customer[names])
        visitor, customer = unique // 2**32, unique % 2**32
        is_repeated = (
            np.r_[False, visitor[1:] == visitor[:-1]] if len(visitor) else np.zeros(0, dtype=np.bool_)
        )
        is_other = (self._named[visitor] != NONE) & (self._named[visitor] != customer)
        several = visitor[is_repeated | is_other]
        self._named[visitor] = customer
        self._named[several] = -2

    def _channel(self, touch: Ints, begins: Ints) -> Ints:
        """Each session's channel: of its first event with any utm, else with an outside referrer, else direct."""
        place = np.arange(len(touch))
        has_utm = (touch >= 0) & HAS_UTM[touch]
        has_referrer = (touch >= 0) & HAS_REFERRER[touch]
        by_utm = np.minimum.reduceat(np.where(has_utm, place, _NEVER), begins)
        by_referrer = np.minimum.reduceat(np.where(has_referrer, place, _NEVER), begins)
        deciding = np.where(by_utm < _NEVER, by_utm, by_referrer)
        found = np.where(deciding < _NEVER, touch[np.minimum(deciding, len(touch) - 1)], DIRECT)
        return CHANNEL_OF[found]

    def users(self, customer: Ints, visitor: Ints) -> Ints:
        """The user behind a session: numbers of customers are even, those of visitors odd."""
        known = (
            np.where(visitor >= 0, self._named[visitor], NONE)
            if len(self._named)
            else np.full(len(visitor), NONE)
        )
        settled = np.where(customer >= 0, customer, known)
        return np.where(settled >= 0, settled * 2, visitor * 2 + 1)

    def settle(self) -> dict[str, Rows]:
        """The figures of all days, by the name of their file."""
        calendar, days = self.calendar, self.calendar.days
        user_days = _gathered(self._user_days, ("day", "visitor", "customer"))
        users = self.users(user_days["customer"], user_days["visitor"])
        active = np.unique(users * days + user_days["day"])
        user, day = active // days, active % days
        is_first = np.r_[True, user[1:] != user[:-1]] if len(user) else np.zeros(0, dtype=np.bool_)
        first_day = day[is_first][np.cumsum(is_first) - 1] if len(user) else day
        cohort_size = np.bincount(day[is_first], minlength=days)

        orders = _gathered(self._orders, ("order", "customer", "visitor", "paid_at", "day", "amount"))
        buyer = self.users(orders["customer"], orders["visitor"])
        # A guest without a visitor is a buyer of that order only.
        alone = (orders["customer"] < 0) & (orders["visitor"] < 0)
        buyer = np.where(alone, -2 - orders["order"], buyer)
        by_time = np.lexsort((orders["order"], orders["paid_at"], buyer))
        bought = {name: column[by_time] for name, column in orders.items()}
        bought["buyer"] = buyer[by_time]
        is_new = np.r_[True, bought["buyer"][1:] != bought["buyer"][:-1]] if len(buyer) else alone
        buyer_days = np.unique(np.cumsum(is_new) * days + bought["day"]) % days

        figures = dict(self.daily)
        figures["net_revenue"] = figures["gmv"] - figures["discount_amount"] - figures["refund_amount"]
        figures["buyers"] = np.bincount(buyer_days, minlength=days)
        figures["new_buyers"] = np.bincount(bought["day"][is_new], minlength=days)
        figures["uv"] = np.bincount(day, minlength=days)
        figures["new_users"] = cohort_size
        dt = calendar.first_ordinal + np.arange(days)
        return {
            "daily": {"dt": dt, **figures},
            "retention": self._retention(day - first_day, first_day, cohort_size),
            "repurchase": {"dt": dt, **_repurchase(bought, days)},
            "funnel": {"dt": dt, **{name: self.funnel[:, at] for at, name in enumerate(FUNNEL)}},
            "session_channels": {
                "dt": np.repeat(dt, len(CHANNELS)),
                "channel": np.tile(np.arange(len(CHANNELS)), days),
                "sessions": self.channels.ravel(),
            },
            "spend": _gathered(
                self._spend,
                ("spend_date", "campaign", "impressions", "clicks", "spend", "currency", "converted"),
            ),
        }

    def _retention(self, age: Ints, first_day: Ints, cohort_size: Ints) -> Rows:
        days = self.calendar.days
        parts = defaultdict(list)
        for day_n in RETENTION_DAYS:
            cohorts = np.flatnonzero(cohort_size)
            is_mature = cohorts + day_n < days
            retained = np.bincount(first_day[age == day_n], minlength=days)[cohorts]
            parts["cohort_dt"].append(self.calendar.first_ordinal + cohorts)
            parts["day_n"].append(np.full(len(cohorts), day_n))
            parts["cohort_size"].append(cohort_size[cohorts])
            parts["retained"].append(np.where(is_mature, retained, NONE))
            parts["is_mature"].append(is_mature.astype(np.int64))
        return {name: np.concatenate(columns) for name, columns in parts.items()}


def _cut(events: Rows) -> tuple[Ints, Ints | None]:
    """Number the sessions that a reader finds: the ids that are left, and cuts after half an hour without any.

    Returns the number per event, and the order in which the events then lie (None: as they are).
    """
    lost = events["kept_id"] == 0
    at_session, happened = events["at_session"], events["happened"]
    order = None
    if lost.any():
        order = np.argsort(at_session * 2 + lost, kind="stable")
        at_session, lost, happened = at_session[order], lost[order], happened[order]
    changes = (at_session[1:] != at_session[:-1]) | (lost[1:] != lost[:-1])
    changes |= lost[1:] & (happened[1:] - happened[:-1] > 30 * MINUTE)
    return np.cumsum(np.r_[0, changes]).astype(np.int64), order


def _funnel(events: Rows, session: Ints, begins: Ints) -> list[Flags]:
    """Which sessions took each step: strictly one after the other, then each alone."""
    happened, kind, page = events["happened"], events["kind"], events["page"]

    def first(mask: Flags) -> Ints:
        return np.minimum.reduceat(np.where(mask, happened, _NEVER), begins)

    views = (kind == walking.VIEW) & (page == walking.DETAIL)
    carts = kind == walking.CARTED
    checkouts = (kind == walking.CHECKED_OUT) | ((kind == walking.VIEW) & (page == walking.CHECKOUT))
    viewed_at = first(views)
    carted_at = first(carts & (happened >= viewed_at[session]))
    checked_out_at = first(checkouts & (happened >= carted_at[session]))
    # An order is the session's that still has the order's id, else the one of its purchase event.
    has_paid = np.zeros(len(begins), dtype=np.bool_)
    pays = events["is_paid"] > 0
    own = session[pays]
    if len(own):
        by_id = events["by_id"][pays] > 0
        lost = events["kept_id"][pays] == 0
        # The part that kept the id lies right before the part that lost it.
        starts = events["at_session"][begins]
        kept_part = np.searchsorted(starts, events["at_session"][pays])
        is_kept = events["kept_id"][begins][kept_part] > 0
        has_paid[np.where(by_id & lost & is_kept, kept_part, own)] = True
    viewed, carted, checked_out = viewed_at < _NEVER, carted_at < _NEVER, checked_out_at < _NEVER
    return [
        np.ones(len(begins), dtype=np.bool_), viewed, carted, checked_out, checked_out & has_paid,
        viewed, first(carts) < _NEVER, first(checkouts) < _NEVER, has_paid,
    ]  # fmt: skip


def _repurchase(bought: Rows, days: int) -> Rows:
    """Over the 30 days that end with each: buyers, those with two orders or more, what the later orders brought."""
    found = {
        name: np.zeros(days, dtype=np.int64) for name in ("buyers", "repurchase_users", "repurchase_amount")
    }
    for day in range(days):
        inside = np.flatnonzero((bought["day"] <= day) & (bought["day"] > day - REPURCHASE_WINDOW))
        buyer = bought["buyer"][inside]
        if not len(buyer):
            continue
        is_first = np.r_[True, buyer[1:] != buyer[:-1]]
        counts = np.diff(np.r_[np.flatnonzero(is_first), len(buyer)])
        found["buyers"][day] = len(counts)
        found["repurchase_users"][day] = (counts > 1).sum()
        found["repurchase_amount"][day] = bought["amount"][inside][~is_first].sum()
    return {"window_days": np.full(days, REPURCHASE_WINDOW), **found}


def _gathered(parts: list[Rows], names: tuple[str, ...]) -> Rows:
    if not parts:
        return {name: np.zeros(0, dtype=np.int64) for name in names}
    return {name: np.concatenate([part[name] for part in parts]).astype(np.int64) for name in names}
