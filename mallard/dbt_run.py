"""Run the dbt project over a candidate: once per load, in this process."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mallard.errors import MallardError
from mallard.late import uncollected
from mallard.memory import database_limit
from mallard.settings import CHECKOUT, Settings
from publishing.space import is_full, no_room_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mallard.candidate import Candidate
    from mallard.progress import Progress

DBT_PROJECT = CHECKOUT / "dbt_project"
_PURPOSE = "building the candidate"
_LARGE_TABLE_ROWS = 500_000


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


@contextmanager
def dbt_environment(settings: Settings, candidate_path: Path) -> Iterator[None]:
    """The variables that dbt_project/profiles.yml and its macros read, for the time of one invocation."""
    wanted = {
        "MALLARD_CANDIDATE": str(candidate_path),
        "MALLARD_SCRATCH": str(settings.work / "scratch.duckdb"),
        "MALLARD_SPILL": str(settings.work / "spill"),
        "MALLARD_MEMORY_LIMIT": database_limit(),
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


def run_dbt(settings: Settings, candidate: Candidate, progress: Progress) -> None:
    """Run ``dbt build`` once over the candidate, in this process.

    What failed is in ``target/run_results.json``, which the gate reads; only a run that left no results
    (a model that does not parse, a wrong variable) and a full disk are errors here.
    """
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if candidate.is_full_refresh:
        arguments.append("--full-refresh")
    with progress.stage("Computing the warehouse", total=None) as tick:
        invoke_dbt(settings, candidate.path, candidate.target, arguments, tick, before=_drop_what_is_replaced)
    if not (candidate.target / "run_results.json").exists():
        raise MallardError(
            "dbt could not start: the project does not compile.",
            where=str(DBT_PROJECT),
            found=_last_error(settings),
            mend="correct the model that is named; `make test` compiles the whole project",
        )


def _drop_what_is_replaced(candidate_path: Path, manifest: Any) -> None:
    """Drop the large tables that dbt is about to make anew, so that their space in the file is used again.

    dbt would drop the old one after the new one is written: the file grew by all of them with every load, and had
    to be compacted. Small ones stay, so that a build that fails leaves the checks something to read.
    """
    import duckdb

    replaced = {
        (node.schema, node.alias)
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.config.materialized == "table"
    }
    with duckdb.connect(str(candidate_path)) as connection:
        found = connection.execute(
            """
            select schema_name, table_name
            from duckdb_tables()
            where database_name = current_database() and estimated_size >= ?
            """,
            [_LARGE_TABLE_ROWS],
        ).fetchall()
        for schema, table in replaced.intersection(found):
            connection.execute(f'drop table "{schema}"."{table}"')
        connection.execute("checkpoint")


def invoke_dbt(
    settings: Settings,
    candidate_path: Path,
    target: Path,
    arguments: list[str],
    tick: Callable[[str], None],
    *,
    before: Callable[[Path, Any], None] | None = None,
) -> bool:
    """Call dbt in this process with the project's folders, and let go of the file afterwards.

    Args:
        arguments: dbt's command and its options.
        tick: told each node that is done.
        before: called with the file and the parsed project before the command runs.

    Raises:
        MallardError: the project does not parse, or the disk is full.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    def on_event(event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogSeedResult", "LogTestResult"):
            tick(event.data.node_info.node_name)

    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    folders += ["--target-path", str(target), "--log-path", str(settings.work / "logs")]
    quiet = ["--log-level", "none", "--log-level-file", "info", "--no-use-colors"]
    # Where the log cannot be written Python prints a traceback per line: what is wrong is told once, below.
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    with dbt_environment(settings, candidate_path):
        try:
            manifest = _parse(settings, [*quiet, "parse", *folders])
            if before:
                before(candidate_path, manifest)
            runner = dbtRunner(manifest=manifest, callbacks=[on_event])
            with uncollected():
                result = runner.invoke([*quiet, *arguments, *folders])
        except OSError as error:
            # dbt's own log is on that disk, too.
            if not is_full(settings.work, error):
                raise
            raise no_room_left(settings.work, _PURPOSE) from error
        finally:
            logging.raiseExceptions = raises
            # dbt keeps its connection, and with it the file's lock, for the life of the process.
            DuckDBConnectionManager.close_all_connections()
    if not result.success:
        said = [str(result.exception or "")]
        said += [str(one.message) for one in getattr(result.result, "results", None) or []]
        if is_full(settings.work, "\n".join(said)):
            raise no_room_left(settings.work, _PURPOSE)
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


def _last_error(settings: Settings) -> str:
    log = settings.work / "logs" / "dbt.log"
    if not log.exists():
        return "no log was written"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def dbt_failures(candidate: Candidate) -> list[dict[str, Any]]:
    """The nodes of the candidate's dbt run that did not succeed, as dbt reports them."""
    results = json.loads((candidate.target / "run_results.json").read_text())["results"]
    return [result for result in results if result["status"] not in ("success", "pass")]
