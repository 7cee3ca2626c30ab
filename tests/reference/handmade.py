"""Small landed tables made by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import polars as pl

from . import Reference, warehouse
from .seeds import ChannelRule, Seeds

#: The last complete day of every hand-made shop.
AS_OF = date(2025, 3, 10)

SEEDS = Seeds(
    channel_rules=(
        ChannelRule("", "email", "", "email"),
        ChannelRule("", "cpc", "", "paid_search"),
        ChannelRule(".+", "", "", "other"),
        ChannelRule("", "", r"(.*\.)?google\.[a-z.]+", "organic_search"),
        ChannelRule("", "", ".+", "referral"),
    ),
    bot_agents=("bot", "python-requests"),
)


def with_year(text: str) -> str:
    """``MM-DD…`` is of 2025; ``YYYY-MM-DD…`` stays."""
    return text if text[4:5] == "-" else f"2025-{text}"


def at(text: str) -> datetime:
    """``[YYYY-]MM-DD HH:MM[:SS]`` in UTC."""
    return datetime.fromisoformat(with_year(text)).replace(tzinfo=UTC)


class Shop:
    """Collects rows table by table; everything is delivered on ``AS_OF`` unless it says otherwise."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.ids = count(1)

    def add(self, table: str, **row: Any) -> None:
        """One landed row of a table."""
        feed = {"events": "clickstream", "channel_spend": "channel_spend"}.get(table, "orders")
        technical = {"_delivery": AS_OF, "_row": next(self.ids), "_is_incomplete": False, "_source": "inbox"}
        self.rows[feed, table].append({**technical, **row})

    def event(self, visitor_id: str, when: str, event_type: str = "page_view", **row: Any) -> None:
        """An event, in order of call where times tie; ``s`` is short for ``session_id``."""
        row.setdefault("event_id", f"e{next(self.ids):06}")
        row.setdefault("page_type", "home" if event_type == "page_view" else None)
        row.setdefault("session_id", row.pop("s", None))
        self.add("events", event_at=at(when), visitor_id=visitor_id, event_type=event_type, **row)

    def order(
        self,
        order_id: str,
        when: str,
        *lines: tuple[str, int, str],
        paid: str | None = "",
        **row: Any,
    ) -> None:
        """An order of lines (product, quantity, unit price), paid at once unless ``paid`` says when."""
        paid_at = at(when) if paid == "" else at(paid) if paid else None
        row = {"status": "paid", "currency": "USD", "discount_amount": None, "paid_at": paid_at, **row}
        if row["discount_amount"] is not None:
            row["discount_amount"] = Decimal(row["discount_amount"])
        self.add("orders", order_id=order_id, ordered_at=at(when), **row)
        for number, (product_id, quantity, unit_price) in enumerate(lines, start=1):
            self.line(order_id, number, product_id, quantity, unit_price)

    def line(
        self, order_id: str, number: int, product_id: str, quantity: int, unit_price: str, **row: Any
    ) -> None:
        """One line of an order."""
        for name in ("unit_cost", "discount_amount"):
            row[name] = Decimal(row[name]) if row.get(name) is not None else None
        self.add(
            "order_items",
            order_id=order_id,
            line_number=number,
            product_id=product_id,
            quantity=quantity,
            unit_price=Decimal(unit_price),
            **row,
        )

    def refund(self, order_id: str, when: str, amount: str, **row: Any) -> None:
        """A refund, of the whole order unless it has a ``line_number``."""
        row.setdefault("refund_id", f"r{next(self.ids)}")
        self.add("refunds", order_id=order_id, refunded_at=at(when), amount=Decimal(amount), **row)

    def product(self, product_id: str, **row: Any) -> None:
        """A version of a product."""
        for name in ("unit_cost", "list_price"):
            row[name] = Decimal(row[name]) if row.get(name) is not None else None
        self.add("products", product_id=product_id, **{"category_l1": "things", **row})

    def spend(self, day: str, channel: str, campaign_id: str, spend: str, **row: Any) -> None:
        """A day's spend of a campaign."""
        self.add(
            "channel_spend",
            spend_date=date.fromisoformat(with_year(day)),
            channel=channel,
            campaign_id=campaign_id,
            **{"impressions": 100, "clicks": 10, "currency": "USD", **row},
            spend=Decimal(spend),
        )

    def landing(self) -> dict[tuple[str, str], pl.DataFrame]:
        """The landed tables; what a row leaves out is missing."""
        return {key: pl.DataFrame(rows, infer_schema_length=None) for key, rows in self.rows.items()}

    def run(
        self, *marts: str, time_zone: str = "UTC", currency: str = "USD", seeds: Seeds = SEEDS
    ) -> Reference:
        """The reference's marts."""
        return warehouse(
            self.landing(), time_zone=time_zone, currency=currency, seeds=seeds, marts=set(marts) or None
        )

    def mart(self, name: str, **settings: Any) -> list[dict[str, Any]]:
        """The rows of one mart."""
        return self.run(name, **settings).marts[name].to_dicts()

    def day(self, name: str, day: str, **settings: Any) -> dict[str, Any]:
        """The only row of a mart for ``MM-DD``."""
        [row] = [row for row in self.mart(name, **settings) if row["dt"] == date.fromisoformat(f"2025-{day}")]
        return row


def pick(rows: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
    """The only row with these values; ``MM-DD`` texts stand for dates."""
    [found] = [row for row in rows if all(same_day(row[name], value) for name, value in values.items())]
    return found


def same_day(value: Any, wanted: Any) -> bool:
    """Equal, or the date that ``MM-DD`` stands for."""
    return bool(value == (date.fromisoformat(f"2025-{wanted}") if isinstance(value, date) else wanted))
