"""The ``ops`` tables that tell of a publish: written into the candidate from its receipt, before it is closed."""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb

from mallard.settings import Settings
from publishing.receipt import CheckResult
from publishing.records import Record, read_records
from publishing.restatements import write_restatements

# Lines of older runs leave ops.quality_results: 60 daily runs are enough to see since when a check fails.
KEPT_QUALITY_RUNS = 60

_PUBLISHES = """
    create or replace table ops.publishes (
        version bigint,
        base_version bigint,
        run_id varchar,
        status varchar,
        reason varchar,
        published_at timestamptz,
        as_of date,
        code_version varchar,
        is_full_refresh boolean,
        input_deliveries bigint,
        checks_expected bigint,
        checks_run bigint,
        checks_failed bigint,
        checks_errored bigint,
        checks_warned bigint,
        tables varchar,
    )
"""

_QUALITY_RESULTS = """
    create or replace table ops.quality_results (
        version bigint,
        run_id varchar,
        recorded_at timestamptz,
        gate varchar,
        suite varchar,
        check_name varchar,
        table_name varchar,
        column_name varchar,
        severity varchar,
        verdict varchar,
        observed double,
        expected varchar,
        message varchar,
        accepted_by varchar,
        accepted_because varchar,
    )
"""

_FRESHNESS = """
    create or replace table ops.freshness (
        feed varchar,
        table_name varchar,
        newest_instant timestamptz,
        newest_delivery date,
        age_hours double,
        limit_hours double,
        state varchar,
    )
"""


def write_ops_tables(
    connection: duckdb.DuckDBPyConnection, settings: Settings, record: Record, *, has_base: bool
) -> tuple[tuple[str, int], ...]:
    """Write ``ops.publishes``, ``quality_results``, ``freshness`` and ``restatements`` into the candidate.

    What earlier runs wrote is taken from the published file attached as ``base`` and, for refused runs and
    versions that were rolled back, from their records.

    Returns:
        How many figures of past days changed, by mart.
    """
    base_tables = set(_base_tables(connection)) if has_base else set()
    connection.execute("create schema if not exists ops")
    connection.execute("begin transaction")
    told = _write_publishes(connection, settings, record, has_history="publishes" in base_tables)
    _write_quality_results(connection, told, has_history="quality_results" in base_tables)
    _write_freshness(connection, record)
    changes = write_restatements(
        connection, record, has_base=has_base, has_history="restatements" in base_tables
    )
    connection.execute("commit")
    return changes


def _base_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "select table_name from duckdb_tables() where database_name = 'base' and schema_name = 'ops'"
    ).fetchall()
    return [name for (name,) in found]


def _write_publishes(
    connection: duckdb.DuckDBPyConnection, settings: Settings, record: Record, *, has_history: bool
) -> list[Record]:
    """Returns the records that the base does not tell of yet, this one last."""
    connection.execute(_PUBLISHES)
    if has_history:
        connection.execute("insert into ops.publishes by name select * from base.ops.publishes")
    known = {run for (run,) in connection.execute("select run_id from ops.publishes").fetchall()}
    earlier = read_records(settings, except_runs=known | {record.receipt.run_id})
    told = [one for one in earlier if one.state in {"published", "refused"}] + [record]
    rows = [_publish_row(one) for one in told]
    connection.executemany(f"insert into ops.publishes values ({', '.join('?' * len(rows[0]))})", rows)
    return told


def _publish_row(record: Record) -> list[object]:
    receipt = record.receipt
    return [
        receipt.version,
        receipt.base_version,
        receipt.run_id,
        "refused" if record.state == "refused" else "published",
        record.reason or None,
        record.recorded_at,
        receipt.as_of,
        receipt.code_version,
        receipt.is_full_refresh,
        len(receipt.input_deliveries),
        len(receipt.expected),
        len(receipt.checks) - receipt.count("missing"),
        receipt.count("failed"),
        receipt.count("errored"),
        receipt.count("warned"),
        json.dumps({name: {"rows": t.rows, "checksum": t.checksum} for name, t in receipt.tables.items()}),
    ]


def _write_quality_results(
    connection: duckdb.DuckDBPyConnection, told: Sequence[Record], *, has_history: bool
) -> None:
    connection.execute(_QUALITY_RESULTS)
    if has_history:
        connection.execute(
            """
            insert into ops.quality_results by name
            select * from base.ops.quality_results
            where run_id in (
                select run_id from base.ops.quality_results
                group by run_id
                order by max(version) desc
                limit ?
            )
            """,
            [max(KEPT_QUALITY_RUNS - len(told), 0)],
        )
    rows = [
        _quality_row(record, check) for record in told[-KEPT_QUALITY_RUNS:] for check in record.receipt.checks
    ]
    if rows:
        insert_rows(connection, "ops.quality_results", rows)


def _quality_row(record: Record, check: CheckResult) -> list[object]:
    return [
        record.version,
        record.receipt.run_id,
        record.recorded_at,
        check.gate,
        check.suite,
        check.name,
        check.table,
        check.columns,
        check.severity,
        check.verdict,
        check.observed,
        check.expected,
        check.message or None,
        check.acceptance.by if check.acceptance else None,
        check.acceptance.because if check.acceptance else None,
    ]


def _write_freshness(connection: duckdb.DuckDBPyConnection, record: Record) -> None:
    connection.execute(_FRESHNESS)
    rows: list[list[object]] = [
        [
            feed.feed,
            feed.table,
            feed.newest_instant,
            feed.newest_delivery,
            feed.age_hours,
            feed.limit_hours,
            feed.state,
        ]
        for feed in record.receipt.freshness
    ]
    if rows:
        insert_rows(connection, "ops.freshness", rows)


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert a few hundred rows in one statement: a statement per row takes a millisecond each."""
    one = f"({', '.join('?' * len(rows[0]))})"
    values = [value for row in rows for value in row]
    connection.execute(f"insert into {table} values {', '.join([one] * len(rows))}", values)
