"""dbt's tests as checks: expected from the manifest of the project, judged from the results of this very run."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args

import duckdb

from expectations.dbt_words import arguments_of, kind_of, model_of, reason_of, short_name
from expectations.generated import built_marts
from expectations.registry import Check, Protects
from mallard.candidate import Candidate
from mallard.errors import SettingsError
from publishing.promised import mart_grain
from publishing.receipt import CheckResult, Severity, Verdict

# What dbt builds; ephemeral models are part of others.
BUILT = frozenset({"model", "seed", "snapshot"})
# dbt's tests of keys; what else judges a column judges plausibility, and a query of its own reconciles. A test says
# otherwise with `config: {meta: {protects: …}}`.
KEY_TESTS = frozenset({"not_null", "unique", "relationships", "never_null", "one_row_per"})
_MEND = "correct the model, or the delivery that its rows come from, and load again; dbt's own log is work/logs/dbt.log"


def expected_dbt_checks(candidate: Candidate) -> list[Check]:
    """A check per data test of the project, and five about the run as a whole.

    Unit tests are not among them: they judge the code on made-up rows, not the candidate, and run in
    ``make test``. Tests that a project disables are counted, not forgotten.
    """
    manifest = _read(candidate.target / "manifest.json")
    return _run_checks() + [_test_check(name, node) for name, node in _tests(manifest).items()]


def dbt_results(candidate: Candidate, connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """What became of every expected dbt check."""
    manifest = _read(candidate.target / "manifest.json")
    results = _read(candidate.target / "run_results.json")
    statuses = {one["unique_id"]: one for one in results.get("results", [])}
    problem = _not_of_this_run(manifest, results, connection)
    if problem:
        # Results of another run say nothing about this candidate.
        statuses = {}
    findings = {
        "results_are_of_this_run": [problem] if problem else [],
        "every_model_was_built": _not_built(manifest, statuses),
        "nothing_is_disabled": _disabled(manifest),
        "every_mart_is_tested": _untested_marts(manifest),
        "every_mart_has_its_key": _marts_without_key(manifest),
    }
    judged = []
    for check in _run_checks():
        found = findings[check.name.removeprefix("dbt.")]
        message = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if found[5:] else "")
        verdict: Verdict = "passed"
        if found:
            verdict = "failed" if check.severity == "block" else "warned"
        judged.append(_result(check, verdict, float(len(found)), message))
    for name, node in _tests(manifest).items():
        judged.append(_judge(_test_check(name, node), node, statuses.get(node["unique_id"])))
    return judged


def _run_checks() -> list[Check]:
    entries: list[tuple[str, Severity, str]] = [
        ("results_are_of_this_run", "block", "dbt's results are those of the run that built this candidate."),
        ("every_model_was_built", "block", "A model that failed or was skipped leaves old rows, or none."),
        ("nothing_is_disabled", "block", "A test or model that is switched off checks nothing."),
        (
            "every_mart_is_tested",
            "block",
            "A mart without a test of its own is published on trust.",
        ),
        (
            "every_mart_has_its_key",
            "block",
            "A row that is there twice counts twice; one that belongs to nothing is found by no filter.",
        ),
    ]
    return [
        Check(
            name=f"dbt.{name}",
            suite="dbt",
            gate="warehouse",
            table="dbt",
            columns="",
            severity=severity,
            reason=reason,
            mend=_MEND,
            measure="given",
        )
        for name, severity, reason in entries
    ]


def _tests(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The data tests by a short name; by dbt's own, or its whole id, where two share one."""
    nodes = [node for node in manifest.get("nodes", {}).values() if node["resource_type"] == "test"]
    short = Counter(map(short_name, nodes))
    long = Counter(node["name"] for node in nodes)

    def name(node: dict[str, Any]) -> str:
        if short[short_name(node)] == 1:
            return short_name(node)
        return str(node["name"] if long[node["name"]] == 1 else node["unique_id"])

    return {f"dbt.{name(node)}": node for node in nodes}


def _test_check(name: str, node: dict[str, Any]) -> Check:
    return Check(
        name=name,
        suite="dbt",
        gate="warehouse",
        table=model_of(node),
        columns=node.get("column_name") or "",
        severity=_severity(node),
        reason=reason_of(node),
        mend=_MEND,
        measure="given",
        protects=_protects(name, node),
    )


def _protects(name: str, node: dict[str, Any]) -> Protects:
    said = node.get("config", {}).get("meta", {}).get("protects")
    if said in get_args(Protects):
        return cast("Protects", said)
    if said is not None:
        raise SettingsError(
            f"{name} protects something that there is not.",
            where=node.get("original_file_path", ""),
            expected=", ".join(get_args(Protects)),
            found=str(said),
            mend="correct config.meta.protects of the test",
        )
    kind = kind_of(node)
    if not kind:
        return "conservation"
    return "contract" if kind in KEY_TESTS else "plausibility"


def _severity(node: dict[str, Any]) -> Severity:
    return "warn" if str(node.get("config", {}).get("severity", "error")).lower() == "warn" else "block"


