"""Who gets the credit for an order: touches and the six models."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from .days import month_of
from .facts import Facts, paid_day
from .values import ZERO, money, total

if TYPE_CHECKING:
    from .orders import Order
    from .sessions import Session

LOOK_BACK = timedelta(days=30)
HALF_LIFE = timedelta(days=7)
MODELS = ("first_touch", "last_touch", "linear", "position_based", "time_decay", "markov")
START, CONVERSION, NULL = "(start)", "(conversion)", "(null)"


@dataclass(frozen=True)
class Attribution:
    """A paid order, the sessions that led to it, and the credit of each, per model (adds up to 1)."""

    order: Order
    touches: list[Session]
    credits: dict[str, list[Fraction]]


def without_direct(sessions: list[Session]) -> list[Session]:
    """``direct`` ones only where there is nothing else."""
    return [session for session in sessions if session.channel != "direct"] or sessions


def touches_of(order: Order, theirs: list[Session]) -> list[Session]:
    """The buyer's sessions of the 30 days up to the order, and the order's own, in order."""
    touches = [s for s in theirs if order.ordered_at - LOOK_BACK <= s.start <= order.ordered_at]
    if order.session and order.session not in touches:
        touches.append(order.session)
    return without_direct(sorted(touches, key=lambda session: session.order_key))


def normed(weights: list[Fraction]) -> list[Fraction]:
    """Weights as shares of 1; equal shares where all are 0."""
    whole = sum(weights, Fraction(0))
    return [weight / whole if whole else Fraction(1, len(weights)) for weight in weights]


def position_based(number: int) -> list[Fraction]:
    """40 % to the first and the last touch, 20 % over those between; two touches halve it."""
    if number <= 2:
        return normed([Fraction(1)] * number)
    middle = Fraction(20, 100) / (number - 2)
    return [Fraction(40, 100), *[middle] * (number - 2), Fraction(40, 100)]


def decay(age: timedelta) -> Fraction:
    """Half for every 7 days of age."""
    with localcontext(prec=40):
        lives = Decimal(age // timedelta(microseconds=1)) / Decimal(HALF_LIFE // timedelta(microseconds=1))
        return Fraction(Decimal(2) ** -lives)


def solve(chances: dict[str, dict[str, Fraction]], gone: str | None = None) -> Fraction:
    """The chance to get from start to conversion; whoever comes to ``gone`` is lost.

    Solves x = Qx + r by Gaussian elimination in exact fractions.
    """
    states = [state for state in chances if state != gone]
    matrix = {
        state: {
            other: Fraction(int(state == other)) - chances[state].get(other, Fraction(0)) for other in states
        }
        for state in states
    }
    right = {state: chances[state].get(CONVERSION, Fraction(0)) for state in states}
    for number, pivot in enumerate(states):
        row = next(state for state in states[number:] if matrix[state][pivot])
        matrix[pivot], matrix[row] = matrix[row], matrix[pivot]
        right[pivot], right[row] = right[row], right[pivot]
        for state in states:
            factor = matrix[state][pivot] / matrix[pivot][pivot]
            if state != pivot and factor:
                matrix[state] = {o: value - factor * matrix[pivot][o] for o, value in matrix[state].items()}
                right[state] -= factor * right[pivot]
    return right[START] / matrix[START][START]


def removal_effects(converted: list[list[str]], lost: list[list[str]]) -> dict[str, Fraction]:
    """channel -> 1 − (chance of conversion without it) ÷ (chance as it is)."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for paths, end in ((converted, CONVERSION), (lost, NULL)):
        for path in paths:
            steps = [START, *path, end]
            for here, there in pairwise(steps):
                counts[here][there] += 1
    chances = {
        here: {there: Fraction(number, sum(ways.values())) for there, number in ways.items()}
        for here, ways in counts.items()
    }
    if not converted:
        return {}
    whole = solve(chances)
    return {channel: 1 - solve(chances, channel) / whole for channel in chances if channel != START}


def attribute(facts: Facts) -> list[Attribution]:
    """Every paid order with its touches and credits; no touch, no credits."""
    sessions_of: dict[str, list[Session]] = defaultdict(list)
    for session in facts.people_sessions:
        sessions_of[session.user_id].append(session)
    touches = {order.order_id: touches_of(order, sessions_of[order.buyer]) for order in facts.paid_orders}
    effects: dict[date, dict[str, Fraction]] = {}
    for month in {month_of(paid_day(order)) for order in facts.paid_orders}:
        paid = [order for order in facts.paid_orders if month_of(paid_day(order)) == month]
        buyers = {order.buyer for order in paid}
        converted = [
            [s.channel for s in touches[order.order_id]] for order in paid if touches[order.order_id]
        ]
        lost = []
        for user_id, theirs in sessions_of.items():
            in_month = [session for session in theirs if month_of(session.day) == month]
            if user_id not in buyers and in_month:
                lost.append([session.channel for session in without_direct(in_month)])
        effects[month] = removal_effects(converted, lost)
    return [
        Attribution(
            order,
            touches[order.order_id],
            credits_of(order, touches[order.order_id], effects[month_of(paid_day(order))]),
        )
        for order in facts.paid_orders
    ]


def credits_of(
    order: Order, touches: list[Session], effects: dict[str, Fraction]
) -> dict[str, list[Fraction]]:
    """model -> share of each touch."""
    number = len(touches)
    if not number:
        return {model: [] for model in MODELS}
    one, zero = Fraction(1), Fraction(0)
    return {
        "first_touch": [one, *[zero] * (number - 1)],
        "last_touch": [*[zero] * (number - 1), one],
        "linear": normed([one] * number),
        "position_based": position_based(number),
        "time_decay": normed([decay(order.ordered_at - session.start) for session in touches]),
        "markov": normed([effects[session.channel] for session in touches]),
    }


def spread(amount: Decimal, shares: list[Fraction]) -> list[Decimal]:
    """``amount`` by shares, each rounded; the last credited touch takes the rest."""
    parts = [money(Fraction(amount) * share) for share in shares]
    last = max(number for number, share in enumerate(shares) if share)
    parts[last] = ZERO
    parts[last] = amount - total(parts)
    return parts
