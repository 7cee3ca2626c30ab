"""What the new deliveries landed, as relations that checks scan, and numbers read from files and manifests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingestion.contract import TECHNICAL_COLUMNS, read_contracts
from ingestion.manifest import Manifest
from publishing.contents import identifier, literal
from publishing.receipt import InputDelivery


@dataclass(frozen=True)
class Given:
    """A number that no single query gives, and what it counts, in words; ``error``: it could not be told."""

    observed: float
    message: str = ""
    error: str = ""


def list_given(problems: list[str]) -> Given:
    """So many problems; the first few are named."""
    more = f" and {len(problems) - 5} more" if problems[5:] else ""
    return Given(float(len(problems)), "; ".join(problems[:5]) + more)


def new_manifests(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifests of the deliveries that this candidate is the first to hold."""
    new = set(
        connection.execute(
            "select feed, table_name, source, delivery from ops.load_audit where is_new"
        ).fetchall()
    )
    return [one for one in manifests if (one.feed, one.table, one.source, one.delivery) in new]


def make_new_relations(connection: duckdb.DuckDBPyConnection, new: Sequence[Manifest]) -> None:
    """Make ``new_<feed>__<table>`` (its rows) and ``new_files_…`` (file, column) of each contract's table."""
    files = defaultdict(list)
    for manifest in new:
        # A file that is gone is told by deliveries.files_hold_their_rows, not by every query that reads it.
        if manifest.data_path.is_file():
            files[manifest.feed, manifest.table].append(str(manifest.data_path))
    for (feed, table), contract in read_contracts().items():
        name = f"{feed}__{table}"
        types = {column.name: column.sql_type for column in contract.columns} | TECHNICAL_COLUMNS
        if found := files[feed, table]:
            listed = ", ".join(map(literal, found))
            rows = f"select * from read_parquet([{listed}], union_by_name = true)"
            columns = f"select file_name, name from parquet_schema([{listed}]) where num_children is null"
        else:
            empty = ", ".join(f"null::{kind} as {identifier(column)}" for column, kind in types.items())
            rows = f"select {empty} where false"
            columns = "select null::varchar, null::varchar where false"
        connection.execute(f"create or replace temp view new_{name} as {rows}")
        connection.execute(
            f"create or replace temp table new_files_{name} (file_name, column_name) as {columns}"
        )


def files_hold_their_rows(connection: duckdb.DuckDBPyConnection, new: Sequence[Manifest]) -> Given:
    """New files whose row count, by the Parquet footer, is not their manifest's; lost files are among them."""
    promised = {str(one.data_path): one.rows_landed for one in new}
    problems = [f"{path} is gone" for path in promised if not Path(path).is_file()]
    there = [path for path in promised if Path(path).is_file()]
    if there:
        found = connection.execute(
            "select file_name, num_rows from parquet_file_metadata($files)", {"files": there}
        ).fetchall()
        problems += [
            f"{path} holds {rows} rows, its manifest says {promised[path]}"
            for path, rows in found
            if rows != promised[path]
        ]
    return list_given(problems)


def manifests_are_audited(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Manifest]) -> Given:
    """Manifests whose line in ``ops.load_audit`` is missing or differs, and lines without a manifest."""
    audited = set(
        connection.execute(
            """
            select
                feed, table_name, source, delivery, content_hash,
                rows_in, rows_landed, rows_quarantined, rows_duplicate
            from ops.load_audit
            """
        ).fetchall()
    )
    landed = {
        (
            one.feed,
            one.table,
            one.source,
            one.delivery,
            one.content_hash,
            one.rows_in,
            one.rows_landed,
            one.rows_quarantined,
            one.rows_duplicate,
        )
        for one in manifests
    }
    problems = [f"{_name(key)} is landed and not in ops.load_audit" for key in sorted(landed - audited)]
    problems += [f"{_name(key)} is in ops.load_audit and not landed" for key in sorted(audited - landed)]
    return list_given(problems)


def _name(key: tuple[object, ...]) -> str:
    return f"{key[0]}.{key[1]} of {key[3]} from {key[2]}"


def columns_are_known(new: Sequence[Manifest]) -> Given:
    """Columns of new deliveries beyond their contracts."""
    found = {f"{one.feed}.{one.table}.{column}" for one in new for column in one.new_columns}
    return list_given(sorted(found))


def input_deliveries(new: Sequence[Manifest]) -> tuple[InputDelivery, ...]:
    """The new deliveries as the receipt tells of them."""
    return tuple(
        InputDelivery(
            feed=one.feed,
            table=one.table,
            delivery=one.delivery.isoformat(),
            source=one.source,
            rows_landed=one.rows_landed,
            content_hash=one.content_hash,
            first_day=one.first_day.isoformat() if one.first_day else "",
            last_day=one.last_day.isoformat() if one.last_day else "",
        )
        for one in new
    )
