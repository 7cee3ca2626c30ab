"""A random shop with everything that goes wrong in one: no simulator, no manners.

Late and repeated events, ties in time, visitors who become known, two customers on one device, bots, orders
that change over later deliveries, lines that are replaced, refunds of what is not there, two currencies,
restated spend, reference rows that change, gaps of exactly thirty minutes.
"""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from .handmade import AS_OF, Shop, at

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ["home", "list", "search", "activity", "detail", "detail", "cart", "checkout", "content", None]
KINDS = ["page_view"] * 6 + ["impression", "impression", "click", "add_to_cart", "checkout", "search"]
ORIGINS: list[dict[str, str | None]] = [
    {},
    {},
    {"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "ads"},
    {"utm_medium": "Email", "utm_campaign": "news"},
    {"utm_campaign": "lonely"},
    {"referrer": "https://www.google.com/search"},
    {"referrer": "https://shop.example/home"},
    {"referrer": "https://blog.example/"},
]


class UglyShop(Shop):
    """So many visitors, half as many customers; deliveries come every ``stride`` days, of ``days`` days.

    The longer the shop, the less happens on a day. Without ``optional`` there are no promotions, merchants, reviews, stock, experiments and spend.
    """

    def __init__(
        self, seed: int, *, days: int = 40, visitors: int = 60, optional: bool = True, stride: int = 1
    ) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.stride = stride
        self.visitors = visitors
        self.customers = visitors // 2
        self.optional = optional
        self.days = days
        for day in (days + 1, days - 4):
            first = AS_OF - timedelta(days=day)
            self.add(
                "fx_rates", rate_date=first, currency="EUR", rate_to_reporting=Decimal("1.1"), _delivery=first
            )
        self.add_reference_tables()
        for ago in range(days, -2, -1):
            self.add_day(AS_OF - timedelta(days=ago))

    def add(self, table: str, **row: Any) -> None:
        """One landed row, delivered with the next delivery."""
        if table == "channel_spend" and not self.optional:
            return
        ago = (AS_OF - row.get("_delivery", AS_OF)).days
        super().add(table, **{**row, "_delivery": AS_OF - timedelta(days=ago - ago % self.stride)})

    def maybe(self, chance: float, value: Any) -> Any:
        """``value`` with that chance, else nothing."""
        return value if self.chance.random() < chance else None

    def moment(self, day: date) -> datetime:
        """A random minute of a day."""
        hour, minute = self.chance.randint(0, 23), self.chance.choice([0, 10, 30, 59])
        return at(f"{day:%Y-%m-%d} {hour:02}:{minute:02}")

    def later(self, when: datetime, most: int) -> date:
        """The delivery day of what happened ``when``: up to so many days late, never after ``as_of``."""
        return min(when.date() + timedelta(days=self.chance.choice([0, 0, 0, 0, 1, most])), AS_OF)

    def add_reference_tables(self) -> None:
        """Whole tables, delivered three times, each time a little different."""
        chance = self.chance
        for ago in (self.days - 1, self.days // 2, 1):
            delivery = {"_delivery": AS_OF - timedelta(days=ago)}
            for number in range(1, 13):
                self.product(
                    f"p{number:02}",
                    product_name=f"Product {number}",
                    category_l1=f"a{number % 2}",
                    category_l2=self.maybe(0.9, f"b{number % 4}"),
                    brand=self.maybe(0.8, f"x{chance.randint(1, 3)}"),
                    merchant_id=self.maybe(0.9, f"m{number % 3}") if self.optional else None,
                    unit_cost=self.maybe(0.8, f"{chance.randint(1, 40)}.25"),
                    list_price=self.maybe(0.9, f"{chance.randint(10, 99)}.5"),
                    delisted_at=at("03-01 10:00") if number == 12 else None,
                    **delivery,
                )
            for number in range(1, self.customers + 1):
                registered = AS_OF - timedelta(days=chance.randint(1, self.days + 20))
                self.add(
                    "customers",
                    customer_id=f"{number:03}",
                    registered_at=at(f"{registered:%Y-%m-%d} 12:00"),
                    member_tier=self.maybe(0.8, chance.choice(["basic", "gold"])),
                    referrer_customer_id=f"{number // 2:03}" if number > 6 and number % 3 == 0 else None,
                    updated_at=self.maybe(
                        0.3, self.moment(AS_OF - timedelta(days=chance.randint(1, self.days)))
                    ),
                    **delivery,
                )
        if self.optional:
            self.add_optional_tables()

    def add_optional_tables(self) -> None:
        """Promotions, merchants, reviews, stock."""
        chance = self.chance
        delivery = {"_delivery": AS_OF - timedelta(days=5)}
        for number, (first, last) in enumerate(
            [("02-20 08:00", "02-23 20:00"), ("03-08 08:00", "03-09 09:00")]
        ):
            self.add(
                "promotions",
                promotion_id=f"sale{number}",
                promotion_name="Sale",
                kind="limited_time",
                warmup_at=at("02-18 10:00") if number == 0 else None,
                starts_at=at(first),
                ends_at=at(last),
                budget=Decimal("12.5") if number == 0 else None,
                **delivery,
            )
        for number in range(5):
            self.add(
                "merchants",
                merchant_id=f"m{number}",
                merchant_name="Shop",
                joined_at=at(f"0{1 + number % 2}-15 10:00"),
                left_at=at("02-25 10:00") if number == 4 else None,
                owner_customer_id=f"{number + 1:03}",
                **delivery,
            )
        for number in range(60):
            when = self.moment(AS_OF - timedelta(days=chance.randint(-1, self.days - 1)))
            self.add(
                "reviews",
                review_id=f"w{number % 50}",
                product_id=f"p{chance.randint(1, 12):02}",
                rating=chance.randint(1, 5),
                reviewed_at=when,
                _delivery=self.later(when, 3),
            )

    def add_day(self, day: date) -> None:
        """One day of visits, orders, rates, stock and spend."""
        chance = self.chance
        delivery = min(day, AS_OF)
        rate = Decimal(chance.randint(90_000_000, 120_000_000)).scaleb(-8)
        if chance.random() < 0.7:
            self.add("fx_rates", rate_date=day, currency="EUR", rate_to_reporting=rate, _delivery=delivery)
        if self.optional:
            for number in range(1, 13):
                stock = chance.choice([0, 3, 50])
                row = {"product_id": f"p{number:02}", "snapshot_date": day, "on_hand": stock}
                self.add("inventory", **row, _delivery=delivery)
        self.add_spend(day, delivery)
        if self.days > 100 and chance.random() < 0.7:
            return
        for number in range(chance.randint(5, 9)):
            ended, visit = self.add_visit(day, f"{day:%y%m%d}-{number}")
            if chance.random() < 0.4:
                bought = ended + timedelta(minutes=chance.choice([-5, 0, 10, 30, 31]))
                self.add_order(f"v{day:%y%m%d}-{number}", bought, visit)
        for number in range(chance.randint(1, 4)):
            self.add_order(f"{day:%y%m%d}-{number}", self.moment(day), {})
        if day.day == 5:
            for number in range(6):
                self.add_order(
                    f"burst-{day:%y%m%d}-{number}", at(f"{day:%Y-%m-%d} 11:{number}0"), {}, burst=True
                )

    def add_spend(self, day: date, delivery: date) -> None:
        """A day's campaigns, some of them restated a week later with fewer rows."""
        chance = self.chance
        for channel, campaign in (
            ("paid_search", "ads"),
            ("paid_search", "more"),
            ("email", "news"),
            ("display", "d"),
        ):
            money = f"{chance.randint(0, 99)}.{chance.randint(0, 9999):04}"
            row = {"clicks": chance.randint(0, 9), "currency": chance.choice(["USD", "EUR"])}
            self.spend(f"{day:%Y-%m-%d}", channel, campaign, money, **row, _delivery=delivery)
        restated = day + timedelta(days=7)
        if chance.random() < 0.3 and restated <= AS_OF:
            self.spend(f"{day:%Y-%m-%d}", "paid_search", "ads", "55.5", _delivery=restated)

    def add_visit(self, day: date, name: str) -> tuple[datetime, dict[str, str | None]]:
        """One visit: some log in, some are bots, some have no session id, some run past midnight.

        Returns when it ended, and what of it an order may know.
        """
        chance = self.chance
        visitor = f"v{chance.randint(1, self.visitors):03}"
        when = self.moment(day) if chance.random() < 0.9 else at(f"{day:%Y-%m-%d} 23:50")
        session = self.maybe(0.7, f"s{name}")
        customer = self.maybe(0.3, f"{int(visitor[1:]) % self.customers + 1:03}")
        if chance.random() < 0.05:
            customer = f"{chance.randint(1, self.customers):03}"
        agent = chance.choice(["Mozilla"] * 25 + ["GoogleBot/2.1", None])
        origin = chance.choice(ORIGINS)
        for number in range(chance.randint(1, 10)):
            kind = chance.choice(KINDS)
            event = {
                "event_id": f"e{name}-{number:02}",
                "s": session,
                "customer_id": self.maybe(0.5, customer),
                "page_type": chance.choice(PAGES),
                "page_url": "https://shop.example/page",
                "product_id": self.maybe(0.8, f"p{chance.randint(1, 13):02}"),
                "slot_id": self.maybe(0.6, chance.choice(["top", "left"])),
                "device": self.maybe(0.4, chance.choice(["phone", "desktop"])),
                "user_agent": agent,
                "experiment_id": self.maybe(0.2, "trial") if self.optional else None,
                "variant": chance.choice(["control", "big", "small"]),
                **(origin if number == 1 or chance.random() < 0.2 else {}),
                "_delivery": self.later(when, 3),
            }
            self.event(visitor, f"{when:%Y-%m-%d %H:%M:%S}", kind, **event)
            if chance.random() < 0.05:
                self.event(visitor, f"{when:%Y-%m-%d %H:%M:%S}", kind, **{**event, "_delivery": AS_OF})
            ended = when
            when += timedelta(minutes=chance.choice([0, 1, 4, 15, 30, 31, 50]))
        return ended, {"visitor_id": visitor, "session_id": session, "customer_id": customer}

    def add_order(
        self, name: str, when: datetime, visit: dict[str, str | None], *, burst: bool = False
    ) -> None:
        """One order, of a visit or of nobody, with its later states, lines, refunds."""
        chance = self.chance
        wait = 0 if burst else chance.choice([0, 1, 600, 3000])
        paid = when + timedelta(minutes=wait) if burst or chance.random() < 0.8 else None
        shipped = paid + timedelta(hours=chance.randint(1, 50)) if paid and chance.random() < 0.8 else None
        delivered = (
            shipped + timedelta(hours=chance.randint(5, 90)) if shipped and chance.random() < 0.8 else None
        )
        cancelled = self.maybe(0.1, when + timedelta(hours=30))
        customer = "001" if burst else self.maybe(0.75, f"{chance.randint(1, self.customers):03}")
        order: dict[str, Any] = {
            "customer_id": customer,
            "currency": chance.choice(["USD", "USD", "EUR"]),
            "session_id": self.maybe(0.4, f"s{when:%y%m%d}-{chance.randint(0, 8)}"),
            "visitor_id": self.maybe(0.4, f"v{chance.randint(1, self.visitors):03}"),
            "sales_channel": chance.choice([None, "web", "app", "store"]),
            "device": self.maybe(0.3, "phone"),
            "promotion_id": self.maybe(0.2, "sale0"),
            "discount_amount": self.maybe(0.4, f"{chance.randint(0, 9)}.{chance.randint(0, 9999):04}"),
            "ship_region": self.maybe(0.8, chance.choice(["north", "south"])),
            "promised_at": self.maybe(0.7, when + timedelta(days=4)),
            **{name: self.maybe(0.8, value) for name, value in visit.items()},
        }
        has_updates = chance.random() < 0.7
        placed = {"updated_at": when if has_updates else None, "_delivery": min(when.date(), AS_OF)}
        self.order(name, f"{when:%Y-%m-%d %H:%M}", paid=None, **{**order, "status": "placed", **placed})
        lines = 0 if chance.random() < 0.03 else chance.randint(1, 3)
        self.add_lines(name, lines, min(when.date(), AS_OF), burst=burst)
        if chance.random() < 0.1:
            self.add_lines(
                name, chance.randint(1, 3), min(when.date() + timedelta(days=2), AS_OF), burst=burst
            )
        last = max(at for at in (paid, shipped, delivered, cancelled, when) if at)
        self.order(
            name,
            f"{when:%Y-%m-%d %H:%M}",
            paid=f"{paid:%Y-%m-%d %H:%M}" if paid else None,
            **order,
            shipped_at=shipped,
            delivered_at=delivered,
            cancelled_at=cancelled if chance.random() < 0.8 else None,
            status="cancelled" if cancelled else "delivered" if delivered else "paid" if paid else "placed",
            updated_at=last if has_updates else None,
            _delivery=min(last.date(), AS_OF),
        )
        self.add_refunds(name, when)
        if chance.random() < 0.2:
            visitor = f"v{chance.randint(1, self.visitors):03}"
            event = {"order_id": name, "s": self.maybe(0.5, "till"), "_delivery": self.later(when, 3)}
            self.event(visitor, f"{when:%Y-%m-%d %H:%M}", "purchase", **event)

    def add_lines(self, name: str, number: int, delivery: date, *, burst: bool) -> None:
        """So many lines; a later delivery replaces them all."""
        chance = self.chance
        for line in range(1, number + 1):
            product = "p01" if burst else f"p{chance.randint(1, 13):02}"
            price = f"{chance.choice([0, 9, 33, 120])}.{chance.randint(0, 9999):04}"
            cost = self.maybe(0.3, f"{chance.randint(0, 30)}.1111")
            discount = self.maybe(0.2, f"0.{chance.randint(0, 9999):04}")
            row = {"unit_cost": cost, "discount_amount": discount, "_delivery": delivery}
            self.line(name, line, product, chance.randint(1, 4), price, **row)

    def add_refunds(self, name: str, when: datetime) -> None:
        """Refunds of lines, of lines that are not there, of the whole order, and of no order."""
        chance = self.chance
        for number in range(chance.choice([0, 0, 0, 1, 2])):
            refunded = when + timedelta(days=chance.randint(0, 12), hours=1)
            self.refund(
                name if chance.random() < 0.95 else "nobody",
                f"{refunded:%Y-%m-%d %H:%M}",
                f"{chance.randint(1, 40)}.{chance.randint(0, 9999):04}",
                refund_id=f"r{name}-{number}",
                line_number=chance.choice([None, None, 1, 2, 9]),
                quantity=self.maybe(0.3, 1),
                kind=chance.choice(["return", "return", "refund_only", "exchange", None]),
                _delivery=self.later(refunded, 3),
            )


def write_inbox(shop: Shop, inbox: Path) -> None:
    """The shop's rows as an inbox: one Parquet file per table and delivery day, rows in their order."""
    for (feed, table), frame in shop.landing().items():
        for delivery in frame["_delivery"].unique().sort():
            rows = frame.filter(_delivery=delivery).sort("_row").select(pl.exclude("^_.*$"))
            known = rows.select(column for column in rows if column.null_count() < rows.height)
            folder = inbox / feed / table
            folder.mkdir(parents=True, exist_ok=True)
            known.write_parquet(folder / f"{delivery}.parquet")
