"""Measuring: DuckDB scans, and each check becomes one number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from expectations.landed import Given
from expectations.registry import Check, Suite
from publishing.contents import identifier


@dataclass(frozen=True)
class Measured:
    """What a check's measurement gave: a number, or why there is none."""

    observed: float | None
    message: str = ""
    error: str = ""


def measure_scans(connection: duckdb.DuckDBPyConnection, suites: Sequence[Suite]) -> dict[str, Measured]:
    """Count the bad rows of all suites' conditions: one pass over each relation, however many checks it has."""
    scans: dict[str, list[Check]] = defaultdict(list)
    for suite in suites:
        for check in suite.checks:
            if check.measure == "bad_rows":
                scans[check.relation].append(check)
    measured: dict[str, Measured] = {}
    for relation, checks in scans.items():
        measured |= _scan(connection, relation, checks)
    return measured


def measure_suite(
    connection: duckdb.DuckDBPyConnection, suite: Suite, given: Mapping[str, Given]
) -> dict[str, Measured]:
    """Measure every check of a suite that is not a scan. One that raises is an error of that check alone."""
    failure = ""
    if suite.prepare:
        try:
            connection.execute(suite.prepare)
        except duckdb.Error as error:
            failure = f"the suite could not be prepared: {say(error)}"
    measured: dict[str, Measured] = {}
    for check in suite.checks:
        if check.measure == "given":
            measured[check.name] = _measure_given(check, given)
        elif check.measure != "bad_rows":
            measured[check.name] = _measure_query(connection, check, failure)
    return measured


def _measure_given(check: Check, given: Mapping[str, Given]) -> Measured:
    number = given.get(check.name)
    if number is None:
        return Measured(None, error="nothing was measured")
    if number.error:
        return Measured(None, error=number.error)
    return Measured(number.observed, number.message)


def _measure_query(connection: duckdb.DuckDBPyConnection, check: Check, failure: str) -> Measured:
    sql = f"select count(*) from ({check.sql}\n)" if check.measure == "rows" else check.sql
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error as error:
        return Measured(None, error=failure or say(error))
    if len(rows) != 1 or len(rows[0]) != 1:
        return Measured(None, error=f"the query gave {len(rows)} rows, not one number")
    number = _number(rows[0][0])
    if check.say and number.observed is not None and not check.is_met(number.observed):
        return replace(number, message=_text(connection, check.say))
    return number


def _text(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """What a query says in words; words that cannot be told leave the number to speak for itself."""
    try:
        row: Any = connection.execute(sql).fetchone()
    except duckdb.Error:
        return ""
    return str(row[0]) if row and row[0] is not None else ""


def _scan(
    connection: duckdb.DuckDBPyConnection, relation: str, checks: Sequence[Check]
) -> dict[str, Measured]:
    """Count the bad rows of all checks of a relation in one pass over it."""
    counts = ", ".join(f"count(*) filter (where {check.sql}) as {identifier(check.name)}" for check in checks)
    try:
        row: Any = connection.execute(f"select {counts} from {relation}").fetchone()
    except duckdb.Error as error:
        if len(checks) == 1:
            return {checks[0].name: Measured(None, error=say(error))}
        # One of them is at fault: the others must not be blamed for it.
        apart = [_scan(connection, relation, [check]) for check in checks]
        return {name: measured for one in apart for name, measured in one.items()}
    return {check.name: _number(value) for check, value in zip(checks, row, strict=True)}


def _number(value: Any) -> Measured:
    if value is None:
        return Measured(None, error="the measurement gave nothing: NULL is not a number to judge")
    try:
        return Measured(float(value))
    except (TypeError, ValueError):
        return Measured(None, error=f"the measurement gave {value!r}, which is not a number")


def say(error: Exception) -> str:
    """The first lines of a database error: the rest repeats the query."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])
