"""Orders as of the last complete day: lines, refunds, money, session, buyer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .sessions import HALF_AN_HOUR, Event, Session
from .values import ZERO, Row, money, split, total
from .versions import History, newest, newest_whole

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from .days import Clock
    from .rates import Rates

UNKNOWN = "unknown"
UNATTRIBUTED = "unattributed"


@dataclass(slots=True, eq=False)
class Line:
    """One line of an order, in reporting currency.

    The line without a number stands for what belongs to the order but to none of its lines.
    """

    order: Order
    line_number: int | None
    product_id: str
    quantity: int
    amount: Decimal
    discount: Decimal
    unit_cost: Fraction | None
    product: Row

    @property
    def cost(self) -> Decimal | None:
        """Quantity times unit cost; None where no cost is known."""
        return self.cost_of(self.quantity)

    def cost_of(self, quantity: int) -> Decimal | None:
        """What so many pieces cost."""
        return None if self.unit_cost is None else money(quantity * self.unit_cost)

    def member(self, column: str) -> str:
        """An attribute of its product on the order's day."""
        value: str | None = self.product.get(column)
        return value or UNKNOWN


@dataclass(slots=True, eq=False)
class RefundPart:
    """What of a refund falls on one line."""

    line: Line
    amount: Decimal
    returned_cost: Decimal


@dataclass(slots=True, eq=False)
class Refund:
    """One refund that was made by ``as_of``, of an order that exists."""

    refund_id: str
    order: Order
    day: date
    is_return: bool
    parts: list[RefundPart]

    @property
    def amount(self) -> Decimal:
        return total(part.amount for part in self.parts)

    @property
    def returned_cost(self) -> Decimal:
        return total(part.returned_cost for part in self.parts)