def _judge(check: Check, node: dict[str, Any], result: dict[str, Any] | None) -> CheckResult:
    sql = (result or {}).get("compiled_code") or node.get("compiled_code") or ""
    if result is None:
        return _result(check, "missing", None, "dbt did not run it", sql)
    status, message = result["status"], " ".join((result.get("message") or "").split())
    failures = result.get("failures")
    observed = None if failures is None else float(failures)
    verdicts: dict[str, Verdict] = {
        "pass": "passed",
        "warn": "warned" if check.severity == "warn" else "failed",
        "fail": "failed",
        "skipped": "missing",
    }
    verdict = verdicts.get(status, "errored")
    if verdict == "missing":
        message = "dbt skipped it: something that it depends on failed"
    elif verdict in {"failed", "warned"} and observed is not None and not _has_limits(node):
        message = f"{observed:,.0f} rows, expected none"
    return _result(check, verdict, observed, message, sql)


def _has_limits(node: dict[str, Any]) -> bool:
    """Whether the test says how many rows it lets pass: then dbt's message tells of it."""
    config = node.get("config", {})
    return any(config.get(limit) not in {None, "!= 0"} for limit in ("error_if", "warn_if"))


def _result(
    check: Check, verdict: Verdict, observed: float | None, message: str, sql: str = ""
) -> CheckResult:
    expected = "no failing row" if check.table != "dbt" else "none"
    return check.result(verdict, observed, message=message, sql=sql.strip(), expected=expected)


def _not_of_this_run(
    manifest: dict[str, Any], results: dict[str, Any], connection: duckdb.DuckDBPyConnection
) -> str:
    """Why the results are not this run's; empty if they are."""
    if not manifest:
        return "there is no manifest.json"
    if not results:
        return "there is no run_results.json"
    # A process parses the project once and builds with that manifest, so their invocations may differ; what
    # was run must be what was parsed.
    known = manifest["nodes"].keys() | manifest.get("unit_tests", {}).keys()
    strangers = [one["unique_id"] for one in results["results"] if one["unique_id"] not in known]
    if strangers:
        return (
            f"{len(strangers)} results are of nodes that the manifest does not know, such as {strangers[0]}"
        )
    written = datetime.fromisoformat(results["metadata"]["generated_at"])
    row: Any = connection.execute("select max(started_at) from ops.run").fetchone()
    started = row[0]
    if started is None or written < started:
        return f"the results were written at {written}, before this run began at {started}"
    return ""


def _not_built(manifest: dict[str, Any], statuses: dict[str, dict[str, Any]]) -> list[str]:
    missing = []
    for unique_id, node in manifest.get("nodes", {}).items():
        is_built = node["resource_type"] in BUILT and node["config"].get("materialized") != "ephemeral"
        status = statuses.get(unique_id, {}).get("status", "not run")
        if is_built and status != "success":
            missing.append(f"{node['name']}: {status}")
    if not manifest.get("nodes"):
        missing.append("the project has no node")
    return missing


def _disabled(manifest: dict[str, Any]) -> list[str]:
    return [node["name"] for nodes in manifest.get("disabled", {}).values() for node in nodes]


def _untested_marts(manifest: dict[str, Any]) -> list[str]:
    tested = {
        dependency.rsplit(".", 1)[-1]
        for node in _tests(manifest).values()
        for dependency in node.get("depends_on", {}).get("nodes", [])
    }
    return [mart for mart in built_marts() if mart not in tested]


def _marts_without_key(manifest: dict[str, Any]) -> list[str]:
    """Marts of ``marts_columns.csv`` of which no test that lets nothing pass says that their grain is unique and there."""
    tested: dict[str, list[tuple[set[str], set[str]]]] = defaultdict(list)
    for name, node in _tests(manifest).items():
        if kind_of(node) == "one_row_per" and _lets_nothing_pass(name, node):
            key = arguments_of(node)
            tested[model_of(node)].append((set(key["columns"]), set(key.get("never_null", ()))))
    found = []
    for mart in built_marts():
        grain = set(mart_grain(mart))
        if grain and not any(columns <= grain <= there for columns, there in tested[mart]):
            found.append(
                f"{mart}: no test one_row_per of ({', '.join(sorted(grain))}), all of them never_null"
            )
    return found


def _lets_nothing_pass(name: str, node: dict[str, Any]) -> bool:
    """Whether a test blocks on a single row of the whole table, and nobody can accept it."""
    is_of_all_rows = not node["config"].get("where") and not _has_limits(node)
    return is_of_all_rows and _severity(node) == "block" and _protects(name, node) != "plausibility"


def expected_tables(candidate: Candidate, database: str) -> set[str]:
    """``schema.table`` of everything that the project builds into the candidate itself."""
    manifest = _read(candidate.target / "manifest.json")
    return {
        f"{node['schema']}.{node.get('alias') or node['name']}"
        for node in manifest.get("nodes", {}).values()
        if node["resource_type"] in BUILT
        and node["config"].get("materialized") not in {"view", "ephemeral"}
        and node.get("database") in {database, None}
    }


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of dbt's; empty where there is none, or it is damaged: then no test has run."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
