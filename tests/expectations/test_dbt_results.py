"""dbt's tests as checks: whatever did not run, or is not of this run, is a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations import dbt_results as module
from expectations.dbt_results import dbt_results, expected_dbt_checks, expected_tables
from mallard.candidate import Candidate
from publishing.receipt import CheckResult

STARTED = datetime(2025, 11, 3, 5, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def one_mart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "built_marts", lambda: ("gmv_daily",))


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'; create schema ops")
        opened.execute("create table ops.run as select ?::timestamptz as started_at", [STARTED])
        yield opened


class Project:
    """A dbt target folder of two models and two tests, all fine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.manifest: dict[str, Any] = {
            "metadata": {"invocation_id": "parsed"},
            "nodes": {
                "model.mallard.gmv_daily": self.node("model", "gmv_daily", materialized="table"),
                "model.mallard.stg_orders": self.node(
                    "model", "stg_orders", materialized="view", schema="staging"
                ),
                "test.mallard.unique": self.node("test", "unique_gmv_daily_dt", on="gmv_daily"),
                "test.mallard.usual": self.node(
                    "test", "gmv_daily_is_usual", on="gmv_daily", severity="WARN"
                ),
            },
            "unit_tests": {"unit_test.mallard.gmv_daily.edges": {"name": "edges"}},
            "disabled": {},
        }
        self.results: dict[str, Any] = {
            "metadata": {
                "invocation_id": "built",
                "generated_at": (STARTED + timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
            },
            "results": [
                self.result("model.mallard.gmv_daily", "success"),
                self.result("model.mallard.stg_orders", "success"),
                self.result("test.mallard.unique", "pass", failures=0),
                self.result("test.mallard.usual", "pass", failures=0),
            ],
        }

    def node(
        self, kind: str, name: str, *, on: str = "", schema: str = "marts", **config: str
    ) -> dict[str, Any]:
        return {
            "unique_id": f"{kind}.mallard.{name if kind == 'model' else name.split('_', maxsplit=1)[0]}",
            "name": name,
            "resource_type": kind,
            "schema": schema,
            "database": "candidate",
            "config": config,
            "depends_on": {"nodes": [f"model.mallard.{on}"] if on else []},
            "attached_node": f"model.mallard.{on}" if on else None,
            "column_name": "dt" if on else None,
            "test_metadata": {
                "name": "one_row_per",
                "kwargs": {"model": "…", "arguments": {"columns": ["dt"], "never_null": ["dt", "gmv"]}},
            }
            if name.startswith("unique")
            else None,
        }

    def result(
        self, unique_id: str, status: str, failures: int | None = None, message: str = ""
    ) -> dict[str, Any]:
        return {
            "unique_id": unique_id,
            "status": status,
            "failures": failures,
            "message": message,
            "compiled_code": "select 1",
        }

    def set(self, unique_id: str, status: str, **more: Any) -> None:
        for one in self.results["results"]:
            if one["unique_id"] == unique_id:
                one.update(status=status, **more)

    def drop(self, unique_id: str) -> None:
        self.results["results"] = [one for one in self.results["results"] if one["unique_id"] != unique_id]

    def candidate(self) -> Candidate:
        self.manifest["nodes"]["test.mallard.unique"]["unique_id"] = "test.mallard.unique"
        self.manifest["nodes"]["test.mallard.usual"]["unique_id"] = "test.mallard.usual"
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))
        (self.folder / "run_results.json").write_text(json.dumps(self.results))
        return Candidate(
            Path("x"), "run", 1, None, date(2025, 11, 2), self.folder, is_full_refresh=True, new_deliveries=1
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "target")


def judge(project: Project, connection: duckdb.DuckDBPyConnection) -> dict[str, CheckResult]:
    candidate = project.candidate()
    results = dbt_results(candidate, connection)
    assert {one.name for one in results} == {check.name for check in expected_dbt_checks(candidate)}
    return {one.name.removeprefix("dbt."): one for one in results}


def blocking(results: dict[str, CheckResult]) -> set[str]:
    return {name for name, one in results.items() if one.blocks}


def test_clean_run_passes(project: Project, connection: duckdb.DuckDBPyConnection) -> None:
    results = judge(project, connection)
    assert {one.verdict for one in results.values()} == {"passed"}
    assert results["unique_gmv_daily_dt"].table == "gmv_daily"


def test_failed_test_blocks_with_its_count_and_sql(
    project: Project, connection: duckdb.DuckDBPyConnection
) -> None:
    project.set(
        "test.mallard.unique", "fail", failures=3000, message="Got 3000 results, configured to fail if != 0"
    )
    found = judge(project, connection)["unique_gmv_daily_dt"]
    assert (found.verdict, found.observed, found.message, found.sql) == (
        "failed",
        3000.0,
        "3,000 rows, expected none",
        "select 1",
    )


def test_a_test_with_limits_of_its_own_is_told_with_them(
    project: Project, connection: duckdb.DuckDBPyConnection
) -> None:
    project.manifest["nodes"]["test.mallard.unique"]["config"] = {"error_if": "> 10", "warn_if": "!= 0"}
    project.set(
        "test.mallard.unique", "fail", failures=30, message="Got 30 results, configured to fail if > 10"
    )
    assert "> 10" in judge(project, connection)["unique_gmv_daily_dt"].message


def test_warning_is_told_where_it_is_meant_and_blocks_where_it_is_not(
    project: Project, connection: duckdb.DuckDBPyConnection
) -> None:
    project.set("test.mallard.usual", "warn", failures=1)
    assert judge(project, connection)["gmv_daily_is_usual"].verdict == "warned"
    project.set("test.mallard.unique", "warn", failures=1)
    assert blocking(judge(project, connection)) == {"unique_gmv_daily_dt"}


