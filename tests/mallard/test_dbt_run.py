"""Before dbt runs: the space of large tables that it makes anew is free to be used again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from mallard import dbt_run


def node(name: str, materialized: str, kind: str = "model") -> SimpleNamespace:
    return SimpleNamespace(
        schema="core", alias=name, resource_type=kind, config=SimpleNamespace(materialized=materialized)
    )


@pytest.fixture
def candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dbt_run, "_LARGE_TABLE_ROWS", 200_000)
    path = tmp_path / "candidate.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema core")
        for name, rows in (("large", 200_000), ("small", 199_999), ("kept", 200_000), ("seed", 200_000)):
            connection.execute(f"create table core.{name} as select hash(i) as i from range({rows}) as r (i)")
    return path


MANIFEST = SimpleNamespace(
    nodes={
        "a": node("large", "table"),
        "b": node("small", "table"),
        "c": node("kept", "incremental"),
        "d": node("seed", "seed", kind="seed"),
        "e": node("unheard_of", "table"),
    }
)


def test_only_large_tables_that_are_made_anew_are_dropped(candidate: Path) -> None:
    dbt_run._drop_what_is_replaced(candidate, MANIFEST)
    with duckdb.connect(str(candidate)) as connection:
        assert connection.execute("select table_name from duckdb_tables() order by 1").fetchall() == [
            ("kept",), ("seed",), ("small",),
        ]  # fmt: skip


def test_their_space_is_used_again(candidate: Path) -> None:
    before = candidate.stat().st_size
    dbt_run._drop_what_is_replaced(candidate, MANIFEST)
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("create table core.large as select hash(i + 1) as i from range(200000) as r (i)")
    assert candidate.stat().st_size < 1.05 * before
