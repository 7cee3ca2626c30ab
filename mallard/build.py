"""Build a candidate: a copy of the last published file in which dbt computes what new deliveries touch.

The candidate always has the same path, so that dbt's partial parse holds from run to run. Nothing here
decides whether it is good: that is the gate's work, and publishing is one rename (see DESIGN in the README).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mallard.candidate import Candidate
from mallard.errors import MallardError, NothingToDoError
from mallard.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    import duckdb

    from ingestion.landing import Manifest
    from mallard.progress import Progress

DBT_PROJECT = CHECKOUT / "dbt_project"

# The table of each feed whose last delivery says how far the feed has come.
MAIN_TABLES = {"orders": "orders", "clickstream": "events", "channel_spend": "channel_spend"}

# What a table is landed with beyond its contract's columns.
TECHNICAL_COLUMNS = {
    "_source": "VARCHAR",
    "_delivery": "DATE",
    "_row": "BIGINT",
    "_is_incomplete": "BOOLEAN",
}


@dataclass(frozen=True)
class Base:
    """What the published version that a run builds upon has consumed. ``version`` is None for none."""

    version: int | None
    as_of: date | None
    logic: str
    deliveries: frozenset[tuple[str, str, str, date, str]]


def build(
    settings: Settings, progress: Progress, *, run_id: str | None = None, full_refresh: bool = False
) -> Candidate | None:
    """Build a candidate from the deliveries that the published version has not consumed.

    Args:
        full_refresh: compute everything from landing, as when models or settings have changed.

    Returns:
        The candidate, with dbt's results beside it, whatever they say; None where nothing is new.

    Raises:
        NothingToDoError: nothing was landed yet that a day could be published from.
        MallardError: there is no space for the candidate, or dbt could not start.
    """
    from ingestion.landing import read_manifests
    from publishing.versions import next_version

    manifests = read_manifests(settings)
    as_of = earliest_main_delivery(manifests)
    base = read_base(settings)
    logic = fingerprint_logic(settings)
    identities = {identify(manifest): manifest for manifest in manifests}
    new = set(identities) - base.deliveries
    gone = base.deliveries - set(identities)
    if base.version is not None and not new and not gone and logic == base.logic and not full_refresh:
        return None
    # Sessions are computed anew for the visitors of new events. Events that are not landed any more name
    # nobody: their visitors are only found by computing everybody's.
    lost_events = any(identity[:2] == ("clickstream", "events") for identity in gone)
    is_full_refresh = full_refresh or base.version is None or logic != base.logic or lost_events

    started_at = datetime.now(UTC)
    version = next_version(settings)
    candidate = Candidate(
        path=settings.work / "candidate.duckdb",
        run_id=run_id or f"{started_at:%Y%m%dT%H%M%S}-{os.getpid()}",
        version=version,
        base_version=base.version,
        as_of=as_of,
        target=settings.work / "target",
        is_full_refresh=is_full_refresh,
        new_deliveries=len(new),
    )
    reason = "everything is computed" if is_full_refresh else f"{len(new)} new deliveries"
    progress.say(f"Building version {version} up to {as_of}: {reason}")
    _start_file(settings, candidate)
    prepare(settings, candidate, base, manifests, new, logic, started_at)
    run_dbt(settings, candidate, progress)
    candidate.save(settings)
    return candidate


def prepare(
    settings: Settings,
    candidate: Candidate,
    base: Base,
    manifests: Sequence[Manifest],
    new: set[tuple[str, str, str, date, str]],
    logic: str,
    started_at: datetime,
) -> None:
    """Write into the candidate what dbt starts from: the run, the load audit, the views of landing."""
    with _connect(settings, candidate.path) as connection:
        _write_run(connection, settings, candidate, base, logic, started_at)
        _write_load_audit(connection, manifests, new)
        _write_quarantine(connection, settings)
        _write_landing_views(connection, settings, manifests)


def identify(manifest: Manifest) -> tuple[str, str, str, date, str]:
    """What makes a landed delivery that delivery: its place and its content, read by the same contract."""
    content = f"{manifest.content_hash}/{manifest.contract_version}/{manifest.entry_hash}"
    return (manifest.feed, manifest.table, manifest.source, manifest.delivery, content)


def earliest_main_delivery(manifests: Sequence[Manifest]) -> date:
    """The last day of which every feed has arrived: the earliest of the feeds' last deliveries.

    Raises:
        NothingToDoError: no feed's main table was landed yet.
    """
    last: dict[tuple[str, str], date] = {}
    for manifest in manifests:
        if MAIN_TABLES.get(manifest.feed) == manifest.table:
            key = (manifest.feed, manifest.source)
            last[key] = max(last.get(key, manifest.delivery), manifest.delivery)
    if not last:
        raise NothingToDoError(
            "Nothing can be built: no orders, events or channel spend were landed yet.",
            expected="at least one delivery of orders/orders, clickstream/events or channel_spend/channel_spend",
            found=f"{len(manifests)} landed deliveries, none of these",
            mend="mallard load --inbox DIR",
        )
    return min(last.values())


def fingerprint_logic(settings: Settings, *, with_descriptions: bool = False) -> str:
    """A hash of all that figures follow from except the data: models, macros, rules, zone, currency.

    ``with_descriptions`` adds the yml beside them: descriptions and tests, which change no figure.
    """
    digest = hashlib.sha256(f"{settings.time_zone} {settings.currency}".encode())
    files = [DBT_PROJECT / "dbt_project.yml"]
    patterns = [("models", "*.sql"), ("macros", "*.sql"), ("seeds", "*.csv")]
    if with_descriptions:
        patterns += [("models", "*.yml"), ("seeds", "*.yml"), ("tests", "*.sql")]
    for folder, pattern in patterns:
        files += sorted((DBT_PROJECT / folder).rglob(pattern))
    for file in files:
        digest.update(str(file.relative_to(DBT_PROJECT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def read_base(settings: Settings) -> Base:
    """What the published version knows; an empty base where nothing is published."""
    from publishing.versions import current_version

    import duckdb

    current = current_version(settings)
    if current is None:
        return Base(None, None, "", frozenset())
    with duckdb.connect(str(current.path), read_only=True) as connection:
        run = connection.execute("select as_of, logic from ops.run").fetchone()
        rows = connection.execute(
            "select feed, table_name, source, delivery, landed_content from ops.load_audit"
        ).fetchall()
    if run is None:
        raise MallardError(
            "The published file does not say what it was built from.",
            where=str(current.path),
            mend="mallard rollback",
        )
    return Base(current.version, run[0], run[1], frozenset(rows))


def _start_file(settings: Settings, candidate: Candidate) -> None:
    from publishing.copy import copy_file
    from publishing.space import require_space
    from publishing.versions import current_version

    settings.work.mkdir(parents=True, exist_ok=True)
    for leftover in settings.work.glob("*.duckdb*"):
        leftover.unlink()
    shutil.rmtree(settings.work / "spill", ignore_errors=True)
    (candidate.target / "run_results.json").unlink(missing_ok=True)
    current = None if candidate.is_full_refresh else current_version(settings)
    size = current.path.stat().st_size if current else _landed_bytes(settings)
    require_space(settings.work, size, "the candidate")
    if current:
        copy_file(current.path, candidate.path)


def _landed_bytes(settings: Settings) -> int:
    return sum(file.stat().st_size for file in settings.landing.rglob("*.parquet"))


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
    new: set[tuple[str, str, str, date, str]],
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
    from ingestion.contract import read_contracts

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
            connection.execute(f"create view {name} as select {listed} from read_parquet([{quoted}])")
        else:
            listed = ", ".join(f'null::{kind} as "{column}"' for column, kind in types.items())
            connection.execute(f"create view {name} as select {listed} where false")


@contextmanager
def dbt_environment(settings: Settings, candidate_path: Path) -> Iterator[None]:
    """The variables that dbt_project/profiles.yml and its macros read, for the time of one invocation."""
    wanted = {
        "MALLARD_CANDIDATE": str(candidate_path),
        "MALLARD_SCRATCH": str(settings.work / "scratch.duckdb"),
        "MALLARD_SPILL": str(settings.work / "spill"),
        "MALLARD_MEMORY_LIMIT": os.environ.get("MALLARD_MEMORY_LIMIT") or _most_of_the_memory(),
        "MALLARD_TIME_ZONE": settings.time_zone,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _most_of_the_memory() -> str:
    """Six tenths of the machine's memory: what DuckDB does not fit in there, it spills."""
    megabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    return f"{max(512, megabytes * 6 // 10)}MB"