@pytest.mark.parametrize(
    ("status", "verdict"), [("error", "errored"), ("skipped", "missing"), ("runtime error", "errored")]
)
def test_test_that_raised_or_was_skipped_blocks_even_if_it_only_warns(
    project: Project, connection: duckdb.DuckDBPyConnection, status: str, verdict: str
) -> None:
    project.set("test.mallard.usual", status, failures=None, message="no such column")
    assert judge(project, connection)["gmv_daily_is_usual"].verdict == verdict


def test_deselected_test_blocks(project: Project, connection: duckdb.DuckDBPyConnection) -> None:
    project.drop("test.mallard.unique")
    found = judge(project, connection)
    assert blocking(found) == {"unique_gmv_daily_dt"}
    assert found["unique_gmv_daily_dt"].verdict == "missing"


@pytest.mark.parametrize("status", ["error", "skipped", None])
def test_model_that_was_not_built_blocks(
    project: Project, connection: duckdb.DuckDBPyConnection, status: str | None
) -> None:
    if status:
        project.set("model.mallard.gmv_daily", status)
    else:
        project.drop("model.mallard.gmv_daily")
    found = judge(project, connection)
    assert blocking(found) == {"every_model_was_built"}
    assert "gmv_daily" in found["every_model_was_built"].message


def test_disabled_test_blocks(project: Project, connection: duckdb.DuckDBPyConnection) -> None:
    project.manifest["disabled"] = {"test.mallard.sums": [{"name": "sums_add_up"}]}
    assert blocking(judge(project, connection)) == {"nothing_is_disabled"}


def test_mart_without_a_test_blocks(project: Project, connection: duckdb.DuckDBPyConnection) -> None:
    for name in ("unique", "usual"):
        del project.manifest["nodes"][f"test.mallard.{name}"]
        project.drop(f"test.mallard.{name}")
    project.manifest["nodes"]["test.mallard.unique"] = project.node("test", "unique_stg", on="stg_orders")
    project.manifest["nodes"]["test.mallard.usual"] = project.node("test", "usual_stg", on="stg_orders")
    project.results["results"] += [
        project.result("test.mallard.unique", "pass", 0),
        project.result("test.mallard.usual", "pass", 0),
    ]
    assert blocking(judge(project, connection)) == {"every_mart_is_tested", "every_mart_has_its_key"}


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ({"columns": ["dt", "channel"], "never_null": ["dt"]}, {}),
        ({"columns": ["dt"], "never_null": ["gmv"]}, {}),
        ({"columns": ["dt"]}, {}),
        ({"columns": ["dt"], "never_null": ["dt"]}, {"severity": "warn"}),
        ({"columns": ["dt"], "never_null": ["dt"]}, {"where": "dt > '2025-01-01'"}),
        ({"columns": ["dt"], "never_null": ["dt"]}, {"error_if": "> 10"}),
        ({"columns": ["dt"], "never_null": ["dt"]}, {"meta": {"protects": "plausibility"}}),
    ],
)
def test_mart_whose_promised_grain_nobody_tests_blocks(
    project: Project,
    connection: duckdb.DuckDBPyConnection,
    arguments: dict[str, Any],
    config: dict[str, Any],
) -> None:
    key = project.manifest["nodes"]["test.mallard.unique"]
    key["test_metadata"]["kwargs"]["arguments"], key["config"] = arguments, config
    found = judge(project, connection)
    assert blocking(found) == {"every_mart_has_its_key"}
    assert "gmv_daily: no test one_row_per of (dt)" in found["every_mart_has_its_key"].message


def test_key_of_part_of_the_grain_is_a_key_of_the_grain(
    project: Project, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "built_marts", lambda: ("rfm_segments",))
    key = project.manifest["nodes"]["test.mallard.unique"]
    key["attached_node"] = "model.mallard.rfm_segments"
    key["test_metadata"]["kwargs"]["arguments"] = {"columns": ["segment"], "never_null": ["dt", "segment"]}
    assert "every_mart_has_its_key" not in blocking(judge(project, connection))


def test_results_of_an_earlier_run_are_no_results(
    project: Project, connection: duckdb.DuckDBPyConnection
) -> None:
    project.results["metadata"]["generated_at"] = (STARTED - timedelta(hours=1)).isoformat()
    found = judge(project, connection)
    assert "before this run began" in found["results_are_of_this_run"].message
    assert {"unique_gmv_daily_dt", "every_model_was_built"} <= blocking(found)


def test_results_of_another_project_are_no_results(
    project: Project, connection: duckdb.DuckDBPyConnection
) -> None:
    project.results["results"].append(project.result("test.mallard.gone", "pass", 0))
    found = judge(project, connection)
    assert "test.mallard.gone" in found["results_are_of_this_run"].message
    assert "unique_gmv_daily_dt" in blocking(found)


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json"])
@pytest.mark.parametrize("content", [None, "{half", "[]"])
def test_missing_or_damaged_results_block(
    project: Project, connection: duckdb.DuckDBPyConnection, name: str, content: str | None
) -> None:
    candidate = project.candidate()
    path = project.folder / name
    path.unlink() if content is None else path.write_text(content)
    found = {one.name for one in dbt_results(candidate, connection) if one.blocks}
    assert {"dbt.results_are_of_this_run", "dbt.every_model_was_built"} <= found


def test_expected_tables_are_those_of_the_candidate_itself(project: Project) -> None:
    scratch = project.node("model", "int_events", materialized="table", schema="clickstream")
    project.manifest["nodes"]["model.mallard.int_events"] = {**scratch, "database": "scratch"}
    assert expected_tables(project.candidate(), "candidate") == {"marts.gmv_daily"}