@dataclass(slots=True, eq=False)
class Order:
    """One order that was placed by ``as_of``; what happened to it later than that is not there."""

    row: Row
    placed_day: date
    paid_at: datetime | None
    paid_day: date | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    delivered_day: date | None
    is_cancelled: bool
    rate: Fraction
    member_tier: str
    lines: list[Line] = field(default_factory=list)
    #: What has no line in the order; no line of its own.
    rest: Line | None = None
    refunds: list[Refund] = field(default_factory=list)
    session: Session | None = None
    buyer: str = ""
    is_suspicious: bool = False

    @property
    def order_id(self) -> str:
        order_id: str = self.row["order_id"]
        return order_id

    @property
    def ordered_at(self) -> datetime:
        ordered_at: datetime = self.row["ordered_at"]
        return ordered_at

    @property
    def customer_id(self) -> str | None:
        return self.text("customer_id")

    def text(self, column: str) -> str | None:
        """An optional text column."""
        value: str | None = self.row.get(column)
        return value

    @property
    def parts(self) -> list[Line]:
        """Its lines, and what belongs to none of them."""
        return self.lines + ([self.rest] if self.rest else [])

    @property
    def amount(self) -> Decimal:
        return total(line.amount for line in self.lines)

    @property
    def discount(self) -> Decimal:
        return total(part.discount for part in self.parts)

    @property
    def cost(self) -> Decimal:
        return total(line.cost or ZERO for line in self.lines)

    @property
    def margin(self) -> Decimal:
        """The order's own: amount − discounts − cost."""
        return self.amount - self.discount - self.cost

    @property
    def units(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def channel(self) -> str:
        return self.session.channel if self.session else UNATTRIBUTED

    @property
    def campaign_id(self) -> str:
        return self.session.campaign_id if self.session else ""

    @property
    def device(self) -> str:
        return self.text("device") or (self.session.device if self.session else UNKNOWN)

    def no_line(self) -> Line:
        """The stand-in for what has no line in the order."""
        if self.rest is None:
            self.rest = Line(self, None, UNKNOWN, 0, ZERO, ZERO, None, {})
        return self.rest


@dataclass(frozen=True)
class Shop:
    """What orders are read with."""

    as_of: date
    clock: Clock
    rates: Rates
    products: History
    customers: History


def read_orders(rows: list[Row], items: list[Row], refunds: list[Row], shop: Shop) -> list[Order]:
    """All orders placed by ``as_of``, sorted by time and id, with their lines and refunds."""
    orders: dict[str, Order] = {}
    for row in newest(rows, "order_id"):
        if shop.clock.day(row["ordered_at"]) <= shop.as_of:
            orders[row["order_id"]] = read_order(row, shop)
    for row in newest_whole(items, ("order_id",), "line_number"):
        if row["order_id"] in orders:
            add_line(orders[row["order_id"]], row, shop)
    for order in orders.values():
        order.lines.sort(key=lambda line: line.line_number or 0)
        split_discount(order)
    for row in newest(refunds, "refund_id"):
        if row["order_id"] in orders and shop.clock.day(row["refunded_at"]) <= shop.as_of:
            add_refund(orders[row["order_id"]], row, shop)
    return sorted(orders.values(), key=lambda order: (order.ordered_at, order.order_id))


def read_order(row: Row, shop: Shop) -> Order:
    """One order without lines: what is dated after ``as_of`` has not happened."""

    def happened(column: str) -> datetime | None:
        at: datetime | None = row.get(column)
        return at if at and shop.clock.day(at) <= shop.as_of else None

    placed_day = shop.clock.day(row["ordered_at"])
    paid_at, delivered_at = happened("paid_at"), happened("delivered_at")
    is_cancelled = bool(happened("cancelled_at")) or (
        row["status"] == "cancelled" and row.get("cancelled_at") is None
    )
    return Order(
        row=row,
        placed_day=placed_day,
        paid_at=paid_at,
        paid_day=shop.clock.day(paid_at) if paid_at else None,
        shipped_at=happened("shipped_at"),
        delivered_at=delivered_at,
        delivered_day=shop.clock.day(delivered_at) if delivered_at else None,
        is_cancelled=is_cancelled,
        rate=shop.rates.on(placed_day, row["currency"]),
        member_tier=shop.customers.at(row.get("customer_id"), placed_day).get("member_tier") or UNKNOWN,
    )


def add_line(order: Order, row: Row, shop: Shop) -> None:
    """Convert a line. Its own unit cost is in the order's currency, the product's in the reporting one."""
    product = shop.products.at(row["product_id"], order.placed_day)
    unit_cost: Fraction | None = None
    if row.get("unit_cost") is not None:
        unit_cost = Fraction(row["unit_cost"]) * order.rate
    elif product.get("unit_cost") is not None:
        unit_cost = Fraction(product["unit_cost"])
    order.lines.append(
        Line(
            order=order,
            line_number=row["line_number"],
            product_id=row["product_id"],
            quantity=row["quantity"],
            amount=money(row["quantity"] * Fraction(row["unit_price"]) * order.rate),
            discount=money(Fraction(row.get("discount_amount") or 0) * order.rate),
            unit_cost=unit_cost,
            product=product,
        )
    )


def split_discount(order: Order) -> None:
    """Add the order's discount, converted, to its lines (sorted by number) by their amounts."""
    discount = money(Fraction(order.row.get("discount_amount") or 0) * order.rate)
    if not discount:
        return
    if not order.lines:
        order.no_line().discount += discount
        return
    for line, share in zip(order.lines, split(discount, [line.amount for line in order.lines]), strict=True):
        line.discount += share


def add_refund(order: Order, row: Row, shop: Shop) -> None:
    """Convert a refund and give it to its line, or split it over all lines where it names none."""
    amount = money(Fraction(row["amount"]) * order.rate)
    is_return = row.get("kind") == "return"

    def part(line: Line, amount: Decimal, quantity: int) -> RefundPart:
        counts = is_return and order.paid_at is not None
        return RefundPart(line, amount, (line.cost_of(quantity) or ZERO) if counts else ZERO)

    number: Any = row.get("line_number")
    if number is None and order.lines:
        shares = split(amount, [line.amount for line in order.lines])
        parts = [part(line, share, line.quantity) for line, share in zip(order.lines, shares, strict=True)]
    else:
        line = next((line for line in order.lines if line.line_number == number), None)
        quantity = row.get("quantity")
        if line:
            parts = [part(line, amount, line.quantity if quantity is None else quantity)]
        else:
            parts = [part(order.no_line(), amount, 0)]
    order.refunds.append(
        Refund(row["refund_id"], order, shop.clock.day(row["refunded_at"]), is_return, parts)
    )


def find_sessions(orders: list[Order], sessions: list[Session], events: list[Event]) -> None:
    """Give each order its session; ``sessions`` and ``events`` are in order, bots included."""
    by_key = {(s.visitor_id, s.session_id): s for s in sessions if s.session_id}
    by_id: dict[str, list[Session]] = defaultdict(list)
    by_owner: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        if session.session_id:
            by_id[session.session_id].append(session)
        by_owner[session.user_id].append(session)
        by_owner[f"visitor {session.visitor_id}"].append(session)
    purchases: dict[str, Session] = {}
    for event in events:
        if event.kind == "purchase" and event.session and (order_id := event.text("order_id")):
            purchases.setdefault(order_id, event.session)

    def latest(candidates: list[Session], order: Order) -> Session | None:
        begun = [session for session in candidates if session.start <= order.ordered_at]
        return max(begun, key=lambda session: session.order_key, default=None)

    for order in orders:
        session_id, visitor_id = order.text("session_id"), order.text("visitor_id")
        if session_id and visitor_id:
            order.session = by_key.get((visitor_id, session_id))
        elif session_id:
            order.session = latest(by_id[session_id], order)
        if order.session is None:
            order.session = purchases.get(order.order_id)
        if order.session is None:
            theirs = by_owner[f"c:{order.customer_id}"] if order.customer_id else []
            theirs = theirs + (by_owner[f"visitor {visitor_id}"] if visitor_id else [])
            recent = [session for session in theirs if order.ordered_at - session.end <= HALF_AN_HOUR]
            order.session = latest(recent, order)


def name_buyers(orders: list[Order], visitors: dict[str, str]) -> None:
    """The customer; of a guest the user of the session, else of the visitor, else the order itself."""
    for order in orders:
        visitor_id = order.text("visitor_id")
        if order.customer_id:
            order.buyer = f"c:{order.customer_id}"
        elif order.session:
            order.buyer = order.session.user_id
        elif visitor_id:
            order.buyer = visitors.get(visitor_id, f"v:{visitor_id}")
        else:
            order.buyer = f"o:{order.order_id}"
