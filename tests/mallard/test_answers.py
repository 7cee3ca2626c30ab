"""docs/bi.md asks every mart and every fact, and shows what was answered."""

from __future__ import annotations

import re

import duckdb
import pytest

from mallard.answers import PAGE, answer_query, read_answers, write_answers
from mallard.settings import CHECKOUT
from publishing.promised import mart_columns

ANSWERS = read_answers(PAGE.read_text())
MARTS = sorted(f"marts.{mart}" for mart in mart_columns())
FACTS = sorted(f"core.{file.stem}" for file in (CHECKOUT / "dbt_project/models/core").glob("fct_*.sql"))
OPS = [f"ops.{name}" for name in ("publishes", "restatements", "quality_results", "load_audit", "quarantine")]


@pytest.mark.parametrize("table", [*MARTS, *FACTS, *OPS, "ops.freshness", "ops.excluded"])
def test_every_table_is_asked(table: str) -> None:
    assert any(re.search(rf"\b(from|join) {re.escape(table)}\b", query) for query, _ in ANSWERS)


@pytest.mark.parametrize(("query", "answer"), ANSWERS)
def test_every_query_has_an_answer_that_is_soon_read(query: str, answer: str) -> None:
    header, *rows = answer.splitlines()
    assert header.split()
    assert len(rows) <= 10
    # Only a shop that was loaded once has no restatements.
    assert rows or "ops.restatements" in query


def test_answers_are_written_beneath_their_queries() -> None:
    page = "a\n\n```sql\nselect 1\n```\n\nb\n\n```sql\nselect 2\n```\n\n```text\nold\n```\n\nc\n"
    written = write_answers(page, lambda query: f"{query.split()[1]}!\n")
    assert read_answers(written) == [("select 1\n", "1!\n"), ("select 2\n", "2!\n")]
    assert write_answers(written, lambda query: f"{query.split()[1]}!\n") == written
    assert "old" not in written
    assert [part for part in written.split("\n") if part in "abc" and part] == ["a", "b", "c"]


def test_the_page_is_as_it_would_be_written() -> None:
    answers = dict(ANSWERS)
    assert write_answers(PAGE.read_text(), answers.__getitem__) == PAGE.read_text()


def test_an_answer_is_a_line_for_each_row() -> None:
    with duckdb.connect() as connection:
        answer = answer_query(
            connection, "select 'x' as a, 1234.50::decimal(18, 2) as money union all select 'y', 2"
        )
    assert answer.splitlines() == ["a     money", "x  1,234.50", "y      2.00"]
