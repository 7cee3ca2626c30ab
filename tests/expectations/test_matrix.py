"""The mutation matrix: every check that blocks finds the defect that was seeded for it, and the registry says which.

A check for which nobody wrote a defect fails here, so that none is in the gate for show.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.dbt_results import _tests, dbt_results, expected_dbt_checks
from expectations.gate import _Facts
from expectations.landed import Given, make_new_relations
from expectations.measure import Measured, measure_scans, measure_suite
from expectations.registry import Check, Suite, read_suites
from expectations.verdict import runnable
from ingestion.contract import read_contracts
from ingestion.landing import read_manifests
from mallard.candidate import Candidate
from publishing.contents import connect
from tests.expectations.conftest import Built
from tests.expectations.defects import DEFECTS, defects_of

pytestmark = pytest.mark.slow

PREPARE = {suite.name: suite.prepare for suite in read_suites()}
NO_FACTS = {
    check.name: Given(0) for suite in read_suites() for check in suite.checks if check.measure == "given"
}
WRITTEN = [check for suite in read_suites() for check in suite.checks]
BLOCKING = [check for check in WRITTEN if check.severity == "block" and check.measure != "given"]


@dataclass
class Matrix:
    """A copy of the built candidate, with every landed row as a new one, and what dbt's tests ask."""

    connection: duckdb.DuckDBPyConnection
    dbt: dict[str, tuple[Check, dict[str, Any]]]

    def measure(self, check: Check) -> Measured:
        suite = Suite(check.suite, PREPARE.get(check.suite, ""), (check,))
        return (measure_scans(self.connection, [suite]) | measure_suite(self.connection, suite, {}))[
            check.name
        ]

    def find(self, check: Check, defect: str) -> Measured:
        """What the check measures with the defect; the candidate is as before afterwards."""
        self.connection.execute("begin transaction")
        try:
            self.connection.execute(defect)
            return self.measure(check)
        finally:
            self.connection.execute("rollback")


