"""Differences between two tables, in words."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from .values import Row

RELATIVE = 1e-9
#: Where a difference of two nearly equal figures leaves nothing but rounding.
ABSOLUTE = 1e-12


def same(expected: Any, actual: Any) -> bool:
    """Equal: doubles to 1e-9, all else exactly; missing equals missing."""
    if expected is None or actual is None:
        return expected is actual
    if isinstance(expected, float) or isinstance(actual, float):
        return math.isclose(expected, actual, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    if isinstance(expected, bool) != isinstance(actual, bool):
        return False
    return bool(expected == actual)


def keyed(table: pl.DataFrame, grain: list[str], name: str) -> tuple[dict[tuple[Any, ...], Row], list[str]]:
    """The rows by their grain, and a complaint for each that is there twice."""
    rows: dict[tuple[Any, ...], Row] = {}
    twice: list[str] = []
    for row in table.to_dicts():
        key = tuple(row[column] for column in grain)
        if key in rows:
            twice.append(f"twice in the {name} table: {describe(grain, key)}")
        rows[key] = row
    return rows, twice


def describe(grain: list[str], key: tuple[Any, ...]) -> str:
    """A row's name: its grain."""
    return " ".join(f"{column}={value}" for column, value in zip(grain, key, strict=True))


def plain(value: Any) -> str:
    """A value as a person reads it."""
    return f"{value:f}" if isinstance(value, Decimal) else repr(value)


def compare(expected: pl.DataFrame, actual: pl.DataFrame, grain: list[str]) -> list[str]:
    """One sentence for each missing column, missing row, row too many and cell that differs.

    Decimals, counts, texts, flags and dates must be equal; doubles to 1e-9 of their size. More columns than
    expected are welcome. An empty list: the tables agree.
    """
    missing = [column for column in expected.columns if column not in actual.columns]
    if missing:
        return [f"missing column: {column}" for column in missing]
    found: list[str] = []
    for column, kind in expected.schema.items():
        if actual.schema[column] != kind:
            found.append(f"type of {column}: expected {kind}, found {actual.schema[column]}")
    wanted, twice_expected = keyed(expected, grain, "expected")
    given, twice_actual = keyed(actual, grain, "actual")
    found += twice_expected + twice_actual
    for key, row in wanted.items():
        if key not in given:
            found.append(f"missing row: {describe(grain, key)}")
            continue
        found += [
            f"{describe(grain, key)}: {column} expected {plain(value)}, found {plain(given[key][column])}"
            for column, value in row.items()
            if not same(value, given[key][column])
        ]
    found += [f"row too many: {describe(grain, key)}" for key in given if key not in wanted]
    return found
