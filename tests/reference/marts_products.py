"""What is shown and sold: ``product_performance``, ``category_roles``, ``product_selection``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from .days import each_day, shift
from .marts_sales import Sales
from .orders import UNKNOWN, Order
from .values import Number, Row, as_float, mean, median, quantile, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    from .facts import Facts

STOCK_DAYS = 28
LAST_DAYS = 30
UPPER_QUARTILE = Fraction(3, 4)


@dataclass
class Product:
    """What happened to a product (or a category) on a day, or over several days."""

    sales: Sales = field(default_factory=Sales)
    impressions: int = 0
    detail_views: int = 0
    carts: int = 0
    viewers: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    refunded: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)

    def add(self, other: Product) -> None:
        """Take in another day or product."""
        for name in vars(self.sales):
            setattr(self.sales, name, getattr(self.sales, name) + getattr(other.sales, name))
        self.impressions += other.impressions
        self.detail_views += other.detail_views
        self.carts += other.carts
        self.viewers |= other.viewers
        self.orders |= other.orders
        self.refunded |= other.refunded
        self.returned |= other.returned

    @property
    def buyers(self) -> int:
        return len({order.buyer for order in self.orders.values()})

    @property
    def conversion_rate(self) -> float | None:
        return rate(self.buyers, len(self.viewers))

    @property
    def margin_rate(self) -> float | None:
        return rate(self.sales.gross_margin, self.sales.gmv)

    @property
    def return_rate(self) -> float | None:
        return rate(len(self.returned), len(self.orders))


def product_days(facts: Facts) -> dict[tuple[date, str], Product]:
    """(day, product_id) -> figures, where it was shown, viewed, carted, paid for or refunded."""
    found: dict[tuple[date, str], Product] = defaultdict(Product)
    for event in facts.people_events:
        product_id = event.text("product_id")
        if product_id is None:
            continue
        if event.kind == "impression":
            found[event.day, product_id].impressions += 1
        elif event.is_view_of("detail"):
            found[event.day, product_id].detail_views += 1
            found[event.day, product_id].viewers.add(event.user_id)
        elif event.kind == "add_to_cart":
            found[event.day, product_id].carts += 1
    for order in facts.paid_orders:
        assert order.paid_day
        for line in order.lines:
            product = found[order.paid_day, line.product_id]
            product.sales.add_paid(line)
            product.orders[order.order_id] = order
        for refund in order.refunds:
            for part in refund.parts:
                if part.line.line_number is not None:
                    product = found[order.paid_day, part.line.product_id]
                    product.refunded.add(order.order_id)
                    product.returned.update([order.order_id] if refund.is_return else [])
        if order.rest and order.rest.discount:
            found[order.paid_day, UNKNOWN].sales.add_paid(order.rest)
    for refund in facts.refunds:
        for part in refund.parts:
            found[refund.day, part.line.product_id].sales.add_refund(part.amount, part.returned_cost)
    return found


def product_performance(facts: Facts) -> list[Row]:
    """One row per day and product with anything happening."""
    found = product_days(facts)
    on_hand = {(row["snapshot_date"], row["product_id"]): row["on_hand"] for row in facts.inventory}
    reviews: dict[str, list[Row]] = defaultdict(list)
    for review in facts.reviews:
        reviews[review["product_id"]].append(review)
    rows: list[Row] = []
    for (day, product_id), product in found.items():
        past = each_day(shift(day, 1 - STOCK_DAYS), day)
        sold = sum(
            found[past_day, product_id].sales.units for past_day in past if (past_day, product_id) in found
        )
        ratings = [r["rating"] for r in reviews[product_id] if facts.clock.day(r["reviewed_at"]) <= day]
        stock = on_hand.get((day, product_id))
        rows.append(
            {
                "dt": day,
                "product_id": product_id,
                "impressions": product.impressions,
                "detail_views": product.detail_views,
                "viewers": len(product.viewers),
                "carts": product.carts,
                "buyers": product.buyers,
                "orders": len(product.orders),
                "units": product.sales.units,
                "on_hand": stock,
                "gmv": product.sales.gmv,
                "gross_margin": product.sales.gross_margin,
                "margin_rate": product.margin_rate,
                "conversion_rate": product.conversion_rate,
                "refund_rate": rate(len(product.refunded), len(product.orders)),
                "return_rate": product.return_rate,
                "rating": as_float(mean(ratings)),
                "days_of_stock": rate(stock, Fraction(sold, STOCK_DAYS)),
            }
        )
    return rows


def last_days(facts: Facts, group_of: Callable[[str], tuple[str, ...]]) -> dict[tuple[str, ...], Product]:
    """The figures of the last 30 days of each group of products."""
    groups: dict[tuple[str, ...], Product] = defaultdict(Product)
    for (day, product_id), product in product_days(facts).items():
        if shift(facts.as_of, 1 - LAST_DAYS) <= day <= facts.as_of:
            groups[group_of(product_id)].add(product)
    return groups


def above(value: Number | float | None, limit: Fraction | None) -> bool:
    """Strictly above; nothing is above what is not known."""
    return value is not None and limit is not None and Fraction(value) > limit


def at_least(value: Number | float | None, limit: Fraction | float | None) -> bool:
    """At or above; nothing is so where one of them is not known."""
    return value is not None and limit is not None and Fraction(value) >= Fraction(limit)


def known(values: Iterable[float | None]) -> list[Fraction]:
    """The values that are not missing."""
    return [Fraction(value) for value in values if value is not None]


def category_roles(facts: Facts) -> list[Row]:
    """One row per category with anything happening in the last 30 days, by today's categories."""

    def category(product_id: str) -> tuple[str, ...]:
        row = facts.products.at(product_id, facts.as_of)
        return (row.get("category_l1") or UNKNOWN, row.get("category_l2") or UNKNOWN)

    groups = last_days(facts, category)
    conversions = known(group.conversion_rate for group in groups.values())
    exposure = median([group.impressions for group in groups.values()])
    margin = quantile(known(group.margin_rate for group in groups.values()), UPPER_QUARTILE)
    rows: list[Row] = []
    for (category_l1, category_l2), group in groups.items():
        is_little_shown = exposure is not None and group.impressions <= exposure
        if is_little_shown and above(group.conversion_rate, quantile(conversions, UPPER_QUARTILE)):
            role = "rising_star"
        elif above(group.margin_rate, margin):
            role = "high_profit"
        elif above(group.conversion_rate, median(conversions)):
            role = "high_conversion"
        else:
            role = "traffic"
        rows.append(
            {
                "as_of": facts.as_of,
                "category_l1": category_l1,
                "category_l2": category_l2,
                "role": role,
                "exposure": group.impressions,
                "units": group.sales.units,
                "conversion_rate": group.conversion_rate,
                "margin_rate": group.margin_rate,
            }
        )
    return rows