@pytest.fixture(scope="module")
def matrix(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp("matrix")
    for name in ("candidate.duckdb", "scratch.duckdb"):
        shutil.copy(built.settings.work / name, folder / name)
    with connect(folder / "candidate.duckdb", read_only=False) as connection:
        connection.execute(f"attach '{folder / 'scratch.duckdb'}' as scratch")
        make_new_relations(connection, read_manifests(built.settings))
        for feed, table in read_contracts():
            # Tables, not views of files: a defect can be put into them.
            name = f"new_{feed}__{table}"
            connection.execute(f"create temp table rows_of as from {name}")
            connection.execute(f"drop view {name}")
            connection.execute(f"alter table rows_of rename to {name}")
        yield Matrix(connection, _dbt_tests(built.candidate))


def _dbt_tests(candidate: Candidate) -> dict[str, tuple[Check, dict[str, Any]]]:
    manifest = json.loads((candidate.target / "manifest.json").read_text())
    results = json.loads((candidate.target / "run_results.json").read_text())["results"]
    compiled = {one["unique_id"]: one["compiled_code"] for one in results}
    nodes = _tests(manifest)
    found = {}
    for check in expected_dbt_checks(candidate):
        node = nodes.get(check.name)
        if node is not None:
            node["attached"] = manifest["nodes"].get(node.get("attached_node"))
            as_check = replace(check, measure="rows", sql=compiled[node["unique_id"]])
            found[check.name] = (as_check, node)
    return found


def is_met(check: Check, measured: Measured) -> bool:
    assert not measured.error, f"{check.name}: {measured.error}"
    assert measured.observed is not None
    return check.is_met(measured.observed)


def problems_of(matrix: Matrix, check: Check, node: dict[str, Any] | None = None) -> list[str]:
    """What is wrong with a check: nobody seeded a defect for it, or it lets one pass, or finds one without any."""
    defects = defects_of(matrix.connection, check, node)
    found = [] if defects else [f"{check.name}: no defect is seeded for it; write one in defects.py"]
    if not is_met(check, matrix.measure(check)):
        found.append(f"{check.name} fails without a defect")
    for defect in defects:
        measured = matrix.find(check, defect)
        is_structural = check.name.endswith(".has_its_columns")
        if not (measured.error and is_structural) and is_met(check, measured):
            found.append(f"{check.name} does not find: {' '.join(defect.split())[:150]}")
    return found


@pytest.mark.parametrize("check", BLOCKING, ids=lambda check: check.name)
def test_check_finds_its_defect(matrix: Matrix, check: Check) -> None:
    assert not problems_of(matrix, check)


def test_check_without_a_defect_fails_the_build(matrix: Matrix) -> None:
    stranger = replace(BLOCKING[0], name="facts.nobody_seeded_a_defect", suite="facts")
    assert "write one in defects.py" in problems_of(matrix, stranger)[0]


@pytest.mark.parametrize("name", [name for name in DEFECTS if not name.startswith("dbt.")])
def test_defect_is_found_by_no_unrelated_check(matrix: Matrix, name: str) -> None:
    """Related is what reads a table that the defect changed; nothing else may fail, and nothing may raise."""
    changed = set(re.findall(r"(?:update|into|delete from) (\w+\.\w+)", DEFECTS[name]))
    matrix.connection.execute("begin transaction")
    try:
        matrix.connection.execute(DEFECTS[name])
        measured = measure_scans(matrix.connection, read_suites())
        for suite in read_suites():
            measured |= measure_suite(matrix.connection, suite, NO_FACTS)
    finally:
        matrix.connection.execute("rollback")
    failed = [
        check for check in WRITTEN if check.measure != "given" and not is_met(check, measured[check.name])
    ]
    assert name in {check.name for check in failed}
    reads = {check.name: f"{check.table} {PREPARE.get(check.suite, '')} {check.sql}" for check in failed}
    assert not [check for check, sql in reads.items() if not any(table in sql for table in changed)]


def test_each_of_dbts_tests_finds_its_defect(matrix: Matrix) -> None:
    blocking = [(check, node) for check, node in matrix.dbt.values() if check.severity == "block"]
    assert len(blocking) > 100
    assert not [problem for check, node in blocking for problem in problems_of(matrix, check, node)]


def test_each_of_dbts_tests_has_a_reason_and_a_name_to_type(matrix: Matrix) -> None:
    checks = [check for check, _ in matrix.dbt.values()]
    assert not [check.name for check in checks if check.reason.startswith("dbt's test")]
    assert not [check.name for check in checks if len(check.name) > 70]


def test_no_defect_is_of_a_check_that_is_gone(matrix: Matrix) -> None:
    assert not DEFECTS.keys() - {check.name for check in WRITTEN} - matrix.dbt.keys()


# What no query on the candidate measures: the gate works it out from files, manifests and its own registry.
def _of_another_run(home: Built) -> Built:
    return replace(home, candidate=replace(home.candidate, run_id="another"))


def _without(statement: str) -> Callable[[Built], Built]:
    def spoil(home: Built) -> Built:
        with duckdb.connect(str(home.candidate.path)) as connection:
            connection.execute(statement)
        return home

    return spoil


def _cut_off_file(home: Built) -> Built:
    manifest = max((home.settings.landing / "orders/orders").glob("*/*.json"))
    (manifest.parent / json.loads(manifest.read_text())["file"]).unlink()
    return home


def _results(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[Built], Built]:
    def spoil(home: Built) -> Built:
        paths = [home.candidate.target / name for name in ("manifest.json", "run_results.json")]
        manifest, results = (json.loads(path.read_text()) for path in paths)
        change(manifest, results)
        for path, body in zip(paths, (manifest, results), strict=True):
            path.write_text(json.dumps(body))
        return home

    return spoil


def _as_of_yesterday(manifest: dict[str, Any], results: dict[str, Any]) -> None:
    results["metadata"]["generated_at"] = "2025-11-01T00:00:00Z"


def _with_a_failed_model(manifest: dict[str, Any], results: dict[str, Any]) -> None:
    next(one for one in results["results"] if one["unique_id"].startswith("model."))["status"] = "error"


def _with_a_disabled_test(manifest: dict[str, Any], results: dict[str, Any]) -> None:
    manifest["disabled"] = {"test.mallard.off": [{"name": "off"}]}


def _with_an_untested_mart(manifest: dict[str, Any], results: dict[str, Any]) -> None:
    for unique_id, node in list(manifest["nodes"].items()):
        tested = [one.rsplit(".", 1)[-1] for one in node.get("depends_on", {}).get("nodes", [])]
        if node["resource_type"] == "test" and "referral" in tested:
            del manifest["nodes"][unique_id]


def _with_a_mart_without_its_key(manifest: dict[str, Any], results: dict[str, Any]) -> None:
    # Its other tests stay.
    del manifest["nodes"][
        next(key for key, node in manifest["nodes"].items() if node["name"] == "keys_of_customer_rfm")
    ]


GIVEN: dict[str, Callable[[Built], Built]] = {
    "gate.run_is_this_run": _of_another_run,
    "gate.tables_are_there": _without("drop table core.dim_slot"),
    "gate.no_table_was_emptied": _without("delete from marts.repurchase"),
    "gate.no_suite_was_dropped": lambda home: home,
    "deliveries.manifests_are_audited": _without(
        "delete from ops.load_audit where delivery = (select max(delivery) from ops.load_audit)"
    ),
    "deliveries.files_hold_their_rows": _cut_off_file,
    "dbt.results_are_of_this_run": _results(_as_of_yesterday),
    "dbt.every_model_was_built": _results(_with_a_failed_model),
    "dbt.nothing_is_disabled": _results(_with_a_disabled_test),
    "dbt.every_mart_is_tested": _results(_with_an_untested_mart),
    "dbt.every_mart_has_its_key": _results(_with_a_mart_without_its_key),
}


def test_every_given_check_that_blocks_has_a_defect(built: Built) -> None:
    expected = {check.name for check in WRITTEN if check.severity == "block" and check.measure == "given"}
    tests = _dbt_tests(built.candidate)
    expected |= {check.name for check in expected_dbt_checks(built.candidate)} - tests.keys()
    assert GIVEN.keys() == expected


@pytest.mark.parametrize("name", GIVEN)
def test_given_check_finds_its_defect(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = _copy(built, tmp_path)
    assert _given(home, name) == 0
    spoilt = GIVEN[name](home)
    if name == "gate.no_suite_was_dropped":
        rest = tuple(suite for suite in read_suites() if suite.name != "facts")
        monkeypatch.setattr("expectations.gate.read_suites", lambda: rest)
    assert _given(spoilt, name) > 0


def _copy(built: Built, folder: Path) -> Built:
    home = folder / "home"
    shutil.copytree(built.settings.home, home, symlinks=True)
    work = home / "work"
    candidate = replace(
        built.candidate, path=work / built.candidate.path.name, target=work / built.candidate.target.name
    )
    return replace(built, settings=replace(built.settings, home=home), candidate=candidate)


def _given(home: Built, name: str) -> float:
    with connect(home.candidate.path) as connection:
        if name.startswith("dbt."):
            results = {one.name: one.observed for one in dbt_results(home.candidate, connection)}
            return results[name] or 0.0
        number = _Facts(home.settings, home.candidate, connection).given[name]
    assert not number.error
    return number.observed


def test_queries_of_the_report_run_on_the_candidate_as_it_stands(built: Built) -> None:
    with connect(built.candidate.path) as connection:
        for suite in read_suites():
            for check in suite.checks:
                if check.sql:
                    # A cursor has temporary tables of its own: no query may lean on those of another.
                    connection.cursor().execute(runnable(check.rows_sql, suite.prepare))
