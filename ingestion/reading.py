"""A delivery as a relation: what its files hold, or what its source's SQL makes of them."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from ingestion.files import (
    Relation,
    Soundness,
    UnsoundError,
    csv_relation,
    ending_of,
    identifier,
    inspect,
    json_relation,
    literal,
    parquet_relation,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ingestion.contract import Contract
    from ingestion.deliveries import Delivery
    from ingestion.registry import Source


@dataclass(frozen=True)
class Opened:
    """A delivery ready to be staged. ``ending`` and ``soundness`` are of the one file it is, if it is one."""

    relation: Relation
    may_hold_nul: bool
    ending: str = ""
    soundness: Soundness = field(default_factory=Soundness)

    @property
    def is_text(self) -> bool:
        """Whether rows have physical lines."""
        return self.relation.format in {"csv", "jsonl"}


def open_delivery(connection: duckdb.DuckDBPyConnection, delivery: Delivery, contract: Contract) -> Opened:
    """Look at a delivery's files and say how to read it.

    Raises:
        UnsoundError: a file is damaged, or a required column is missing.
    """
    sql = delivery.source.table(delivery.feed, delivery.table).sql
    try:
        if sql:
            relation = _projection(connection, delivery, sql)
            opened = Opened(relation, may_hold_nul=True)
        else:
            decimals = [column.name for column in contract.columns if column.kind == "decimal"]
            relation, soundness = _file(
                connection, delivery.source, delivery.path, decimals, keeps_misfits=True
            )
            opened = Opened(
                relation,
                may_hold_nul=relation.format == "parquet" or soundness.has_escaped_nul,
                ending=ending_of(delivery.path.name) or "",
                soundness=soundness,
            )
    except duckdb.Error as error:
        raise unreadable(error) from None
    _check_columns(contract, relation, delivery.source.delimiter)
    return opened


def unreadable(error: duckdb.Error) -> UnsoundError:
    """What to say of a file that DuckDB cannot read.

    Its own messages quote rows and queries, which may hold personal data: only their kind is told.

    Raises:
        OSError: it was not the file but the disk.
    """
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in said:
        raise OSError(errno.ENOSPC, "there is no space for what does not fit into the memory") from None
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException):
        # What does not bind has not seen a row: its message names columns only.
        return UnsoundError(
            "The SQL of the source's entry does not fit its files.",
            found=said.splitlines()[0],
            mend="mend the entry, or export the columns that it names",
        )
    if isinstance(error, duckdb.ConversionException):
        return UnsoundError(
            "The SQL of the source's entry casts a value that cannot be cast.",
            mend="use try_cast there: what comes out NULL is quarantined, not fatal",
        )
    line = re.search(r"CSV Error on Line: (\d+)", said)
    if line and "Expected Number of Columns" in said:
        # The row itself is quoted before the file's name, and may say anything.
        files = re.findall(r"^\s*file = (.+)$", said, re.MULTILINE)
        return UnsoundError(
            "A row has too many or too few fields.",
            found=files[-1] if files else "",
            line=int(line[1]),
            mend="mend that row; where rows may end early, say `null_padding: true` in the source's entry",
        )
    for sign, summary, mend in _SIGNS:
        if sign in said:
            return UnsoundError(summary, mend=mend)
    return UnsoundError("The file cannot be read.", found=type(error).__name__, mend="export it again")


_SIGNS = (
    ("state machine reached an invalid state", "The file mixes line endings, or has a stray carriage return.",
     "export it again with one kind of line ending"),
    ("maximum_object_size", "A line is longer than a row can be.", "export it again, one JSON object per line"),
    ("No magic bytes found", "The file is no Parquet file, whatever its name says.", "export it again"),
)  # fmt: skip


def _file(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    path: Path,
    decimals: list[str],
    *,
    keeps_misfits: bool,
) -> tuple[Relation, Soundness]:
    ending = ending_of(path.name) or ""
    soundness = inspect(path, ending)
    if ending == "parquet":
        return parquet_relation(connection, path), soundness
    if ending.startswith("csv"):
        relation = csv_relation(
            path,
            ending,
            delimiter=source.delimiter,
            null_padding=source.null_padding,
            keeps_misfits=keeps_misfits,
        )
        return relation, soundness
    if ending.startswith("jsonl"):
        return json_relation(connection, path, ending, decimals=decimals), soundness
    raise UnsoundError(
        f"There is no way to read {path.name}.", expected="csv, jsonl (plain or .gz) or parquet"
    )


def _projection(connection: duckdb.DuckDBPyConnection, delivery: Delivery, sql: str) -> Relation:
    make_views(connection, delivery.source, delivery.inputs)
    described = connection.execute(f"describe ({sql})").fetchall()
    names = tuple(str(row[0]) for row in described)
    picked = ", ".join(f"{identifier(name)} as r{number}" for number, name in enumerate(names))
    return Relation(
        f"select {picked} from ({sql})", names, tuple(str(row[1]) for row in described), "projection"
    )


def make_views(
    connection: duckdb.DuckDBPyConnection, source: Source, inputs: tuple[tuple[str, Path], ...]
) -> None:
    """Give the connection a view per input, with the file's own columns and ``_row``, from 1.

    Text files have text columns; Parquet files have their own types. Texts that the entry calls missing are NULL.

    Raises:
        UnsoundError: a file is damaged.
    """
    for name, path in inputs:
        relation, _ = _file(connection, source, path, [], keeps_misfits=False)
        columns = ", ".join(
            f"{_without_missing(f'r{number}', kind, source)} as {identifier(column)}"
            for number, (column, kind) in enumerate(zip(relation.names, relation.types, strict=True))
        )
        connection.execute(
            f"create or replace temp view {identifier(name)} as "
            f"select {columns}, row_number() over () as _row from ({relation.sql})"
        )


def _without_missing(raw: str, found_type: str, source: Source) -> str:
    if found_type == "VARCHAR":
        for missing in source.missing_values:
            raw = f"nullif({raw}, {literal(missing)})"
    return raw


def _check_columns(contract: Contract, relation: Relation, delimiter: str) -> None:
    if relation.format == "jsonl" and relation.names == ("line",):
        return  # no line has a key: an empty file, or lines that are no objects, which staging says one by one
    missing = [name for name in contract.required if name not in relation.names]
    if not missing:
        return
    by_fold = {name.lower().replace(" ", "_").replace("-", "_"): name for name in relation.names}
    near = [f"{by_fold[name]!r} is {name!r} but for its writing" for name in missing if name in by_fold]
    other = next((mark for mark in ";\t|" if mark != delimiter and mark in relation.names[0]), "")
    if len(relation.names) == 1 and other:
        near = [
            f"fields seem to be separated by {other!r}: export with commas, or say `delimiter` in the entry"
        ]
    raise UnsoundError(
        f"The required column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))} "
        f"{'are' if len(missing) > 1 else 'is'} missing.",
        expected=", ".join(contract.required),
        found=", ".join(relation.names),
        column=missing[0],
        mend="; ".join(near) or "deliver the column, or map the source's own name onto it in its entry",
    )
