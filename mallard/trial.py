"""Try one model on a copy of the published data: an analyst's loop of seconds."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mallard.dbt_run import DBT_PROJECT, invoke_dbt
from mallard.errors import MallardError, NothingToDoError

if TYPE_CHECKING:
    from mallard.progress import Progress
    from mallard.settings import Settings


@dataclass(frozen=True)
class Trial:
    """What a model gave: its first rows, how many tests ran on it, and those that did not pass."""

    table: str
    columns: list[str]
    rows: list[tuple[object, ...]]
    tests: int
    failures: list[tuple[str, str]]


def try_model(settings: Settings, model: str, *, limit: int, progress: Progress) -> Trial:
    """Compute ``model`` on a copy of the published file, and run its tests and unit tests there.

    Models that read landed rows (staging and what reads it) have nothing to read in a published file; all
    others do: marts, and what is built on facts and dimensions.

    Raises:
        NothingToDoError: nothing is published to try it on.
        SettingsError: a seed or a variable of the dbt project holds what it may not.
        MallardError: there is no such model, or it does not run.
    """
    import duckdb

    from mallard.rules import check_rules
    from publishing.copy import copy_file
    from publishing.versions import current_version

    models = {path.stem: path for path in (DBT_PROJECT / "models").rglob("*.sql")}
    if model not in models:
        near = difflib.get_close_matches(model, models, n=1) or ["gmv_daily"]
        raise MallardError(
            f"There is no model {model!r}.",
            expected="the name of a file under dbt_project/models, without .sql",
            found=model,
            mend=f"mallard try {near[0]}",
        )
    current = current_version(settings)
    if current is None:
        raise NothingToDoError("Nothing is published to try it on.", mend="mallard load --inbox DIR")
    check_rules()
    copy = settings.work / "trial.duckdb"
    target = settings.work / "trial"
    copy_file(current.path, copy)
    try:
        with progress.stage(f"Computing {model}") as tick:
            invoke_dbt(settings, copy, target, ["build", "--select", model], tick)
        results = json.loads((target / "run_results.json").read_text())["results"]
        tests = [result for result in results if not result["unique_id"].startswith("model.")]
        failures = [result for result in results if result["status"] not in ("success", "pass")]
        broken = [result for result in failures if result["unique_id"].startswith("model.")]
        if broken:
            raise MallardError(
                f"{model} does not run.",
                where=str(models[model]),
                found=str(broken[0]["message"] or "").strip(),
            )
        with duckdb.connect(str(copy), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            schema = connection.execute(
                "select schema_name from duckdb_tables() where table_name = ?", [model]
            ).fetchone()
            table = f"{schema[0] if schema else 'marts'}.{model}"
            answer = connection.sql(f"select * from {table} limit {limit}")
            rows, columns = answer.fetchall(), answer.columns
    finally:
        copy.unlink(missing_ok=True)
    return Trial(
        table=table,
        columns=columns,
        rows=rows,
        tests=len(tests),
        failures=[(result["unique_id"], str(result["message"] or result["status"])) for result in failures],
    )
