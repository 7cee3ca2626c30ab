"""What trials showed: ``experiment_results``."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING

from .values import Row, change, rate

if TYPE_CHECKING:
    from .facts import Facts
    from .sessions import Event

SIGNIFICANT = 0.05
BROKEN_SPLIT = 0.001
CONTROL = "control"
Z_95 = NormalDist().inv_cdf(0.975)


def chi_squared_p(statistic: float, degrees: int) -> float:
    """The chance of a chi-squared value at least as large (closed forms for whole degrees of freedom).

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if degrees % 2 == 0:
        return math.exp(-half) * math.fsum(half**k / math.factorial(k) for k in range(degrees // 2))
    terms = (half ** (k - 0.5) / math.gamma(k + 0.5) for k in range(1, (degrees + 1) // 2))
    return math.erfc(math.sqrt(half)) + math.exp(-half) * math.fsum(terms)


def two_proportions(buyers: int, users: int, control_buyers: int, control_users: int) -> float | None:
    """The two-sided p value of the pooled z test; None where nobody or everybody bought."""
    pooled = (buyers + control_buyers) / (users + control_users)
    error = math.sqrt(pooled * (1 - pooled) * (1 / users + 1 / control_users))
    if error == 0:
        return None
    z = (buyers / users - control_buyers / control_users) / error
    return math.erfc(abs(z) / math.sqrt(2))


def split_p_value(users: dict[str, int], shares: dict[str, float] | None) -> float | None:
    """Whether the users are split as expected: equally, unless shares per variant are given."""
    if len(users) < 2:
        return None
    weights = {variant: 1.0 if shares is None else shares.get(variant, 0.0) for variant in users}
    everybody, whole = sum(users.values()), sum(weights.values())
    expected = {variant: everybody * weight / whole for variant, weight in weights.items()}
    if not all(expected.values()):
        return None
    statistic = math.fsum((users[v] - expected[v]) ** 2 / expected[v] for v in users)
    return chi_squared_p(statistic, len(users) - 1)


def first_variants(facts: Facts) -> dict[str, dict[str, Event]]:
    """experiment_id -> user_id -> the first event of theirs that names a variant of it."""
    found: dict[str, dict[str, Event]] = defaultdict(dict)
    for event in facts.people_events:
        experiment_id = event.text("experiment_id")
        if experiment_id and event.text("variant"):
            found[experiment_id].setdefault(event.user_id, event)
    return found


def experiment_results(facts: Facts) -> list[Row]:
    """One row per experiment and variant with a user."""
    rows: list[Row] = []
    for experiment_id, assigned in first_variants(facts).items():
        users = Counter(event.text("variant") or "" for event in assigned.values())
        buyers = Counter(
            event.text("variant") or ""
            for user_id, event in assigned.items()
            if any(order.ordered_at >= event.at for order in facts.orders_of.get(user_id, []))
        )
        control = CONTROL if CONTROL in users else min(users)
        given = facts.seeds.expected_split.get(experiment_id)
        srm = split_p_value(dict(users), dict(given) if given else None)
        for variant in users:
            row: Row = {
                "experiment_id": experiment_id,
                "variant": variant,
                "verdict": CONTROL,
                "users": users[variant],
                "buyers": buyers[variant],
                "conversion_rate": rate(buyers[variant], users[variant]),
                "lift": None,
                "p_value": None,
                "confidence_low": None,
                "confidence_high": None,
                "srm_p_value": srm,
            }
            if variant != control:
                row |= against(users[variant], buyers[variant], users[control], buyers[control])
                if srm is not None and srm < BROKEN_SPLIT:
                    row["verdict"] = "invalid_split"
            rows.append(row)
    return rows


def against(users: int, buyers: int, control_users: int, control_buyers: int) -> Row:
    """A variant against the control."""
    one, other = buyers / users, control_buyers / control_users
    p_value = two_proportions(buyers, users, control_buyers, control_users)
    error = math.sqrt(one * (1 - one) / users + other * (1 - other) / control_users)
    verdict = "inconclusive"
    if p_value is not None and p_value < SIGNIFICANT:
        verdict = "better" if one > other else "worse"
    return {
        "verdict": verdict,
        "lift": change(rate_of(buyers, users), rate_of(control_buyers, control_users)),
        "p_value": p_value,
        "confidence_low": one - other - Z_95 * error,
        "confidence_high": one - other + Z_95 * error,
    }


def rate_of(buyers: int, users: int) -> Fraction:
    """The exact rate."""
    return Fraction(buyers, users)
