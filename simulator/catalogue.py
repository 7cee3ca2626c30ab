"""What the shop sells: products, the merchants behind them, promotions and stock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.arrays import DAY, HOUR, MINUTE, NONE, Flags, Floats, Ints, Rows, stream
from simulator.calendar import Calendar, festivals

CATEGORIES: tuple[tuple[str, str, str], ...] = (
    ("Home", "Kitchen", "Mugs"),
    ("Home", "Kitchen", "Cookware"),
    ("Home", "Decor", "Candles"),
    ("Home", "Decor", "Frames"),
    ("Fashion", "Shoes", "Sneakers"),
    ("Fashion", "Shoes", "Boots"),
    ("Fashion", "Bags", "Backpacks"),
    ("Fashion", "Bags", "Totes"),
    ("Electronics", "Audio", "Headphones"),
    ("Electronics", "Audio", "Speakers"),
    ("Electronics", "Wearables", "Watches"),
    ("Beauty", "Skin", "Creams"),
    ("Beauty", "Hair", "Shampoo"),
    ("Sports", "Outdoor", "Tents"),
    ("Sports", "Outdoor", "Bottles"),
    ("Sports", "Yoga", "Mats"),
    ("Toys", "Puzzles", "Wooden"),
    ("Toys", "Plush", "Ducks"),
)
BRANDS = ("Aldgate", "Birchwood", "Café Nord", "Drake & Sons", "Élan", "Fjord", "“Mallard”", "青木")
# A comma, quotes and letters of several alphabets: what a careless reader of CSV stumbles over.
NAME_FORMS = ("{0}, No. {1}", '{0} "{1}"', "{0} {1}", "{0} № {1}")
SEARCHES = (
    "mug", "wooden puzzle", "boots size 42", "gift under 20", "headphones, wireless", "yoga mat",
    "duck", "candle", "rucksack", "creme brûlée set", "帐篷", "water bottle 1l",
)  # fmt: skip
PROMOTION_KINDS = ("limited_time", "full_reduction", "gift", "coupon", "member")
MEMBER, COUPON, FULL_REDUCTION, LIMITED_TIME, GIFT = 4, 3, 1, 0, 2
TIERS = ("gold", "silver", "bronze")


@dataclass
class Promotions:
    """One row per promotion; ``discount`` is in hundredths of the amount that it reduces."""

    rows: Rows
    names: list[str]
    discount: Ints

    def running(self, calendar: Calendar, day: int) -> Ints:
        """The promotions that run at noon of a day."""
        noon = calendar.starts[day] + DAY // 2
        return np.flatnonzero((self.rows["starts_at"] <= noon) & (self.rows["ends_at"] > noon))


class Catalogue:
    """The products, as they are on the current day."""

    def __init__(self, calendar: Calendar, *, seed: int, size: int, owners: int) -> None:
        rng = stream(seed, 1)
        self.calendar = calendar
        self.seed = seed
        self.size = size
        self.merchants = self._merchants(rng, max(4, min(400, size // 12)), owners)
        number = np.arange(size)
        age = rng.integers(20, 900, size) * DAY
        # The last twentieth is listed while we watch, the one before is delisted.
        listed = calendar.begin - age
        newcomers = number >= size - max(1, size // 20)
        window = max(calendar.end - calendar.begin - DAY, DAY)
        listed[newcomers] = calendar.begin + (rng.random(int(newcomers.sum())) * window).astype(np.int64)
        delisted = np.full(size, NONE)
        leavers = (number >= size - 2 * max(1, size // 20)) & ~newcomers
        delisted[leavers] = calendar.begin + (rng.random(int(leavers.sum())) * window).astype(np.int64)
        price = np.exp(rng.normal(3.3, 0.75, size)).clip(4, 600)
        # Whole amounts that end in .90 or .00: cents, in ten-thousandths.
        cents = price.astype(np.int64) * 100 - rng.integers(0, 2, size) * 10
        self.rows: Rows = {
            "product": number,
            "name_form": rng.integers(0, len(NAME_FORMS), size),
            "category": rng.integers(0, len(CATEGORIES), size),
            "brand": rng.integers(-1, len(BRANDS), size),
            "merchant": rng.integers(0, len(self.merchants["merchant"]), size),
            "price": cents * 100,
            "cost": (cents * rng.integers(30, 85, size) // 100) * 100,
            "listed_at": listed,
            "delisted_at": delisted,
            "updated_at": listed.copy(),
        }
        self.rows["cost"][rng.random(size) < 0.04] = NONE
        self._popularity: Floats = rng.permutation(1.0 / (np.arange(size) + 3.0) ** 0.8)
        self.quality = rng.normal(4.1, 0.6, size)
        # A quarter is about to sell out.
        self.on_hand = np.where(
            rng.random(size) < 0.25, rng.integers(0, 12, size), rng.integers(20, 400, size)
        )
        self.promotions = self._promotions(rng)
        self._cumulative = np.zeros(0)
        self.live = np.zeros(0, dtype=np.int64)

    def begin_day(self, day: int) -> None:
        """Reprice, list, delist and restock, all before the shop wakes up."""
        rng = stream(self.seed, 2, day)
        rows = self.rows
        morning, night = (int(instant) for instant in self.calendar.starts[day : day + 2])
        known = rows["listed_at"] < morning
        changed = known & (rng.random(self.size) < 0.008)
        factor = rng.integers(85, 118, self.size)
        rows["price"] = np.where(changed, rows["price"] * factor // 10_000 * 100, rows["price"]).clip(100)
        moved = known & (rng.random(self.size) < 0.0008)
        rows["category"] = np.where(moved, rng.integers(0, len(CATEGORIES), self.size), rows["category"])
        gone = (rows["delisted_at"] >= morning) & (rows["delisted_at"] < night)
        at = morning + 2 * HOUR + rng.integers(0, 10 * MINUTE, self.size)
        rows["updated_at"] = np.where(changed | moved, at, rows["updated_at"])
        rows["updated_at"] = np.where(gone, rows["delisted_at"], rows["updated_at"])
        is_live = known & ((rows["delisted_at"] < 0) | (rows["delisted_at"] >= night))
        self.live = np.flatnonzero(is_live)
        self._cumulative = np.cumsum(self._popularity[self.live])
        low = self.on_hand < 15
        restocked = low & (rng.random(self.size) < 0.12)
        self.on_hand = self.on_hand + np.where(restocked, rng.integers(60, 500, self.size), 0)

    def draw(self, rng: np.random.Generator, size: int) -> Ints:
        """Products that people look at today, by popularity."""
        at = np.searchsorted(self._cumulative, rng.random(size) * self._cumulative[-1], side="right")
        drawn: Ints = self.live[np.minimum(at, len(self.live) - 1)]
        return drawn

    def sell(self, products: Ints, quantities: Ints) -> None:
        sold = np.zeros(self.size, dtype=np.int64)
        np.add.at(sold, products, quantities)
        self.on_hand = np.maximum(self.on_hand - sold, 0)

    def product_rows(self, day: int) -> Rows:
        """What the system of record knows at the end of a day."""
        end = int(self.calendar.starts[day + 1])
        known = self.rows["listed_at"] < end
        rows = {name: column[known] for name, column in self.rows.items()}
        rows["delisted_at"] = np.where(rows["delisted_at"] < end, rows["delisted_at"], NONE)
        return rows

    def inventory_rows(self, day: int) -> Rows:
        known = self.rows["listed_at"] < self.calendar.starts[day + 1]
        products = np.flatnonzero(known)
        days = np.full(len(products), self.calendar.first_ordinal + day)
        return {"product": products, "snapshot_date": days, "on_hand": self.on_hand[products]}

    def merchant_rows(self, day: int) -> Rows:
        end = int(self.calendar.starts[day + 1])
        known: Flags = self.merchants["joined_at"] < end
        rows = {name: column[known] for name, column in self.merchants.items()}
        rows["left_at"] = np.where(rows["left_at"] < end, rows["left_at"], NONE)
        return rows

    def promotion_rows(self, day: int) -> Rows:
        """Promotions are announced a week before their warm-up, or their start."""
        first = np.where(
            self.promotions.rows["warmup_at"] < 0,
            self.promotions.rows["starts_at"],
            self.promotions.rows["warmup_at"],
        )
        known = first < self.calendar.starts[day + 1] + 7 * DAY
        return {name: column[known] for name, column in self.promotions.rows.items()}

    def _merchants(self, rng: np.random.Generator, size: int, owners: int) -> Rows:
        calendar = self.calendar
        joined = calendar.begin - rng.integers(30, 900, size) * DAY
        window = max(calendar.end - calendar.begin - DAY, DAY)
        left = np.full(size, NONE)
        # One merchant in ten joins while we watch, one in twenty leaves.
        newcomers = np.arange(size) >= size - max(1, size // 10)
        joined[newcomers] = calendar.begin + (rng.random(int(newcomers.sum())) * window).astype(np.int64)
        left[: max(1, size // 20)] = calendar.begin + window // 2
        owner = np.where(rng.random(size) < 0.5, rng.integers(0, max(owners, 1), size), NONE)
        return {
            "merchant": np.arange(size),
            "joined_at": joined,
            "left_at": left,
            "tier": rng.integers(0, len(TIERS), size),
            "owner": owner if owners else np.full(size, NONE),
        }

    def _promotions(self, rng: np.random.Generator) -> Promotions:
        calendar = self.calendar
        # Kind, name, warm-up, start and end in days from the first, discount in hundredths, budget.
        plan: list[tuple[int, str, int, int, int, int, int]] = [
            (MEMBER, "Members' year", NONE, -90, calendar.days + 60, 5, NONE)
        ]
        kinds = (COUPON, LIMITED_TIME, FULL_REDUCTION, GIFT)
        for week, start in enumerate(range(2, calendar.days + 7, 7)):
            kind = kinds[week % 4]
            discount = 0 if kind == GIFT else int(rng.integers(8, 21))
            length = int(rng.integers(2, 5))
            plan.append(
                (
                    kind,
                    f"Week {week + 1}, {PROMOTION_KINDS[kind]}",
                    start - 1,
                    start,
                    start + length,
                    discount,
                    400,
                )
            )
        for year in sorted({calendar.date(0).year, calendar.date(calendar.days).year}):
            for day, name in festivals(year).items():
                start = (day - calendar.first_day).days
                if -20 < start < calendar.days + 15:
                    plan.append((FULL_REDUCTION, f"{name} {year}", start - 5, start, start + 1, 20, 3_000))
        starts = calendar.begin + np.array([entry[3] for entry in plan]) * DAY
        warmups = np.array([calendar.begin + entry[2] * DAY if entry[2] != NONE else NONE for entry in plan])
        budgets = np.array([entry[6] * 10_000 if entry[6] > 0 else NONE for entry in plan])
        rows = {
            "promotion": np.arange(len(plan)),
            "kind": np.array([entry[0] for entry in plan]),
            "warmup_at": warmups,
            "starts_at": starts,
            # The last instant that counts: a promotion ends just before midnight.
            "ends_at": calendar.begin + np.array([entry[4] for entry in plan]) * DAY - 1_000,
            "budget": budgets,
        }
        return Promotions(rows, [entry[1] for entry in plan], np.array([entry[5] for entry in plan]))
