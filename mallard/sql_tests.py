"""Run dbt's unit tests of the models: ``python -m mallard.sql_tests``. They need tables, not data."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from mallard.candidate import Candidate
from mallard.dbt_run import dbt_failures, invoke_dbt
from mallard.errors import MallardError
from mallard.prepare import Base, prepare
from mallard.rules import check_rules
from mallard.settings import Settings


def main() -> int:
    """Build every model once over an empty landing zone, then run the unit tests on it.

    Returns:
        0 where all passed, 1 where one failed, 2 where there was none to run.
    """
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
        invoke_dbt(settings, candidate.path, candidate.target, ["test", "--select", "test_type:unit"], print)
        return _report(candidate, "unit tests of models")


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
