"""The last touch to an audited candidate: scaffolding out, ``ops`` in, compacted, closed and durable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError
from mallard.settings import Settings
from publishing.contents import (
    PUBLISHED_SCHEMAS,
    connect,
    identifier,
    literal,
    measure_tables,
    stamp,
    wasted_share,
)
from publishing.ops_tables import write_ops_tables
from publishing.receipt import Receipt
from publishing.records import Record, fsync_file
from publishing.space import is_full, no_room_left, require_space

# Views and tables of a build that readers have no use for: landing reads files that move on, staging reads it.
SCAFFOLDING_SCHEMAS = ("landing", "staging")
# Compacted from here on. With the rows that were deleted but lie in blocks in use (up to 6 % measured), a
# published file stays under 1.25 times its compacted size.
COMPACTED_FROM = 0.15


def finish(
    settings: Settings, candidate: Candidate, record: Record, base: Path | None
) -> tuple[tuple[str, int], ...]:
    """Make the candidate the file that is published, in place. Doing it twice does no harm.

    Args:
        record: the publish as ``ops.publishes`` will tell it.
        base: the published file that the candidate was built upon.

    Returns:
        How many figures of past days changed, by mart.

    Raises:
        GateRefusedError: what is in the file is not what was audited.
        MallardError: there is no disk space to finish or to compact it.
    """
    size = candidate.path.stat().st_size
    require_space(candidate.path.parent, size // 4, "finishing the candidate")
    is_as_audited = record.receipt.stamp != "" and stamp(candidate.path) == record.receipt.stamp
    try:
        changes, is_copied = _rewrite(settings, candidate, record, base)
    except (OSError, duckdb.Error) as error:
        if not is_full(candidate.path.parent, error):
            raise
        raise no_room_left(candidate.path.parent, "finishing the candidate") from error
    # Nobody wrote to what was audited but the lines above, which write ops alone: its tables need not be read again.
    verify(candidate.path, record.receipt, with_checksums=is_copied or not is_as_audited)
    candidate.path.chmod(0o444)
    fsync_file(candidate.path)
    return changes


def _rewrite(
    settings: Settings, candidate: Candidate, record: Record, base: Path | None
) -> tuple[tuple[tuple[str, int], ...], bool]:
    """Rewrite the file; how many figures of past days changed, by mart, and whether it is a copy now."""
    with connect(candidate.path, read_only=False) as connection:
        if base:
            connection.execute(f"attach {literal(str(base))} as base (read_only)")
        _drop_scaffolding(connection)
        changes = write_ops_tables(connection, settings, record, has_base=base is not None)
        if base:
            connection.execute("detach base")
        connection.execute("checkpoint")
        is_wasteful = wasted_share(connection) > COMPACTED_FROM
    if is_wasteful:
        compact(candidate.path)
    return changes, is_wasteful


def _drop_scaffolding(connection: duckdb.DuckDBPyConnection) -> None:
    for schema in SCAFFOLDING_SCHEMAS:
        connection.execute(f"drop schema if exists {identifier(schema)} cascade")


def compact(path: Path) -> None:
    """Replace the file by a copy without empty blocks.

    Raises:
        MallardError: there is no disk space for the copy.
    """
    require_space(path.parent, path.stat().st_size, "compacting the candidate")
    smaller = path.with_name(f"{path.stem}.compact{path.suffix}")
    smaller.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(path))} as bloated (read_only)")
        connection.execute(f"attach {literal(str(smaller))} as compacted")
        connection.execute("copy from database bloated to compacted")
        connection.execute("checkpoint compacted")
        connection.execute("detach compacted")
    smaller.replace(path)


def verify(path: Path, receipt: Receipt, *, with_checksums: bool = True) -> None:
    """Compare what is in the file with what the receipt says was audited.

    Args:
        with_checksums: read every value, not only tables and row counts.

    Raises:
        GateRefusedError: a table has other rows, is missing or was not audited; a view or a schema is there
            that is not published; a write-ahead log is left.
    """
    problems = []
    if path.with_name(path.name + ".wal").exists():
        problems.append("a write-ahead log is left beside the file: it was not closed in peace")
    with connect(path) as connection:
        run: Any = connection.execute("select run_id from ops.run").fetchall()
        if run != [(receipt.run_id,)]:
            problems.append(f"the receipt is of run {receipt.run_id}, the file of {run}")
        found = measure_tables(connection, with_checksums=with_checksums)
        strangers = connection.execute(
            """
            select schema_name || '.' || table_name
            from duckdb_tables()
            where database_name = current_database() and not list_contains(?, schema_name)
            union all
            select schema_name || '.' || view_name || ' (view)'
            from duckdb_views()
            where database_name = current_database() and not internal
            """,
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
    problems += [f"{name} is not for publishing" for (name,) in strangers]
    for name in sorted(found.keys() | receipt.tables.keys()):
        audited, there = receipt.tables.get(name), found.get(name)
        if audited is None:
            problems.append(f"{name} was not audited")
        elif there is None:
            problems.append(f"{name} was audited with {audited.rows} rows and is gone")
        elif there.rows != audited.rows:
            problems.append(f"{name} was audited with {audited.rows} rows and has {there.rows}")
        elif with_checksums and there.checksum != audited.checksum:
            problems.append(f"{name} has other values than were audited")
    if problems:
        raise GateRefusedError(
            "The candidate is not what was audited; the published version is untouched.",
            where=str(path),
            expected=f"the tables of the receipt of run {receipt.run_id}",
            found="; ".join(problems[:5]) + (f" and {len(problems) - 5} more" if problems[5:] else ""),
            mend="run the load again: it builds and audits a new candidate",
        )
