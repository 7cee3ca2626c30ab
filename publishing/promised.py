"""What readers are promised: the columns of every mart, as ``expectations/marts_columns.csv`` lists them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

COLUMNS_FILE = Path(__file__).resolve().parent.parent / "expectations" / "marts_columns.csv"


@dataclass(frozen=True)
class MartColumn:
    """One column of a mart, its type in DuckDB's words, and whether it is part of the grain."""

    name: str
    sql_type: str
    is_grain: bool


@cache
def mart_columns() -> dict[str, tuple[MartColumn, ...]]:
    """The promised columns of every mart, in order, by its name."""
    marts: dict[str, tuple[MartColumn, ...]] = {}
    with COLUMNS_FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            column = MartColumn(row["column"], row["type"], row["grain"] == "grain")
            marts[row["table"]] = (*marts.get(row["table"], ()), column)
    return marts


@cache
def mart_grain(mart: str) -> tuple[str, ...]:
    """The columns that name a row of a mart; none for a mart that nobody was promised."""
    return tuple(column.name for column in mart_columns().get(mart, ()) if column.is_grain)
