"""How visits become orders: ``funnel_daily``, ``conversion_paths``, ``slot_performance``."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime
from decimal import Decimal

from .facts import Facts
from .sessions import Event, Session
from .values import ZERO, Row, rate, total

STEPS = ("visited", "viewed", "carted", "checked_out", "paid")
PATH_PAGES = ("home", "list", "search", "activity", "detail")


def is_checkout(event: Event) -> bool:
    """A ``checkout`` event or page."""
    return event.kind == "checkout" or event.is_view_of("checkout")


def first_from(times: list[datetime], earliest: datetime | None) -> datetime | None:
    """The first of ``times`` at or after ``earliest``; None where one of them is missing."""
    return min((at for at in times if earliest is not None and at >= earliest), default=None)


def steps_of(session: Session, facts: Facts) -> dict[str, int]:
    """1 for each step that the session reached, strictly and in any order, 0 for the others."""
    views = [event.at for event in session.events if event.is_view_of("detail")]
    carts = [event.at for event in session.events if event.kind == "add_to_cart"]
    checkouts = [event.at for event in session.events if is_checkout(event)]
    orders = facts.orders_of_session(session)
    any_paid = any(order.paid_at for order in orders)
    viewed = min(views, default=None)
    carted = first_from(carts, viewed)
    checked_out = first_from(checkouts, carted)
    reached = {
        "visited": True,
        "viewed": viewed is not None,
        "carted": carted is not None,
        "checked_out": checked_out is not None,
        "paid": checked_out is not None and any_paid,
        "any_viewed": bool(views),
        "any_carted": bool(carts),
        "any_checked_out": bool(checkouts),
        "any_paid": any_paid,
        "abandoned_carts": bool(carts) and not orders,
    }
    return {step: int(is_reached) for step, is_reached in reached.items()}


def cart_value(session: Session, facts: Facts) -> Decimal:
    """The list price on the session's day of each product carted in it, once."""
    carted = {event.text("product_id") for event in session.events if event.kind == "add_to_cart"}
    prices = (facts.products.at(product, session.day).get("list_price") for product in carted)
    return total(price for price in prices if price is not None)


def funnel_daily(facts: Facts) -> list[Row]:
    """One row per day, channel and device with a session."""
    counts: dict[tuple[date, str, str], Counter[str]] = defaultdict(Counter)
    values: dict[tuple[date, str, str], Decimal] = defaultdict(lambda: ZERO)
    for session in facts.people_sessions:
        key = (session.day, session.channel, session.device)
        steps = steps_of(session, facts)
        for step, reached in steps.items():
            counts[key][step] += reached
        if steps["abandoned_carts"]:
            values[key] += cart_value(session, facts)
    return [
        {
            "dt": day,
            "channel": channel,
            "device": device,
            **count,
            "abandoned_value": values[day, channel, device],
            "view_rate": rate(count["viewed"], count["visited"]),
            "cart_rate": rate(count["carted"], count["viewed"]),
            "checkout_rate": rate(count["checked_out"], count["carted"]),
            "payment_rate": rate(count["paid"], count["checked_out"]),
            "overall_rate": rate(count["paid"], count["visited"]),
        }
        for (day, channel, device), count in counts.items()
    ]
