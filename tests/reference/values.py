"""Exact arithmetic: money in ten-thousandths, rates from unrounded factors, quantiles without floats."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: One row of a table, as a dictionary of its columns.
Row = dict[str, Any]
#: What can be divided exactly.
Number = int | Decimal | Fraction

ZERO = Decimal("0.0000")


def money(value: Number) -> Decimal:
    """``value`` rounded half away from zero to 4 places."""
    scaled = abs(Fraction(value)) * 10_000
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if 2 * rest >= scaled.denominator:
        whole += 1
    return Decimal(whole if value >= 0 else -whole).scaleb(-4)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of amounts of money; 0.0000 for none."""
    return sum(amounts, ZERO)


def split(whole: Decimal, weights: Sequence[Number]) -> list[Decimal]:
    """``whole`` over ``weights``: each share rounded, the last takes the remainder.

    With weights that add up to 0 all of it goes to the last.
    """
    base = sum((Fraction(weight) for weight in weights), Fraction(0))
    shares = [money(Fraction(whole) * Fraction(weight) / base) if base else ZERO for weight in weights[:-1]]
    return [*shares, whole - total(shares)]


def rate(numerator: Number | None, denominator: Number | None) -> float | None:
    """``numerator / denominator``; None where either is missing or the denominator is 0."""
    if numerator is None or not denominator:
        return None
    return float(Fraction(numerator) / Fraction(denominator))


def change(now: Number | None, before: Number | None) -> float | None:
    """The relative change from ``before`` to ``now``; None where there is no ``before``."""
    if now is None or not before:
        return None
    return float(Fraction(now) / Fraction(before) - 1)


def quantile(values: Iterable[Number], share: Fraction) -> Fraction | None:
    """``quantile_cont``: the value at ``share`` of the way through the sorted values, interpolated."""
    ordered = sorted(Fraction(value) for value in values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median(values: Iterable[Number]) -> Fraction | None:
    """The middle value, or the mean of the two middle ones."""
    return quantile(values, Fraction(1, 2))


def mean(values: Sequence[Number]) -> Fraction | None:
    """The arithmetic mean; None of nothing."""
    return sum((Fraction(value) for value in values), Fraction(0)) / len(values) if values else None


def as_float(value: Number | None) -> float | None:
    """The nearest double."""
    return None if value is None else float(value)
