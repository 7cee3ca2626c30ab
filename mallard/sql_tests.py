"""Run dbt's unit tests of the models, and look that everything is described: ``python -m mallard.sql_tests``.

They need tables, not data.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.candidate import Candidate
from mallard.dbt_run import dbt_failures, invoke_dbt
from mallard.errors import MallardError
from mallard.prepare import Base, prepare
from mallard.rules import check_rules
from mallard.settings import Settings

if TYPE_CHECKING:
    import duckdb


def main() -> int:
    """Build every model once over an empty landing zone, then run the unit tests on it.

    Returns:
        0 where all passed, 1 where one failed or a column has no description, 2 where there was none to run.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="mallard-sql-tests-") as folder:
        settings = Settings(home=Path(folder))
        candidate = prepare_empty_candidate(settings)
        built = invoke_dbt(
            settings,
            candidate.path,
            candidate.target,
            ["build", "--exclude-resource-type", "unit_test"],
            print,
        )
        if not built:
            return _report(candidate, "empty warehouse")
        with duckdb.connect(str(candidate.path), read_only=True) as connection:
            connection.execute(f"attach '{settings.work / 'scratch.duckdb'}' as scratch (read_only)")
            gaps = undescribed(candidate.target / "manifest.json", connection)
        for gap in gaps:
            print(f"{gap} has no description")
        invoke_dbt(settings, candidate.path, candidate.target, ["test", "--select", "test_type:unit"], print)
        return _report(candidate, "unit tests of models") or int(bool(gaps))


def undescribed(manifest: Path, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What of a warehouse `make docs` would show without a word: tables, and columns as schema.table.column.

    Columns of landed files are left out: their contracts describe them.
    """
    project = json.loads(manifest.read_text())
    described: dict[tuple[str, str], set[str]] = {}
    for node in [*project["nodes"].values(), *project["sources"].values()]:
        if node["resource_type"] in ("model", "seed", "source") and node["description"].strip():
            columns = {name for name, column in node["columns"].items() if column["description"].strip()}
            described[node["schema"], node.get("alias") or node["name"]] = columns
    there = connection.execute(
        """
        select schema_name, table_name, column_name from duckdb_columns()
        where not internal
        order by schema_name, table_name, column_index
        """
    ).fetchall()
    gaps = [
        f"{schema}.{table}.{column}"
        for schema, table, column in there
        if schema != "landing" and column not in described.get((schema, table), ())
    ]
    tables = dict.fromkeys((schema, table) for schema, table, _ in there)
    return gaps + [f"{schema}.{table}" for schema, table in tables if (schema, table) not in described]


def prepare_empty_candidate(settings: Settings) -> Candidate:
    """A candidate over a landing zone in which every table is empty.

    Raises:
        SettingsError: a seed or a variable of the dbt project holds what it may not.
    """
    check_rules()
    settings.work.mkdir(parents=True, exist_ok=True)
    candidate = Candidate(
        path=settings.work / "candidate.duckdb",
        run_id="empty",
        version=1,
        base_version=None,
        as_of=date(2025, 11, 30),
        target=settings.work / "target",
        is_full_refresh=True,
        new_deliveries=0,
    )
    prepare(settings, candidate, Base(None, None, "", frozenset()), [], set(), "", datetime.now(UTC))
    return candidate


def _report(candidate: Candidate, what: str) -> int:
    results = json.loads((candidate.target / "run_results.json").read_text())["results"]
    failures = dbt_failures(candidate)
    for failure in failures:
        print(f"{failure['unique_id']}: {failure['status']}\n{failure['message']}\n")
    print(f"{what}: {len(results) - len(failures)} passed, {len(failures)} failed")
    if not results:
        return 2
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MallardError as error:
        sys.exit(str(error))
