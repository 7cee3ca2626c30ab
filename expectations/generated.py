"""Checks that follow from something else: the contracts and the list of marts."""

from __future__ import annotations

import functools
from pathlib import Path

from expectations.registry import Check, Protects, Suite
from publishing.contents import identifier, literal
from publishing.promised import MartColumn, mart_columns

# Shares and rates that may leave 0…1 by definition: people pay later than they visit, sell at a loss, or click
# what was shown to them before.
UNBOUNDED_RATES = frozenset({"conversion_rate", "click_rate", "margin_rate"})
BOUNDED_RATES = frozenset({"stickiness", "cost_coverage"})

_CONTRACT_MEND = "land the delivery again (mallard load); if it comes back, ingestion let through what the contract forbids"
_MART_MEND = "correct the mart's model in dbt_project/models/marts and load again"


@functools.cache
def built_marts() -> tuple[str, ...]:
    """The marts that the dbt project has a model of: those are promised to readers by this code."""
    models = Path(__file__).resolve().parent.parent / "dbt_project" / "models" / "marts"
    return tuple(sorted(path.stem for path in models.rglob("*.sql")))


def contract_suite() -> Suite:
    """What was landed, against the contracts: columns, types, required values, allowed values, ranges.

    Measured over the rows of new deliveries only: those of the others were when they were new.
    """
    from ingestion.contract import Column, Contract, read_contracts

    def check(contract: Contract, name: str, columns: str, condition: str, reason: str) -> Check:
        table = f"{contract.feed}__{contract.table}"
        return Check(
            name=f"contracts.{table}.{name}",
            suite="contracts",
            gate="landing",
            table=f"landing.{table}",
            columns=columns,
            severity="block",
            reason=reason,
            mend=_CONTRACT_MEND,
            measure="bad_rows",
            sql=condition,
            scanned=f"new_{table}",
        )

    def conditions(column: Column) -> list[tuple[str, str, str]]:
        name = identifier(column.name)
        found = []
        if column.is_required:
            empty = f"{name} is null" + (f" or {name} = ''" if column.kind == "text" else "")
            found.append(("is_there", empty, f"{column.name} is required"))
        if column.allowed:
            words = ", ".join(map(literal, column.allowed))
            found.append(
                (
                    "is_allowed",
                    f"{name} not in ({words})",
                    f"{column.name} has only the words of the contract",
                )
            )
        if column.range_in_words:
            outside = []
            if column.minimum is not None:
                sign = "<=" if column.is_minimum_exclusive else "<"
                outside.append(f"{name} {sign} {literal(column.minimum)}::{column.sql_type}")
            if column.maximum is not None:
                outside.append(f"{name} > {literal(column.maximum)}::{column.sql_type}")
            reason = f"{column.name} is {column.range_in_words}"
            found.append(("is_in_range", " or ".join(outside), reason))
        return found

    checks = []
    for contract in read_contracts().values():
        table = f"{contract.feed}__{contract.table}"
        checks.append(
            Check(
                name=f"contracts.{table}.has_its_columns",
                suite="contracts",
                gate="landing",
                table=f"landing.{table}",
                columns=", ".join(column.name for column in contract.columns),
                severity="block",
                reason="a landed file has every column of the contract, in its type",
                mend=_CONTRACT_MEND,
                measure="value",
                sql=_schema_differences(table, {c.name: c.sql_type for c in contract.columns}),
            )
        )
        checks += [
            check(contract, f"{column.name}_{name}", column.name, condition, reason)
            for column in contract.columns
            for name, condition, reason in conditions(column)
        ]
    return Suite("contracts", "", tuple(checks))


def _schema_differences(table: str, types: dict[str, str]) -> str:
    """Counts contract columns that the new files lack or have in another type.

    ``new_files_<table>`` lists (file, column); see ``landed.py``.
    """
    promised = ", ".join(
        f"({literal(name)}, {literal('TIMESTAMP WITH TIME ZONE' if kind == 'TIMESTAMPTZ' else kind)})"
        for name, kind in types.items()
    )
    return f"""
        select
            (
                select count(*)
                from (values {promised}) as promised (name, kind)
                left join (describe select * from new_{table}) as found on found.column_name = promised.name
                where found.column_type is distinct from promised.kind
            )
            + (
                select count(*)
                from (select distinct file_name from new_files_{table}) as files
                cross join (values {promised}) as promised (name, kind)
                left join new_files_{table} as found
                    on found.file_name = files.file_name and found.column_name = promised.name
                where found.column_name is null
            )
    """.strip()


def mart_checks() -> tuple[Check, ...]:
    """What holds for every mart: its columns and types, finite rates, shares in 0…1, counts from 0 on.

    That its grain is unique and there is tested by dbt (``dbt.every_mart_has_its_key`` sees to it).
    """
    checks: list[Check] = []
    for mart in built_marts():
        columns = mart_columns().get(mart)
        if columns:
            checks += _checks_of_mart(mart, columns)
    return tuple(checks)


def _checks_of_mart(mart: str, columns: tuple[MartColumn, ...]) -> list[Check]:
    def check(
        name: str, about: str, measure: str, sql: str, reason: str, protects: Protects = "contract"
    ) -> Check:
        return Check(
            name=f"marts.{mart}.{name}",
            suite="marts",
            gate="warehouse",
            table=f"marts.{mart}",
            columns=about,
            severity="block",
            reason=reason,
            mend=_MART_MEND,
            measure="bad_rows" if measure == "bad_rows" else "rows",
            sql=sql,
            protects=protects,
        )

    promised = ", ".join(f"({literal(column.name)}, {literal(column.sql_type)})" for column in columns)
    checks = [
        check(
            "has_its_columns",
            ", ".join(column.name for column in columns),
            "rows",
            f"""
            select promised.name, promised.kind, found.data_type
            from (values {promised}) as promised (name, kind)
            left join duckdb_columns() as found
                on found.database_name = current_database()
                and found.schema_name = 'marts'
                and found.table_name = {literal(mart)}
                and found.column_name = promised.name
            where found.data_type is distinct from promised.kind
            """.strip(),
            "BI tools read these columns in these types",
        ),
    ]
    figures = [column for column in columns if not column.is_grain]
    doubles = [column.name for column in figures if column.sql_type == "DOUBLE"]
    shares = [name for name in doubles if is_share(name)]
    counts = [column.name for column in figures if column.sql_type == "BIGINT"]
    ranges = [
        (
            "rates_are_finite",
            doubles,
            "not isfinite({})",
            "a rate without a denominator is NULL, never infinite and never not-a-number",
        ),
        ("rates_are_shares", shares, "{} not between 0 and 1", "a share of a whole is in 0…1"),
        ("counts_are_counts", counts, "{} < 0", "a count is 0 or more"),
    ]
    for name, about, condition, reason in ranges:
        if about:
            sql = " or ".join(condition.format(identifier(column)) for column in about)
            checks.append(check(name, ", ".join(about), "bad_rows", sql, reason, "plausibility"))
    return checks


def is_share(column: str) -> bool:
    """Whether a DOUBLE column of a mart is a share of a whole, in 0…1."""
    if column in BOUNDED_RATES:
        return True
    return column.endswith(("_rate", "_share")) and column not in UNBOUNDED_RATES
