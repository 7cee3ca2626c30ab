"""Orders that look like nobody's."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .orders import Order
    from .seeds import Seeds
    from .values import Row


def flag_suspicious(orders: list[Order], merchants: Mapping[str, Row], seeds: Seeds) -> None:
    """Set ``is_suspicious`` where one of the rules that are on holds."""
    rules = {name: rule for name, rule in seeds.suspicious.items() if rule.is_enabled}
    if "untracked" in rules:
        flag_untracked(orders, seeds, rules["untracked"].at_least)
    if "burst" in rules:
        flag_bursts(orders, rules["burst"].at_least, timedelta(minutes=rules["burst"].within_minutes))
    if "own_shop" in rules:
        flag_own_shop(orders, merchants)


def flag_untracked(orders: list[Order], seeds: Seeds, at_least: int) -> None:
    """Rule 1: no session where one was to be expected, of a customer whose other orders have one."""
    with_session: dict[str, int] = defaultdict(int)
    for order in orders:
        if order.customer_id and order.session:
            with_session[order.customer_id] += 1
    for order in orders:
        sales_channel = order.text("sales_channel")
        is_tracked = not sales_channel or sales_channel in seeds.tracked_sales_channels
        if order.customer_id and order.session is None and is_tracked:
            order.is_suspicious |= with_session[order.customer_id] >= at_least


def flag_bursts(orders: list[Order], at_least: int, within: timedelta) -> None:
    """Rule 2: so many paid orders of one customer and product within any 60 minutes, both ends in."""
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
                if order.paid_at and first.paid_at <= order.paid_at <= first.paid_at + within
            ]
            if len(burst) >= at_least:
                for order in burst:
                    order.is_suspicious = True


def flag_own_shop(orders: list[Order], merchants: Mapping[str, Row]) -> None:
    """Rule 3: the buyer owns the merchant of something in the order."""
    for order in orders:
        merchant_ids = {line.member("merchant_id") for line in order.lines}
        owners = {merchants.get(merchant_id, {}).get("owner_customer_id") for merchant_id in merchant_ids}
        order.is_suspicious |= order.buyer in {f"c:{owner}" for owner in owners if owner}
