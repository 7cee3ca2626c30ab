"""The table ``staged``: one delivery's rows in the order of its file, and which of them stand there twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingestion.places import UNREADABLE

if TYPE_CHECKING:
    import duckdb

    from ingestion.contract import Contract
    from ingestion.files import Relation
    from ingestion.judging import Facts
    from ingestion.mending import Applied
    from ingestion.mends import Mends
    from ingestion.reading import Opened


@dataclass(frozen=True)
class Staged:
    """A delivery that is staged and mended, ready to be judged and written. ``share`` is allowed to be bad."""

    contract: Contract
    opened: Opened
    extras: tuple[str, ...]
    facts: Facts
    share: float
    bytes_hash: str
    stamp: str
    mends: Mends
    applied: Applied


def fill_staged(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    contract: Contract,
    relation: Relation,
    keeps_order: dict[tuple[object, ...], bool],
) -> None:
    """Fill ``staged`` in the order of the file, on which a row's ``rowid`` as its position rests.

    DuckDB keeps the order of a plan that only scans and projects. Should a version of it make anything
    else of the query (it makes joins of long lists), one thread keeps the order all the same.
    ``keeps_order`` remembers what was found for files of the same shape.
    """
    shape = (contract.name, relation.format, relation.names, relation.types)
    if relation.format != "projection" and shape not in keeps_order:
        plan = connection.execute(f"explain (format json) {sql}").fetchall()[0][1]
        keeps_order[shape] = all(map(is_straight, json.loads(plan)))
    exceptions = []
    if not keeps_order.get(shape, True):
        exceptions.append(("threads", "1"))
    if relation.format == "projection" and contract.pii:
        # The source's own SQL may sort rows before they are hashed: none of them may reach the disk.
        exceptions.append(("max_temp_directory_size", "'0KiB'"))
    try:
        for name, value in exceptions:
            connection.execute(f"set {name} = {value}")
        connection.execute(f"create or replace temp table staged as {sql}")
    finally:
        for name, _ in exceptions:
            connection.execute(f"reset {name}")


def is_straight(node: dict[str, Any]) -> bool:
    """Whether a plan's operator, and all below it, only project what one scan reads."""
    children = node.get("children") or []
    return not children or (
        node["name"].strip() == "PROJECTION" and len(children) == 1 and is_straight(children[0])
    )


def find_duplicates(connection: duckdb.DuckDBPyConnection, columns: int, extras: int) -> None:
    """Fill ``doubles`` with the staged rows of which an equal one comes later in the file."""
    # The hash finds candidates cheaply; what counts is that all values are equal.
    values = [f"c{number}" for number in range(columns)] + [f"x{number}" for number in range(extras)]
    connection.execute(
        f"""
        insert into doubles
        select row_id from (
            select
                rowid as row_id,
                row_number() over (
                    partition by _hash, {", ".join(values)}, _row_json order by rowid desc
                ) as copy,
            from staged
            where _hash in (select _hash from staged group by _hash having count(*) > 1)
                -- lines that cannot be read have no values that could be equal
                and _reason is distinct from '{UNREADABLE}'
        )
        where copy > 1
        """
    )


def count_mended(connection: duckdb.DuckDBPyConnection) -> int:
    """Staged rows that a mend has made sound."""
    return int(
        connection.execute(
            "select count(*) from staged where _reason is null and rowid in (select row_id from mended)"
        ).fetchall()[0][0]
    )
