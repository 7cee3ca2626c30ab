"""Who comes: people, their devices, and the customers that some of them become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.arrays import DAY, HOUR, MINUTE, NONE, SECOND, Floats, Ints, Rows, pick, stream

if TYPE_CHECKING:
    from simulator.calendar import Calendar

REGIONS = ("north", "south", "east", "west", "overseas")
MEMBER_TIERS = ("bronze", "silver", "gold")
DEVICES = ("desktop", "mobile", "tablet")
# Orders placed from which on a customer is silver, gold.
_TIER_ORDERS = (2, 5)


def _habit(days: int) -> Floats:
    """The chance that somebody comes again, by days since the first visit."""
    age = np.maximum(np.arange(days), 1)
    return 0.26 * age**-0.62 + 0.012


class People:
    """People are numbered in the order in which they first come; each has up to two devices.

    A device is a visitor to the shop. One person in fifty shares the first device with the next one,
    so that a visitor may name two customers.
    """

    def __init__(self, calendar: Calendar, *, seed: int, users: int, currencies: int) -> None:
        rng = stream(seed, 3)
        self.calendar = calendar
        self.seed = seed
        self.users = users
        known_before = min(users, max(3, users // 8))
        weights = calendar.traffic**0.6
        first_days = pick(rng, weights, users - known_before)
        self.arrival = np.sort(np.r_[-rng.integers(1, 180, known_before), first_days])
        self._arrived = np.searchsorted(self.arrival, np.arange(calendar.days), side="right")
        self.engagement = rng.gamma(2.2, 1 / 2.2, users).clip(0.1, 4).astype(np.float32)
        # Most never buy, a few often; who comes more often also buys more readily.
        keenness = rng.gamma(0.4, 1 / 0.4, users) * np.sqrt(self.engagement)
        self.propensity = keenness.clip(0.02, 9).astype(np.float32)
        self.region = pick(rng, [30, 25, 20, 15, 10], users).astype(np.int8)
        self.currency = (
            (rng.random(users) < 0.25) * rng.integers(1, currencies, users) if currencies > 1 else None
        )
        self.has_second_device = rng.random(users) < 0.3
        self.household = np.arange(users)
        self.device_of = np.arange(2 * users).reshape(users, 2)
        if users >= 50:
            first = np.flatnonzero(rng.random(users // 2) < 0.04) * 2
            self.household[first + 1] = first
            self.device_of[first + 1, 0] = self.device_of[first, 0]
        self.is_sharing = self.household != np.arange(users)
        self.is_sharing[self.household[self.is_sharing]] = True
        self.device_kind = pick(rng, [35, 58, 7], 2 * users).astype(np.int8)
        self.device_agent = rng.integers(0, 3, 2 * users).astype(np.int8)
        self.visitor_of = np.full(2 * users, NONE)
        self.logged_in = np.full(2 * users, NONE)
        """The person who stays logged in on each device."""
        self.busy_until = np.full(users, calendar.begin - DAY)
        """When the last session of each household ended."""
        self.visitors = 0
        self._habit = _habit(calendar.days + 200)
        self._register_those_known_before(rng, known_before)

    @property
    def customers(self) -> int:
        return self._count

    def arrived(self, day: int) -> int:
        """How many people have come up to a day: numbers below it."""
        return int(self._arrived[day])

    def coming(self, rng: np.random.Generator, day: int) -> Ints:
        """The people who come on a day."""
        count = self.arrived(day)
        age = day - self.arrival[:count]
        chance = self._habit[age] * self.engagement[:count] * self.calendar.traffic[day]
        comes = (rng.random(count) < np.minimum(chance, 0.9)) | (age == 0)
        # No day is without a visit, as small as the shop may be.
        comes[:3] |= comes.sum() < 3
        return np.flatnonzero(comes)

    def visitors_of(self, devices: Ints) -> Ints:
        """The visitor of each device; one that is seen for the first time gets the next number."""
        fresh = np.unique(devices[self.visitor_of[devices] < 0])
        self.visitor_of[fresh] = self.visitors + np.arange(len(fresh))
        self.visitors += len(fresh)
        return self.visitor_of[devices]

    def register(self, rng: np.random.Generator, people: Ints, at: Ints) -> None:
        """Make these people, each of whom is there once, customers."""
        size = len(people)
        old = self._count
        self._reserve(size)
        rows = slice(old, old + size)
        self.customer_of[people] = np.arange(old, old + size)
        self._columns["registered_at"][rows] = at
        self._columns["updated_at"][rows] = at
        self._columns["region"][rows] = np.where(rng.random(size) < 0.93, self.region[people], NONE)
        self._columns["tier"][rows] = 0
        self._columns["orders"][rows] = 0
        self._columns["person"][rows] = people
        referrer = rng.integers(0, max(old, 1), size)
        is_referred = (rng.random(size) < 0.12) & (old > 0)
        # A customer of the same night may have registered later than the one that it would have referred.
        is_referred &= self._columns["registered_at"][referrer] < at - MINUTE
        self._columns["referrer"][rows] = np.where(is_referred, referrer, NONE)
        self._count += size

    def begin_day(self, day: int) -> None:
        """Promote customers by their orders so far, and let some move; both are known from that night on."""
        rng = stream(self.seed, 4, day)
        night = int(self.calendar.starts[day]) + 3 * HOUR
        columns = {name: column[: self._count] for name, column in self._columns.items()}
        settled = columns["registered_at"] < night - 3 * HOUR
        tier = np.searchsorted(np.array(_TIER_ORDERS), columns["orders"], side="right")
        rises = settled & (tier > columns["tier"])
        columns["tier"][rises] = tier[rises]
        moves = settled & (rng.random(self._count) < 0.001)
        columns["region"][moves] = rng.integers(0, len(REGIONS), int(moves.sum()))
        changed = rises | moves
        columns["updated_at"][changed] = night + rng.integers(0, 900 * SECOND, int(changed.sum()))

    def count_orders(self, customers: Ints, people: Ints) -> None:
        """Remember who ordered: such people come more often from then on."""
        np.add.at(self._columns["orders"], customers, 1)
        self.engagement[people] = np.minimum(self.engagement[people] * np.float32(1.5), np.float32(8))

    def customer_rows(self, day: int) -> Rows:
        """What the system of record knows of its customers at the end of a day."""
        known = np.flatnonzero(self._columns["registered_at"][: self._count] < self.calendar.starts[day + 1])
        rows = {name: column[known] for name, column in self._columns.items() if name != "person"}
        rows["customer"] = known
        # Those of long ago were imported without an instant.
        rows["registered_at"] = np.where(known % 37 == 5, NONE, rows["registered_at"])
        return rows

    def idle_customers(self, before: int) -> Ints:
        """Customers whose households have not been seen since an instant, and who share no device."""
        people = self._columns["person"][: self._count]
        is_idle = (self.busy_until[self.household[people]] < before) & ~self.is_sharing[people]
        return np.flatnonzero(is_idle & (self._columns["registered_at"][: self._count] < before))

    def person_of(self, customers: Ints) -> Ints:
        return self._columns["person"][customers]

    def _register_those_known_before(self, rng: np.random.Generator, known_before: int) -> None:
        self._count = 0
        names = ("registered_at", "updated_at", "region", "tier", "orders", "person", "referrer")
        self._columns: Rows = {name: np.zeros(0, dtype=np.int64) for name in names}
        self.customer_of = np.full(self.users, NONE)
        registered = np.flatnonzero(rng.random(known_before) < 0.55)
        registered = np.unique(np.r_[0, registered])
        at = (
            self.calendar.begin
            + self.arrival[registered] * DAY
            + rng.integers(8 * HOUR, 20 * HOUR, len(registered))
        )
        order = np.argsort(at, kind="stable")
        self.register(rng, registered[order], at[order])
        self._columns["tier"][: self._count] = pick(rng, [60, 30, 10], self._count)

    def _reserve(self, size: int) -> None:
        needed = self._count + size
        held = len(self._columns["person"])
        if needed > held:
            grown = max(needed, held * 2, 1024)
            for name, column in self._columns.items():
                self._columns[name] = np.r_[column, np.zeros(grown - held, dtype=np.int64)]