def listed_products(facts: Facts) -> dict[str, Row]:
    """product_id -> version of the products that are listed at the end of ``as_of``."""

    def is_listed(row: Row) -> bool:
        listed_at, delisted_at = row.get("listed_at"), row.get("delisted_at")
        return (listed_at is None or facts.clock.day(listed_at) <= facts.as_of) and (
            delisted_at is None or facts.clock.day(delisted_at) > facts.as_of
        )

    return {row["product_id"]: row for row in facts.products.all_at(facts.as_of) if is_listed(row)}


def product_selection(facts: Facts) -> list[Row]:
    """One row per product listed at ``as_of``."""
    listed = listed_products(facts)
    groups = last_days(facts, lambda product_id: (product_id,))
    figures = {product_id: groups.get((product_id,), Product()) for product_id in listed}
    in_category: dict[str, int] = defaultdict(int)
    prices: dict[str, list[Number]] = defaultdict(list)
    for row in listed.values():
        in_category[row.get("category_l2") or UNKNOWN] += 1
        if row.get("list_price") is not None:
            prices[row["category_l1"]].append(row["list_price"])
    competition = {p: in_category[row.get("category_l2") or UNKNOWN] - 1 for p, row in listed.items()}
    demand_limit = quantile([len(figure.viewers) for figure in figures.values()], UPPER_QUARTILE)
    competition_limit = median(competition.values())
    margin_median = median(known(figure.margin_rate for figure in figures.values()))
    units_median = median([figure.sales.units for figure in figures.values()])
    rows: list[Row] = []
    for product_id, figure in figures.items():
        row = listed[product_id]
        price_limit = quantile(prices[row["category_l1"]], UPPER_QUARTILE)
        is_margin_high = at_least(figure.margin_rate, margin_median)
        judged = {
            "is_demand": at_least(len(figure.viewers), demand_limit),
            "is_margin_rate": at_least(figure.margin_rate, facts.seeds.selection_margin_rate),
            "is_competition": not above(competition[product_id], competition_limit),
            "is_return_rate": figure.return_rate is not None
            and figure.return_rate < facts.seeds.selection_return_rate,
        }
        if at_least(row.get("list_price"), price_limit) and is_margin_high:
            role = "image"
        elif (
            figure.margin_rate is not None
            and not is_margin_high
            and at_least(figure.sales.units, units_median)
        ):
            role = "traffic"
        elif is_margin_high:
            role = "profit"
        else:
            role = "none"
        rows.append(
            {
                "as_of": facts.as_of,
                "product_id": product_id,
                "product_role": role,
                "demand": len(figure.viewers),
                "competition": competition[product_id],
                "margin_rate": figure.margin_rate,
                "return_rate": figure.return_rate,
                **judged,
                "passes": all(judged.values()),
            }
        )
    return rows
