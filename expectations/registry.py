"""The registry of checks: which must run on a candidate, how each is measured, and what is expected.

A check is one entry in ``suites/*.yml``, or follows from a contract (``ingestion/contracts``) or from the list
of marts (``marts_columns.csv``), or is a test of the dbt project. What is expected comes from here, never from
what happened to run.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from mallard.candidate import Candidate
from mallard.errors import SettingsError
from publishing.receipt import CheckResult, Severity, Verdict

HERE = Path(__file__).resolve().parent
SUITES = HERE / "suites"
THRESHOLDS = HERE / "thresholds.yml"
DBT_PROJECT_FILE = HERE.parent / "dbt_project" / "dbt_project.yml"
# Named, not found: a suite whose file is gone is an error, not a gate with fewer checks.
SUITE_FILES = ("gate", "deliveries", "conservation", "facts", "marts", "drift")

# bad_rows: a condition on the rows of `table`, counted; all of a table share one scan.
# rows: a query for the rows that are wrong, counted. value: a query for one number.
# given: a number that the gate itself works out (see gate.py).
Measure = Literal["bad_rows", "rows", "value", "given"]
Gate = Literal["landing", "warehouse"]
# conservation: rows and money are neither lost nor doubled; contract: tables, columns, keys and the audit itself
# are what was promised; plausibility: a figure is unusual, or a rule of ours that may be wrong this once. Only
# what judges plausibility can be accepted by a person (mallard publish --accept).
Protects = Literal["conservation", "contract", "plausibility"]


@dataclass(frozen=True)
class Check:
    """One check. It passes where its measured number is within ``at_least`` and ``at_most``.

    ``scanned`` is the relation that a ``bad_rows`` condition is counted over, where it is not ``table``. ``say`` is a
    query for one text: what a number that is out of bounds means, in words.
    """

    name: str
    suite: str
    gate: Gate
    table: str
    columns: str
    severity: Severity
    reason: str
    mend: str
    measure: Measure
    sql: str = ""
    at_least: float | None = None
    at_most: float | None = 0
    scanned: str = ""
    protects: Protects = "contract"
    say: str = ""

    @property
    def may_be_accepted(self) -> bool:
        return self.protects == "plausibility"

    def is_met(self, observed: float) -> bool:
        """Whether a number is within the bounds; what is published is judged by Great Expectations."""
        return (self.at_least is None or observed >= self.at_least) and (
            self.at_most is None or observed <= self.at_most
        )

    @property
    def relation(self) -> str:
        return self.scanned or self.table

    @property
    def expected(self) -> str:
        """The condition in words."""
        if self.at_least is None and self.at_most == 0:
            return "none"
        bounds = []
        if self.at_least is not None:
            bounds.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            bounds.append(f"at most {self.at_most:g}")
        return " and ".join(bounds)

    def result(
        self,
        verdict: Verdict,
        observed: float | None,
        *,
        message: str = "",
        sql: str = "",
        expected: str = "",
    ) -> CheckResult:
        """What the check saw, as the receipt keeps it: why, how to see it and how to mend it only where it matters."""
        is_fine = verdict == "passed"
        return CheckResult(
            name=self.name,
            gate=self.gate,
            suite=self.suite,
            table=self.table,
            columns=self.columns,
            severity=self.severity,
            verdict=verdict,
            observed=observed,
            expected=expected or self.expected,
            reason="" if is_fine else self.reason,
            message="" if is_fine else message,
            sql="" if is_fine else sql,
            mend="" if is_fine else self.mend,
            may_be_accepted=not is_fine and self.may_be_accepted,
        )

    @property
    def rows_sql(self) -> str:
        """A query that shows the rows, or the number, to a person."""
        if self.measure == "bad_rows":
            return f"select * from {self.table} where {self.sql}"
        return self.sql


@dataclass(frozen=True)
class Suite:
    """Checks that are judged together. ``prepare`` is SQL that makes temporary tables for them."""

    name: str
    prepare: str
    checks: tuple[Check, ...]


@functools.cache
def read_suites() -> tuple[Suite, ...]:
    """All suites except dbt's tests, in the order in which they are judged.

    Raises:
        SettingsError: a file is missing, or a check in it is not one; the message names it.
    """
    from expectations.generated import contract_suite, mart_checks

    written = [_read_suite(SUITES / f"{name}.yml") for name in SUITE_FILES]
    suites = [contract_suite()]
    for suite in written:
        more = mart_checks() if suite.name == "marts" else ()
        suites.append(Suite(suite.name, suite.prepare, (*suite.checks, *more)))
    names = Counter(check.name for suite in suites for check in suite.checks)
    for name, times in names.items():
        if times > 1:
            raise _wrong(SUITES, f"{name} is the name of {times} checks", "one name for one check")
    for suite in suites:
        if not suite.checks:
            raise _wrong(SUITES, f"suite {suite.name} has no check", "at least one")
    return tuple(suites)


def expected_names(candidate: Candidate) -> list[str]:
    """Names of all checks that must have run on this candidate, dbt's tests included.

    Raises:
        SettingsError: the registry cannot be read.
    """
    return [check.name for check in expected_checks(candidate)]


def expected_checks(candidate: Candidate) -> list[Check]:
    """All checks that must have run on this candidate, dbt's tests included.

    Raises:
        SettingsError: the registry cannot be read.
    """
    from expectations.dbt_results import expected_dbt_checks

    return [check for suite in read_suites() for check in suite.checks] + expected_dbt_checks(candidate)


@functools.cache
def parameters() -> Mapping[str, float]:
    """The thresholds and the dbt project's numeric variables, by the names that SQL uses."""
    found: dict[str, float] = {}
    for section, values in _load(THRESHOLDS).items():
        for name, value in values.items():
            found[f"{section}_{name}"] = float(value)
    for name, value in (_load(DBT_PROJECT_FILE).get("vars") or {}).items():
        if isinstance(value, int | float):
            found[f"var_{name}"] = float(value)
    return found


