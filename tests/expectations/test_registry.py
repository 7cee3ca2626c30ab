"""The registry: every check says what it is, and nothing about it is silently lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from expectations import registry
from expectations.generated import built_marts, is_share
from expectations.registry import SUITE_FILES, SUITES, Check, fill_in, read_suites
from mallard.errors import SettingsError
from publishing.promised import mart_columns

CHECKS = [check for suite in read_suites() for check in suite.checks]


@pytest.fixture
def other_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the suites that a test may spoil."""
    for path in SUITES.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(registry, "SUITES", tmp_path)
    read_suites.cache_clear()
    yield tmp_path
    read_suites.cache_clear()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check_says_all_that_a_person_needs(check: Check) -> None:
    assert check.name.startswith(f"{check.suite}.")
    assert check.table
    assert check.severity in {"block", "warn"}
    assert len(check.reason) > 15
    assert "$" not in check.reason + check.sql
    assert check.mend
    assert check.expected
    assert (check.measure == "given") == (not check.sql)


def test_every_suite_file_is_read_and_none_is_forgotten() -> None:
    assert {path.stem for path in SUITES.glob("*.yml")} == set(SUITE_FILES)
    assert {suite.name for suite in read_suites()} == {"gate", "contracts", *SUITE_FILES}


def test_every_promised_mart_is_built_and_has_checks() -> None:
    assert len(mart_columns()) >= 25
    assert mart_columns().keys() <= set(built_marts()), "marts_columns.csv promises a mart without a model"
    for mart in mart_columns():
        assert f"marts.{mart}.has_its_columns" in {check.name for check in CHECKS}


def test_both_gates_have_checks_that_block() -> None:
    assert {check.gate for check in CHECKS if check.severity == "block"} == {"landing", "warehouse"}


def test_missing_suite_is_an_error_not_a_smaller_gate(other_suites: Path) -> None:
    (other_suites / "conservation.yml").unlink()
    with pytest.raises(SettingsError) as error:
        read_suites()
    assert "conservation.yml" in error.value.where


def test_suite_without_checks_is_an_error(other_suites: Path) -> None:
    (other_suites / "facts.yml").write_text("gate: warehouse\nchecks: []\n")
    with pytest.raises(SettingsError, match="cannot be read") as error:
        read_suites()
    assert "facts has no check" in error.value.found


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: a, table: t, reason: r, severity: fatal, rows: select 1}", "severity 'fatal'"),
        ("{name: a, table: t, reason: r, severity: warn}", "needs one of"),
        ("{name: a, table: t, reason: r, severity: warn, rows: select 1, value: select 1}", "needs one of"),
        ("{name: a, table: t, severity: warn, rows: select 1}", "no reason"),
        ("{name: a, table: t, reason: r, severity: warn, rows: select 1, treshold: 3}", "unknown treshold"),
        ("{name: a, table: t, reason: r, severity: warn, rows: select $volume_typo}", "$volume_typo"),
        (
            "{name: history_has_no_gaps, table: t, reason: r, severity: warn, rows: select 1}",
            "is the name of 2 checks",
        ),
    ],
)
def test_wrong_entry_is_named(other_suites: Path, entry: str, problem: str) -> None:
    path = other_suites / "facts.yml"
    path.write_text(path.read_text() + f"\n  - {entry}\n")
    with pytest.raises(SettingsError) as error:
        read_suites()
    assert problem in error.value.found


def test_thresholds_and_dbt_variables_are_filled_in() -> None:
    assert fill_in("$volume_weeks_before and $var_fx_max_age_days", "here") == "4 and 7"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("retention_rate", True),
        ("gmv_share", True),
        ("stickiness", True),
        ("cost_coverage", True),
        ("conversion_rate", False),
        ("margin_rate", False),
        ("click_rate", False),
        ("aov", False),
    ],
)
def test_shares_are_told_from_other_rates(column: str, *, expected: bool) -> None:
    assert is_share(column) == expected
