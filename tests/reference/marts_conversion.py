"""How visits become orders: ``funnel_daily``, ``conversion_paths``, ``slot_performance``."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime
from typing import TYPE_CHECKING

from .values import ZERO, Row, rate, total

if TYPE_CHECKING:
    from decimal import Decimal

    from .facts import Facts
    from .sessions import Event, Session

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


def path_of(session: Session, facts: Facts) -> str:
    """The name of the way to the first product page: pages of five types, runs of one type made one."""
    pages: list[str] = []
    for event in session.events:
        page = event.text("page_type")
        if event.kind != "page_view" or page not in PATH_PAGES:
            continue
        if pages[-1:] != [page]:
            pages.append(page)
        if page == "detail":
            path = ">".join(pages)
            return path if path in facts.seeds.named_paths else "other"
    return "no_detail"


def conversion_paths(facts: Facts) -> list[Row]:
    """One row per day and path with a session."""
    sessions: dict[tuple[date, str], list[Session]] = defaultdict(list)
    for session in facts.people_sessions:
        sessions[session.day, path_of(session, facts)].append(session)
    rows: list[Row] = []
    for (day, path), held in sessions.items():
        orders = [o for session in held for o in facts.orders_of_session(session) if o.paid_at]
        rows.append(
            {
                "dt": day,
                "path": path,
                "sessions": len(held),
                "orders": len(orders),
                "conversion_rate": rate(len(orders), len(held)),
                "gmv": total(order.amount for order in orders),
            }
        )
    return rows


def slot_performance(facts: Facts) -> list[Row]:
    """One row per day, hour and slot with an impression or a click."""
    Slot = tuple[date, int, str, str]

    def slot_of(event: Event) -> Slot:
        page_type = event.text("page_type") or "unknown"
        return (event.day, facts.clock.hour(event.at), page_type, event.text("slot_id") or "")

    counts: dict[Slot, Counter[str]] = defaultdict(Counter)
    for event in facts.people_events:
        if event.text("slot_id") and event.kind in {"impression", "click"}:
            counts[slot_of(event)][event.kind] += 1
    orders: dict[Slot, set[str]] = defaultdict(set)
    gmv: dict[Slot, Decimal] = defaultdict(lambda: ZERO)
    for order in facts.paid_orders:
        seen = order.session.events if order.session else []
        clicks = [
            event
            for event in seen
            if event.kind == "click"
            and event.text("slot_id")
            and event.at <= order.ordered_at
            and not event.is_bot
        ]
        for line in order.lines:
            on_product = [event for event in clicks if event.text("product_id") == line.product_id]
            if on_product:
                slot = slot_of(on_product[-1])
                orders[slot].add(order.order_id)
                gmv[slot] += line.amount
    return [
        {
            "dt": slot[0],
            "hour": slot[1],
            "page_type": slot[2],
            "slot_id": slot[3],
            "impressions": count["impression"],
            "clicks": count["click"],
            "click_rate": rate(count["click"], count["impression"]),
            "orders": len(orders[slot]),
            "gmv": gmv[slot],
        }
        for slot, count in counts.items()
    ]