def fill_in(text: str, where: str) -> str:
    """Put the parameters into SQL.

    Raises:
        SettingsError: the SQL names one that there is not.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return f"{parameters()[match[1]]:g}"
        except KeyError:
            raise _wrong(
                THRESHOLDS, f"{where} names ${match[1]}", "a section and name of thresholds.yml"
            ) from None

    return re.sub(r"\$([a-z_]+)", value, text)


def _read_suite(path: Path) -> Suite:
    document = _load(path)
    checks = tuple(_read_check(path, document, entry) for entry in document.get("checks") or [])
    return Suite(path.stem, fill_in(document.get("prepare", ""), path.name), checks)


def _read_check(path: Path, document: dict[str, Any], entry: dict[str, Any]) -> Check:
    name = f"{path.stem}.{entry.get('name', '?')}"
    known = {
        "name",
        "scanned",
        "table",
        "columns",
        "severity",
        "reason",
        "mend",
        "at_least",
        "at_most",
        "protects",
        "say",
        *get_args(Measure),
    }
    measures = [kind for kind in get_args(Measure) if kind in entry]
    problems = [f"unknown {key}" for key in entry.keys() - known]
    problems += [f"no {key}" for key in ("name", "table", "severity", "reason") if not entry.get(key)]
    if len(measures) != 1:
        problems.append(f"needs one of {', '.join(get_args(Measure))}")
    if entry.get("severity") not in get_args(Severity):
        problems.append(f"severity {entry.get('severity')!r}")
    protects = entry.get("protects", document.get("protects"))
    if protects not in get_args(Protects):
        problems.append(f"protects {protects!r}")
    if document.get("gate") not in get_args(Gate):
        problems.append(f"gate {document.get('gate')!r}")
    if problems:
        raise _wrong(path, f"{name}: {'; '.join(problems)}", "an entry like the others in that file")
    is_bounded = "at_least" in entry or "at_most" in entry
    return Check(
        name=name,
        suite=path.stem,
        gate=document["gate"],
        table=entry["table"],
        columns=entry.get("columns", ""),
        severity=entry["severity"],
        reason=fill_in(" ".join(entry["reason"].split()), name),
        mend=" ".join(entry.get("mend", document.get("mend", "")).split()),
        measure=measures[0],
        # What a given number counts is said beside it, for whoever reads the suite.
        sql="" if measures[0] == "given" else fill_in(str(entry[measures[0]]), name).strip(),
        scanned=entry.get("scanned", ""),
        protects=cast("Protects", protects),
        say=fill_in(entry.get("say", ""), name).strip(),
        at_least=_bound(entry, "at_least", name),
        at_most=_bound(entry, "at_most", name) if is_bounded else 0,
    )


def _bound(entry: dict[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    return None if value is None else float(fill_in(str(value), where))


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except FileNotFoundError as error:
        raise _wrong(path, "the file is not there", "one of the files that the gate is made of") from error
    except yaml.YAMLError as error:
        raise _wrong(path, str(error), "YAML") from error
    if not isinstance(document, dict):
        raise _wrong(path, "the file is empty", "YAML with keys")
    return document


def _wrong(path: Path, found: str, expected: str) -> SettingsError:
    return SettingsError(
        "The registry of checks cannot be read: nothing is published without it.",
        where=str(path),
        expected=expected,
        found=found,
        mend="correct the file; git shows what it was",
    )