def run_dbt(settings: Settings, candidate: Candidate, progress: Progress) -> None:
    """Run ``dbt build`` once over the candidate, in this process.

    What failed is in ``target/run_results.json``, which the gate reads; only a run that left no results
    (a model that does not parse, a wrong variable) is an error here.
    """
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if candidate.is_full_refresh:
        arguments.append("--full-refresh")
    with progress.stage("Computing the warehouse", total=None) as tick:
        invoke_dbt(settings, candidate.path, candidate.target, arguments, tick)
    if not (candidate.target / "run_results.json").exists():
        raise MallardError(
            "dbt could not start: the project does not compile.",
            where=str(DBT_PROJECT),
            found=_last_error(settings),
            mend="correct the model that is named; `make test` compiles the whole project",
        )


def invoke_dbt(
    settings: Settings, candidate_path: Path, target: Path, arguments: list[str], tick: Callable[[str], None]
) -> bool:
    """Call dbt in this process with the project's folders, and let go of the file afterwards.

    Raises:
        MallardError: the project does not parse.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    def on_event(event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogSeedResult", "LogTestResult"):
            tick(event.data.node_info.node_name)

    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    folders += ["--target-path", str(target), "--log-path", str(settings.work / "logs")]
    quiet = ["--log-level", "none", "--log-level-file", "info", "--no-use-colors"]
    with dbt_environment(settings, candidate_path):
        try:
            manifest = _parse(settings, [*quiet, "parse", *folders])
            runner = dbtRunner(manifest=manifest, callbacks=[on_event])
            result = runner.invoke([*quiet, arguments[0], *folders, *arguments[1:]])
        finally:
            # dbt keeps its connection, and with it the file's lock, for the life of the process.
            DuckDBConnectionManager.close_all_connections()
    return bool(result.success)


# The parsed project of this process, by what it was parsed from: parsing costs more than a small load.
_parsed: dict[str, Any] = {}


def _parse(settings: Settings, command: list[str]) -> Any:
    """The project's manifest, a copy of its own for each run: running writes into it."""
    from dbt.cli.main import dbtRunner

    key = fingerprint_logic(settings, with_descriptions=True)
    if key not in _parsed:
        result = dbtRunner().invoke(command)
        if result.exception or not result.success:
            raise MallardError(
                "The dbt project does not parse.",
                where=str(DBT_PROJECT),
                found=str(result.exception or _last_error(settings)),
                mend="correct the file that is named; `make sql-tests` parses the whole project",
            )
        _parsed[key] = result.result
    return _parsed[key].deepcopy()


def dbt_failures(candidate: Candidate) -> list[dict[str, Any]]:
    """The nodes of the candidate's dbt run that did not succeed, as dbt reports them."""
    results = json.loads((candidate.target / "run_results.json").read_text())["results"]
    return [result for result in results if result["status"] not in ("success", "pass")]
