"""Write into a candidate what dbt starts from: the run's parameters, the load audit, the views of landing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from ingestion.manifest import Manifest
    from mallard.candidate import Candidate
    from mallard.settings import Settings

# A delivery's feed, table, source, day, and what was landed of it.
DeliveryId = tuple[str, str, str, date, str]


@dataclass(frozen=True)
class Base:
    """What the published version that a run builds upon has consumed. ``version`` is None for none."""

    version: int | None
    as_of: date | None
    logic: str
    deliveries: frozenset[DeliveryId]


def prepare(
    settings: Settings,
    candidate: Candidate,
    base: Base,
    manifests: Sequence[Manifest],
    new: set[DeliveryId],
    logic: str,
    started_at: datetime,
) -> None:
    """Write into the candidate what dbt starts from: the run, the load audit, the views of landing."""
    with _connect(settings, candidate.path) as connection:
        _write_run(connection, settings, candidate, base, logic, started_at)
        _write_load_audit(connection, manifests, new)
        _write_quarantine(connection, settings)
        _write_landing_views(connection, settings, manifests)


def identify(manifest: Manifest) -> DeliveryId:
    """What makes a landed delivery that delivery: its place and its content, read by the same contract."""
    content = f"{manifest.content_hash}/{manifest.contract_version}/{manifest.entry_hash}"
    return (manifest.feed, manifest.table, manifest.source, manifest.delivery, content)


@contextmanager
def _connect(settings: Settings, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set temp_directory = ?", [str(settings.work / "spill")])
        for schema in ("landing", "staging", "ops"):
            connection.execute(f"create schema if not exists {schema}")
        yield connection


def _write_run(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    candidate: Candidate,
    base: Base,
    logic: str,
    started_at: datetime,
) -> None:
    connection.execute(
        """
        create or replace table ops.run as
        select
            $run_id::varchar as run_id,
            $version::bigint as version,
            $base_version::bigint as base_version,
            $as_of::date as as_of,
            timezone($time_zone, ($as_of::date + 1)::timestamp) as as_of_end,
            $previous_as_of::date as previous_as_of,
            timezone($time_zone, ($previous_as_of::date + 1)::timestamp) as previous_as_of_end,
            $time_zone::varchar as time_zone,
            $currency::varchar as currency,
            $is_full_refresh::boolean as is_full_refresh,
            $logic::varchar as logic,
            $code_version::varchar as code_version,
            $started_at::timestamptz as started_at
        """,
        {
            "run_id": candidate.run_id,
            "version": candidate.version,
            "base_version": candidate.base_version,
            "as_of": candidate.as_of,
            "previous_as_of": base.as_of,
            "time_zone": settings.time_zone,
            "currency": settings.currency,
            "is_full_refresh": candidate.is_full_refresh,
            "logic": logic,
            "code_version": code_version(),
            "started_at": started_at,
        },
    )


def code_version() -> str:
    """The installed version of Mallard and the first digits of its models' hash make a run traceable."""
    from importlib.metadata import version

    return version("mallard")


def _write_load_audit(
    connection: duckdb.DuckDBPyConnection,
    manifests: Iterable[Manifest],
    new: set[DeliveryId],
) -> None:
    import pandas as pd

    columns = {
        "feed": "varchar",
        "table_name": "varchar",
        "source": "varchar",
        "delivery": "date",
        "rows_in": "bigint",
        "rows_landed": "bigint",
        "rows_quarantined": "bigint",
        "rows_duplicate": "bigint",
        "first_day": "date",
        "last_day": "date",
        "delivered_at": "timestamptz",
        "source_file": "varchar",
        "content_hash": "varchar",
        "contract_version": "varchar",
        "landed_content": "varchar",
        "is_new": "boolean",
    }
    audit = pd.DataFrame(
        [
            (
                m.feed,
                m.table,
                m.source,
                m.delivery,
                m.rows_in,
                m.rows_landed,
                m.rows_quarantined,
                m.rows_duplicate,
                m.first_day,
                m.last_day,
                m.delivered_at,
                m.source_file,
                m.content_hash,
                m.contract_version,
                identify(m)[4],
                identify(m) in new,
            )
            for m in manifests
        ],
        columns=list(columns),
    )
    listed = ", ".join(f"{name}::{kind} as {name}" for name, kind in columns.items())
    connection.register("audit", audit)
    connection.execute(
        f"create or replace table ops.load_audit as select {listed} from audit order by 1, 2, 3, 4"
    )
    connection.unregister("audit")


def _write_quarantine(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    connection.execute(
        """
        create or replace table ops.quarantine (
            feed varchar, table_name varchar, source varchar, delivery date, reason varchar,
            column_name varchar, row_json varchar, source_file varchar, line bigint
        )
        """
    )
    files = [str(file) for file in sorted(settings.quarantine.glob("*/*/*/*.parquet"))]
    if files:
        connection.execute(
            """
            insert into ops.quarantine by name
            select
                feed, table_name, source, delivery, reason, column_name, row_json, source_file, line
            from read_parquet($files)
            """,
            {"files": files},
        )


def _write_landing_views(
    connection: duckdb.DuckDBPyConnection, settings: Settings, manifests: Sequence[Manifest]
) -> None:
    """One view per table over exactly the files that the manifests name; an empty table where there are none."""
    from ingestion.contract import TECHNICAL_COLUMNS, read_contracts

    for (feed, table), contract in sorted(read_contracts().items()):
        types = {column.name: column.sql_type for column in contract.columns} | TECHNICAL_COLUMNS
        files = [
            str(settings.landing / feed / table / m.source / m.file)
            for m in manifests
            if (m.feed, m.table) == (feed, table)
        ]
        name = f"landing.{feed}__{table}"
        connection.execute(f"drop view if exists {name}")
        if files:
            quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
            listed = ", ".join(f'"{column}"' for column in types)
            connection.execute(
                f"create view {name} as select {listed} from read_parquet([{quoted}], hive_partitioning = false)"
            )
        else:
            listed = ", ".join(f'null::{kind} as "{column}"' for column, kind in types.items())
            connection.execute(f"create view {name} as select {listed} where false")
