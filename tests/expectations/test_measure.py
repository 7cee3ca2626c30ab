"""Measuring: one number per check, and a check that raises blames nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.landed import Given
from expectations.measure import measure_scans, measure_suite
from expectations.registry import Check, Suite


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(
            "create table t as select * from (values (1, 'a'), (2, null), (-3, 'c')) as v (n, word)"
        )
        yield opened


def make_check(name: str, measure: str, sql: str = "") -> Check:
    return Check(
        name=name,
        suite="s",
        gate="warehouse",
        table="t",
        columns="",
        severity="block",
        reason="",
        mend="",
        measure=measure,  # type: ignore[arg-type]
        sql=sql,
    )


def test_conditions_rows_values_and_given_numbers_are_measured(connection: duckdb.DuckDBPyConnection) -> None:
    suite = Suite(
        "s",
        "create temp table prepared as select 5 as five",
        (
            make_check("negative", "bad_rows", "n < 0"),
            make_check("wordless", "bad_rows", "word is null"),
            make_check("rows", "rows", "select * from t where n > 0 -- a comment at the end"),
            make_check("value", "value", "select five from prepared"),
            make_check("given", "given"),
        ),
    )
    measured = measure_scans(connection, [suite]) | measure_suite(
        connection, suite, {"given": Given(7, "seven")}
    )
    assert {name: one.observed for name, one in measured.items()} == {
        "negative": 1,
        "wordless": 1,
        "rows": 2,
        "value": 5,
        "given": 7,
    }


def test_condition_that_raises_leaves_the_others_their_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    suite = Suite(
        "s", "", (make_check("good", "bad_rows", "n < 0"), make_check("renamed", "bad_rows", "amount < 0"))
    )
    measured = measure_scans(connection, [suite])
    assert measured["good"].observed == 1
    assert measured["renamed"].observed is None
    assert "amount" in measured["renamed"].error


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (make_check("x", "value", "select null"), "NULL is not a number"),
        (make_check("x", "value", "select 'many'"), "not a number"),
        (make_check("x", "value", "select 1, 2"), "not one number"),
        (make_check("x", "value", "select n from t"), "3 rows, not one number"),
        (make_check("x", "rows", "select * from gone"), "gone"),
        (make_check("x", "given"), "nothing was measured"),
    ],
)
def test_measurement_without_a_number_is_an_error(
    connection: duckdb.DuckDBPyConnection, check: Check, error: str
) -> None:
    measured = measure_suite(connection, Suite("s", "", (check,)), {})["x"]
    assert error in measured.error


def test_suite_that_cannot_be_prepared_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    suite = Suite(
        "s", "create temp table p as select * from gone", (make_check("x", "rows", "select * from p"),)
    )
    assert "could not be prepared" in measure_suite(connection, suite, {})["x"].error
