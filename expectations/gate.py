"""The gate: runs every expected check on a candidate and says yes or no, with reasons.

Nothing here changes the candidate or the published version. What was expected comes from the registry; a check
that has no result, or raised, is a refusal of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from expectations import landed
from expectations.dbt_results import dbt_results, expected_tables
from expectations.freshness import measure_freshness
from expectations.landed import Given, list_given
from expectations.measure import Measured, measure_scans, measure_suite, say
from expectations.registry import Check, Suite, expected_names, read_suites
from ingestion.landing import read_manifests
from mallard.candidate import Candidate
from mallard.errors import GateRefusedError
from mallard.late import uncollected
from mallard.progress import Progress
from mallard.settings import Settings
from publishing.contents import connect, list_tables, literal, measure_tables, stamp
from publishing.receipt import CheckResult, FeedFreshness, Receipt, Verdict
from publishing.records import read_records, record_refusal, write_durably
from publishing.versions import version_path

if TYPE_CHECKING:
    from types import ModuleType

    from expectations.judge import Judge, Judgement

__all__ = ["Receipt", "audit"]


def audit(settings: Settings, candidate: Candidate, progress: Progress) -> Receipt:
    """Run every expected check on the candidate.

    The receipt is stored at ``work/receipt.json``, a report at ``reports/gate-<run id>.html`` and ``.json``; a
    receipt that is not positive also under ``published/receipts``, as a refusal.

    Raises:
        SettingsError: the registry of checks cannot be read.
        GateRefusedError: there is no candidate to audit.
    """
    from expectations.verdict import data_docs_folder, drop_old_reports, write_report

    if not candidate.path.exists():
        raise GateRefusedError(
            "There is no candidate to audit.", where=str(candidate.path), mend="run the load again"
        )
    began = time.monotonic()
    audited = stamp(candidate.path)
    suites = read_suites()
    # Great Expectations takes seconds to import: it does so while DuckDB scans.
    with ThreadPoolExecutor(1) as aside, progress.stage("Auditing", total=len(suites) + 3) as tick:
        importing = aside.submit(_import_judge)
        with connect(candidate.path) as connection:
            facts = _Facts(settings, candidate, connection)
            scanned = measure_scans(connection, suites)
            tick("scans")
            measured = []
            for suite in suites:
                measured.append((suite, scanned | measure_suite(connection, suite, facts.given)))
                tick(suite.name)
            from_dbt = dbt_results(candidate, connection)
            tables = measure_tables(connection)
            tick("row counts and checksums")
        with uncollected():
            judge = importing.result().Judge()
            checks = [
                result for suite, numbers in measured for result in _judge_suite(judge, suite, numbers)
            ] + from_dbt
        checks = _with_history(settings, candidate, checks)
        tick("verdict")
    receipt = Receipt(
        run_id=candidate.run_id,
        version=candidate.version,
        base_version=candidate.base_version,
        as_of=candidate.as_of,
        is_full_refresh=candidate.is_full_refresh,
        code_version=facts.code_version,
        base_code_version=facts.base.code_version,
        audited_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        audit_seconds=round(time.monotonic() - began, 3),
        engine=f"duckdb {duckdb.__version__}",
        expected=tuple(expected_names(candidate)),
        checks=tuple(checks),
        tables=tables,
        input_deliveries=landed.input_deliveries(facts.new),
        freshness=facts.freshness,
        stamp=audited,
    )
    write_durably(settings.work / "receipt.json", json.dumps(receipt.to_json(), indent=1))
    if not receipt.passed:
        record_refusal(settings, receipt)
    write_report(settings, receipt)
    try:
        judge.write_data_docs(data_docs_folder(settings, receipt))
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn must not decide over a publish
        progress.say(f"Data Docs could not be written: {say(error)}")
    drop_old_reports(settings)
    return receipt


def _import_judge() -> ModuleType:
    # A tenth of the import goes into looking for garbage, of which an import makes none.
    gc.disable()
    try:
        return importlib.import_module("expectations.judge")
    finally:
        gc.enable()


class _Facts:
    """What the gate works out itself before the suites are measured. What raises is an error of its check."""

    def __init__(
        self, settings: Settings, candidate: Candidate, connection: duckdb.DuckDBPyConnection
    ) -> None:
        manifests = read_manifests(settings)
        self.new = landed.new_manifests(connection, manifests)
        landed.make_new_relations(connection, self.new)
        self.freshness: tuple[FeedFreshness, ...] = ()
        self.base = _Base()
        run: Any = connection.execute("select run_id, code_version, logic from ops.run").fetchall()
        self.code_version = f"{run[0][1]}+{run[0][2][:8]}" if run else ""
        measures: dict[str, Callable[[], Given | dict[str, Given]]] = {
            "gate.run_is_this_run": lambda: list_given(
                [] if [row[0] for row in run] == [candidate.run_id] else [f"ops.run says {run}"]
            ),
            "gate.tables_are_there": lambda: _tables_are_there(candidate, connection),
            "gate.base": lambda: self._compare_with_base(settings, candidate, connection),
            "deliveries.manifests_are_audited": lambda: landed.manifests_are_audited(connection, manifests),
            "deliveries.files_hold_their_rows": lambda: landed.files_hold_their_rows(connection, self.new),
            "deliveries.columns_are_known": lambda: landed.columns_are_known(self.new),
            "deliveries.freshness": lambda: self._measure_freshness(connection),
        }
        self.given: dict[str, Given] = {}
        for name, measure in measures.items():
            try:
                found = measure()
            except (duckdb.Error, OSError) as error:
                found = Given(0, error=say(error))
            self.given |= found if isinstance(found, dict) else {name: found}

    def _measure_freshness(self, connection: duckdb.DuckDBPyConnection) -> dict[str, Given]:
        self.freshness = measure_freshness(connection)
        return {f"deliveries.{feed.feed}_is_fresh": _age(feed) for feed in self.freshness}

    def _compare_with_base(
        self, settings: Settings, candidate: Candidate, connection: duckdb.DuckDBPyConnection
    ) -> dict[str, Given]:
        self.base = _base_of(settings, candidate, connection)
        return {
            "gate.no_table_was_emptied": self.base.emptied,
            "gate.no_suite_was_dropped": self.base.dropped,
        }


def _age(feed: FeedFreshness) -> Given:
    if feed.age_hours is None:
        return Given(0, "nothing of this feed was ever landed")
    return Given(feed.age_hours, f"newest row at {feed.newest_instant}, {feed.age_hours:.1f} hours old")


def _tables_are_there(candidate: Candidate, connection: duckdb.DuckDBPyConnection) -> Given:
    row: Any = connection.execute("select current_database()").fetchone()
    expected = expected_tables(candidate, row[0])
    found = {f"{schema}.{table}" for schema, table in list_tables(connection, *_schemas(expected))}
    problems = [f"{name} is missing" for name in sorted(expected - found)]
    return list_given(problems if expected else ["the project builds no table"])


def _schemas(tables: set[str]) -> list[str]:
    return sorted({name.partition(".")[0] for name in tables}) or ["core"]


class _Base:
    """What the gate compares with the published version that the candidate was built upon."""

    code_version = ""
    emptied = Given(0)
    dropped = Given(0)


def _base_of(settings: Settings, candidate: Candidate, connection: duckdb.DuckDBPyConnection) -> _Base:
    base = _Base()
    if candidate.base_version is None:
        return base
    path = version_path(settings, candidate.base_version)
    connection.execute(f"attach {literal(str(path))} as base (read_only)")
    row: Any = connection.execute("select code_version, logic from base.ops.run").fetchone()
    base.code_version = f"{row[0]}+{row[1][:8]}" if row else ""
    base.emptied = list_given(
        [
            f"{schema}.{table} had rows"
            for schema, table in list_tables(connection, "core", "marts")
            if _has_rows(connection, "base.", schema, table) and not _has_rows(connection, "", schema, table)
        ]
    )
    published = read_records(settings, version=candidate.base_version)
    earlier = {check.suite for record in published for check in record.receipt.checks}
    now = {suite.name for suite in read_suites()} | {"dbt"}
    base.dropped = list_given([f"suite {name} is gone" for name in sorted(earlier - now)])
    connection.execute("detach base")
    return base


def _has_rows(connection: duckdb.DuckDBPyConnection, prefix: str, schema: str, table: str) -> bool:
    try:
        found = connection.execute(f'select 1 from {prefix}"{schema}"."{table}" limit 1').fetchall()
    except duckdb.CatalogException:
        # A table that the base does not have yet.
        return False
    return bool(found)


def _with_history(settings: Settings, candidate: Candidate, checks: list[CheckResult]) -> list[CheckResult]:
    """Say of every check that did not pass since when it does not."""
    open_since = {check.name: candidate.as_of.isoformat() for check in checks if check.verdict != "passed"}
    ended: set[str] = set()
    for record in reversed(read_records(settings)) if open_since else ():
        failing = {check.name for check in record.receipt.checks if check.verdict != "passed"}
        for name in open_since.keys() - ended:
            if name in failing:
                open_since[name] = record.receipt.as_of.isoformat()
            else:
                ended.add(name)
    return [replace(check, since=open_since.get(check.name, "")) for check in checks]


def _judge_suite(judge: Judge, suite: Suite, measured: Mapping[str, Measured]) -> list[CheckResult]:
    numbers = {
        check.name: number
        for check in suite.checks
        if (number := measured[check.name].observed) is not None and not measured[check.name].error
    }
    judgements = judge.judge(suite.name, [check for check in suite.checks if check.name in numbers], numbers)
    return [_result(check, measured[check.name], judgements.get(check.name)) for check in suite.checks]


def _result(check: Check, measured: Measured, judgement: Judgement | None) -> CheckResult:
    verdict, message = _verdict(check, measured, judgement)
    return check.result(verdict, measured.observed, message=message, sql=check.rows_sql)


def _verdict(check: Check, measured: Measured, judgement: Judgement | None) -> tuple[Verdict, str]:
    if measured.error:
        return "errored", measured.error
    if judgement is None:
        return "missing", "it was measured, but nobody judged it"
    if judgement.error:
        return "errored", judgement.error
    if judgement.is_met:
        return "passed", ""
    unit = " rows" if check.measure in {"rows", "bad_rows"} else ""
    said = f"{measured.observed:,.10g}{unit}, expected {check.expected}"
    message = f"{said}: {measured.message}" if measured.message else said
    return ("failed" if check.severity == "block" else "warned"), message
