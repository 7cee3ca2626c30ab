"""Compares a published warehouse with the reference, table by table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from .columns import MARTS, grain_of
from .compare import compare

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from . import Reference

#: Words and drill-downs that the reference does not write.
NOT_COMPARED = {"alerts": ["message", "worst_channel", "worst_product"]}


def read_marts(path: Path) -> dict[str, pl.DataFrame]:
    """The marts of a DuckDB file that are there, with the columns that the reference computes."""
    with duckdb.connect(str(path), read_only=True) as connection:
        query = "select table_name, column_name from duckdb_columns() where schema_name = 'marts'"
        there: dict[str, set[str]] = {}
        for table, column in connection.execute(query).fetchall():
            there.setdefault(table, set()).add(column)
        marts = {}
        for name in MARTS.keys() & there.keys():
            columns = [column for column in MARTS[name] if column in there[name]]
            marts[name] = connection.execute(f"select {', '.join(columns)} from marts.{name}").pl()
    return marts


def differences(path: Path, reference: Reference) -> dict[str, list[str]]:
    """mart -> what differs, for every mart of the reference; empty when all of them agree."""
    actual = read_marts(path)
    found: dict[str, list[str]] = {}
    for name, expected in reference.marts.items():
        if name not in actual:
            found[name] = ["missing table"]
            continue
        wanted = expected.drop(NOT_COMPARED.get(name, []))
        if sentences := compare(wanted, actual[name], grain_of(name)):
            found[name] = sentences
    return found
