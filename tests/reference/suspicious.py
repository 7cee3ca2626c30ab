"""Orders that look like nobody's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from .orders import Order
from .seeds import Seeds
from .values import Row

OTHER_ORDERS_WITH_SESSION = 3
MOST_ORDERS_PER_HOUR = 5
HOUR = timedelta(minutes=60)


def flag_suspicious(orders: list[Order], merchants: Mapping[str, Row], seeds: Seeds) -> None:
    """Set ``is_suspicious`` where one of the three rules holds."""
    flag_untracked(orders, seeds)
    flag_bursts(orders)
    for order in orders:
        owners = {
            merchants.get(line.member("merchant_id"), {}).get("owner_customer_id") for line in order.lines
        }
        if order.buyer in {f"c:{owner}" for owner in owners if owner}:
            order.is_suspicious = True


def flag_untracked(orders: list[Order], seeds: Seeds) -> None:
    """Rule 1: no session where one was to be expected, of a customer whose other orders have one."""
    with_session: dict[str, int] = defaultdict(int)
    for order in orders:
        if order.customer_id and order.session:
            with_session[order.customer_id] += 1
    for order in orders:
        sales_channel = order.text("sales_channel")
        is_tracked = not sales_channel or sales_channel in seeds.tracked_sales_channels
        if order.customer_id and order.session is None and is_tracked:
            order.is_suspicious |= with_session[order.customer_id] >= OTHER_ORDERS_WITH_SESSION


def flag_bursts(orders: list[Order]) -> None:
    """Rule 2: more than 5 paid orders of one customer and product within any 60 minutes."""
    paid: dict[tuple[str, str], list[Order]] = defaultdict(list)
    for order in orders:
        if order.customer_id and order.paid_at:
            for product_id in {line.product_id for line in order.lines}:
                paid[order.customer_id, product_id].append(order)
    for group in paid.values():
        for first in group:
            assert first.paid_at
            burst = [
                order
                for order in group
                if order.paid_at and timedelta() <= order.paid_at - first.paid_at <= HOUR
            ]
            if len(burst) > MOST_ORDERS_PER_HOUR:
                for order in burst:
                    order.is_suspicious = True
