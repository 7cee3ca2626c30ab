"""What a warehouse file holds: its tables, their row counts and checksums, its wasted space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from mallard.memory import database_limit
from publishing.receipt import TableState

# What readers get. ops changes between audit and publish (it tells of the publish itself), so no checksum is
# taken of it.
PUBLISHED_SCHEMAS = ("core", "marts", "ops", "intermediate", "seeds")
TOLD_SCHEMAS = frozenset({"core", "marts"})
AUDITED_SCHEMAS = ("core", "marts", "intermediate", "seeds")


def connect(path: Path, *, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """Open a warehouse file with the settings that all of publishing and the gate share."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": database_limit(),
        # Spilling beside the candidate: the published folder holds whole versions only.
        "temp_directory": str(path.parent / "spill"),
    }
    connection = duckdb.connect(str(path), read_only=read_only, config=config)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def literal(text: str) -> str:
    """A text as a SQL literal, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def list_tables(connection: duckdb.DuckDBPyConnection, *schemas: str) -> list[tuple[str, str]]:
    """(schema, table) of all base tables in the given schemas of the current database, sorted."""
    return connection.execute(
        """
        select schema_name, table_name
        from duckdb_tables()
        where database_name = current_database() and list_contains(?, schema_name)
        order by 1, 2
        """,
        [list(schemas)],
    ).fetchall()


def stamp(path: Path) -> str:
    """What tells a closed file from the same one after a write: which file it is, its size and its times.

    The time of its last change cannot be set by who writes to it. Empty where a write-ahead log lies beside it: then
    the file alone does not say what a reader finds in it.
    """
    if path.with_name(path.name + ".wal").exists():
        return ""
    found = path.stat()
    return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def measure_tables(
    connection: duckdb.DuckDBPyConnection, *, with_checksums: bool = True
) -> dict[str, TableState]:
    """Row count of every audited table, by ``schema.table``, and a checksum of those that readers are told of.

    The checksum is the sum of a 64-bit hash per row: it does not depend on the order of the rows, and a row
    that is there twice changes it. Intermediate tables and seeds are counted only: what they hold shows in the
    tables that are built from them, and the largest table of all is among them.
    """
    return {
        f"{schema}.{table}": measure_table(connection, schema, table)
        if with_checksums and schema in TOLD_SCHEMAS
        else TableState(_count(connection, schema, table), "")
        for schema, table in list_tables(connection, *AUDITED_SCHEMAS)
    }


def _count(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> int:
    row: Any = connection.execute(f"select count(*) from {identifier(schema)}.{identifier(table)}").fetchone()
    return int(row[0])


def measure_table(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> TableState:
    """Row count and checksum of one table."""
    row: Any = connection.execute(
        "select count(*), coalesce(sum(hash(*columns(*))::hugeint), 0)"
        f" from {identifier(schema)}.{identifier(table)}"
    ).fetchone()
    return TableState(rows=int(row[0]), checksum=f"{int(row[1]):x}")


def wasted_share(connection: duckdb.DuckDBPyConnection) -> float:
    """How much of the file is empty blocks, relative to those in use: 0.25 means a quarter too large.

    Measured over 120 daily loads, blocks in use are within 6 % of what a compacted copy takes: rows that were
    deleted but still lie in a block in use hardly count.
    """
    row: Any = connection.execute("select free_blocks, used_blocks from pragma_database_size()").fetchone()
    free, used = row
    return free / used if used else 0.0
