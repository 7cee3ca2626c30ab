"""Check the rules that people tune, before anything is built: every seed, and every variable of dbt.

What a seed may hold stands in its yml (``column_types``, ``meta: check`` of a column, ``meta: checks`` of
the seed), what a variable may be in ``dbt_project/variables.yml``. Lines are told as an editor counts them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mallard.dbt_run import DBT_PROJECT
from mallard.errors import SettingsError
from mallard.rule_files import Problem, closest, place_of, read_csv, read_variables, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

# More than this many at once is one cause that is repeated.
TOLD_AT_MOST = 20

_WORDS = {
    "varchar": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "bigint": "a whole number",
}


@dataclass(frozen=True)
class ColumnCheck:
    """What a column of a seed, or a variable, may hold. Limits are inclusive; an empty field passes unless required.

    ``type`` is DuckDB's. ``complete`` asks for a line of each of ``values``; ``matches`` is a regular
    expression for the whole value, which ``in_words`` explains; ``is_regex`` says that the value is one.
    """

    type: str
    required: bool = False
    unique: bool = False
    values: tuple[str, ...] = ()
    complete: bool = False
    at_least: float | None = None
    at_most: float | None = None
    matches: str = ""
    in_words: str = ""
    is_regex: bool = False
    is_list: bool = False
    may_have_blanks: bool = False

    @property
    def expected(self) -> str:
        """The condition in words."""
        if self.values:
            return "one of " + ", ".join(self.values)
        if self.is_regex:
            return "a regular expression, as RE2 reads it"
        words = self.in_words or _WORDS.get(self.type, "a number")
        if self.at_least is not None and self.at_most is not None:
            return f"{words} from {self.at_least:g} to {self.at_most:g}"
        if self.at_least is not None:
            return f"{words} of at least {self.at_least:g}"
        return words if self.at_most is None else f"{words} of at most {self.at_most:g}"


@dataclass(frozen=True)
class _Table:
    """The fields of a seed, or the values of one variable, as texts; ``lines`` says where each row begins."""

    name: str
    file: str
    columns: dict[str, ColumnCheck]
    checks: Sequence[dict[str, str]]
    lines: list[int]
    rows: list[list[str | None]]


def check_rules(project: Path = DBT_PROJECT) -> None:
    """Check every seed and every variable of the dbt project.

    Raises:
        SettingsError: something is wrong; it names all wrong lines, at most ``TOLD_AT_MOST`` of them.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        problems = [*_check_seeds(connection, project), *_check_variables(connection, project)]
    if not problems:
        return
    problems.sort(key=lambda problem: (problem.file, problem.line or 0))
    if len(problems) == 1:
        one = problems[0]
        raise SettingsError(
            "A rule is wrong; nothing was built, and what is published stays.",
            where=one.where,
            expected=one.expected,
            found=one.found,
            mend=one.mend or "correct the line and run it again",
        )
    told = [
        f"  {one.where}\n    expected: {one.expected}\n    found: {one.found}"
        + (f"\n    to mend: {one.mend}" if one.mend else "")
        for one in problems[:TOLD_AT_MOST]
    ]
    if len(problems) > TOLD_AT_MOST:
        told.append(f"  … and {len(problems) - TOLD_AT_MOST} more")
    raise SettingsError(
        f"{len(problems)} rules are wrong; nothing was built, and what is published stays.\n"
        + "\n".join(told),
        mend="correct the lines and run it again",
    )


def _check_seeds(connection: duckdb.DuckDBPyConnection, project: Path) -> Iterator[Problem]:
    described: dict[str, tuple[str, dict[str, Any]]] = {}
    for file in sorted((project / "seeds").rglob("*.yml")):
        for seed in read_yaml(project, file).get("seeds", []):
            described[seed["name"]] = (place_of(project, file), seed)
    there = {file.stem: file for file in sorted((project / "seeds").rglob("*.csv"))}
    for name in sorted(there.keys() - described.keys()):
        expected = "a description of each seed, with its columns and their types, in a yml beside it"
        mend = closest(name, described) or "describe it in seeds/seeds.yml, or move the file elsewhere"
        yield Problem(place_of(project, there[name]), None, "", expected, f"none of {name}", mend)
    for name, (yml, seed) in described.items():
        if name not in there:
            mend = "put the file back, with its header at least"
            yield Problem(yml, None, name, f"the file {name}.csv", "no such file", mend)
            continue
        columns = {column["name"]: column.get("config", {}).get("meta", {}) for column in seed["columns"]}
        checks = {
            column: _make_check(yml, column, {"type": kind, **columns.get(column, {}).get("check", {})})
            for column, kind in seed["config"]["column_types"].items()
        }
        conditions = seed["config"].get("meta", {}).get("checks", [])
        place = place_of(project, there[name])
        read = read_csv(there[name], place, checks)
        yield from read.problems
        # Without its columns nothing can be said about the lines.
        if not any(problem.line == 1 for problem in read.problems):
            table = _Table(name, place, checks, conditions, read.lines, read.rows)
            yield from _check_table(connection, table)


def _make_check(file: str, name: str, given: dict[str, Any]) -> ColumnCheck:
    try:
        return ColumnCheck(**{**given, "values": tuple(given.get("values", ()))})
    except TypeError as error:
        raise SettingsError(
            f"The check of {name} cannot be read.",
            where=file,
            expected="words out of " + ", ".join(ColumnCheck.__dataclass_fields__),
            found=str(error),
            mend="correct the word in its `check`",
        ) from error


def _check_table(connection: duckdb.DuckDBPyConnection, table: _Table) -> Iterator[Problem]:
    texts = ", ".join(f'unnest(?::varchar[]) as "{name}"' for name in table.columns)
    columns = [[row[position] for row in table.rows] for position in range(len(table.columns))]
    typed = ", ".join(f'{_typed(name, check)} as "{name}"' for name, check in table.columns.items())
    connection.execute(
        f'create table "{table.name}" as select line, {typed} from (select unnest(?::integer[]) as line, {texts})',
        [table.lines, *columns],
    )
    rows = connection.execute(f'from "{table.name}" order by line').fetchall()
    wrong: set[int | None] = set()
    for position, (name, check) in enumerate(table.columns.items()):
        values = [row[position + 1] for row in rows]
        for problem in _check_column(connection, table, name, check, columns[position], values):
            wrong.add(problem.line)
            yield problem
    for condition in table.checks:
        failed = connection.execute(
            f'select line from "{table.name}" where not ({condition["must"]}) order by line'
        ).fetchall()
        for (line,) in failed:
            if line not in wrong:
                found = ",".join(text or "" for text in table.rows[table.lines.index(line)])
                yield Problem(table.file, line, "", condition["expected"].strip(), found)


def _typed(name: str, check: ColumnCheck) -> str:
    """The field as dbt will load it; NULL where it is not of its type."""
    cast = f'try_cast("{name}" as {check.type})'
    if check.type in ("integer", "bigint"):
        # A cast alone would round 2.7.
        return f"""case when regexp_full_match("{name}", '[+-]?[0-9]+') then {cast} end"""
    if check.type in ("varchar", "boolean"):
        return cast
    return f"case when isfinite({cast}::double) then {cast} end"


def _check_column(
    connection: duckdb.DuckDBPyConnection,
    table: _Table,
    name: str,
    check: ColumnCheck,
    texts: list[str | None],
    values: list[Any],
) -> Iterator[Problem]:
    first_lines: dict[Any, int] = {}
    for line, text, value in zip(table.lines, texts, values, strict=True):
        fault = _find_fault(connection, check, text, value)
        if fault:
            yield Problem(table.file, line, name, *fault)
        elif check.unique and value is not None:
            if value in first_lines:
                found = f"{text}, as in line {first_lines[value]}"
                yield Problem(table.file, line, name, "each value once", found, "remove one of the two")
            first_lines.setdefault(value, line)
    for one in check.values if check.complete else ():
        if one not in texts:
            expected = "a line for each of " + ", ".join(check.values)
            yield Problem(table.file, None, name, expected, f"none for {one}", "add the line")


def _find_fault(
    connection: duckdb.DuckDBPyConnection, check: ColumnCheck, text: str | None, value: Any
) -> tuple[str, str, str] | None:
    """The gravest thing that is wrong with a field: expected, found, how to mend it."""
    if text is None:
        if check.required:
            return check.expected, "an empty field", "fill it in, or remove the line"
        return None
    if text != text.strip() and not check.may_have_blanks:
        return "a value without blanks around it", repr(text), "remove the blanks"
    if value is None:
        is_number = check.type not in ("varchar", "boolean")
        return check.expected, text, "write digits, a point before decimals, no unit" if is_number else ""
    if check.values and text not in check.values:
        return check.expected, text, closest(text, check.values)
    is_under = check.at_least is not None and value < check.at_least
    if is_under or (check.at_most is not None and value > check.at_most):
        return check.expected, text, ""
    if check.matches and not re.fullmatch(check.matches, text):
        return check.expected, text, ""
    if check.is_regex and (fault := _regex_fault(connection, text)):
        return check.expected, f"{text} ({fault})", "correct the pattern"
    return None


def _regex_fault(connection: duckdb.DuckDBPyConnection, pattern: str) -> str:
    import duckdb

    try:
        connection.execute("select regexp_full_match('', ?, 'i')", [pattern])
    except duckdb.Error as error:
        return str(error).removeprefix("Invalid Input Error: ").removesuffix(f": {pattern}")
    return ""


def _check_variables(connection: duckdb.DuckDBPyConnection, project: Path) -> Iterator[Problem]:
    limits = read_yaml(project, project / "variables.yml")
    limits_place, place = (place_of(project, project / name) for name in ("variables.yml", "dbt_project.yml"))
    checks = {
        name: _make_check(
            limits_place, name, {**given, "required": True, "unique": given.get("is_list", False)}
        )
        for name, given in limits["variables"].items()
    }
    given = read_variables(project)
    is_wrong = False
    for name, (line, _, _) in given.items():
        if name not in checks:
            expected = f"a variable that {limits_place} describes"
            mend = closest(name, checks) or f"describe it in {limits_place}, or remove it"
            yield Problem(place, line, name, expected, "an unknown variable", mend)
    for name, check in checks.items():
        if name not in given:
            is_wrong = True
            yield Problem(place, None, name, check.expected, "no such variable under vars", "put it back")
            continue
        line, is_list, items = given[name]
        if is_list != check.is_list or not items:
            is_wrong = True
            kind = "a list such as [1, 7], each " if check.is_list else "one value, "
            found = ("a list" if items else "an empty list") if is_list else str(items[0][1])
            yield Problem(place, line, name, kind + check.expected, found)
            continue
        lines, values = zip(*items, strict=True)
        table = _Table(name, place, {name: check}, (), list(lines), [])
        texts = [None if value is None else repr(value) for value in values]
        typed = [value if _is_number(value, check) else None for value in values]
        problems = list(_check_column(connection, table, name, check, texts, typed))
        is_wrong = is_wrong or bool(problems)
        yield from problems
    if is_wrong:
        return
    columns = ", ".join(
        f'?::{check.type}{"[]" if check.is_list else ""} as "{name}"' for name, check in checks.items()
    )
    every = [
        [value for _, value in items] if is_list else items[0][1]
        for _, is_list, items in (given[name] for name in checks)
    ]
    connection.execute(f"create table variables as select {columns}", every)
    for condition in limits["checks"]:
        if connection.execute(f"from variables where not ({condition['must']})").fetchone():
            line, _, items = given[condition["variable"]]
            found = str(items[0][1])
            yield Problem(place, line, condition["variable"], condition["expected"], found)


def _is_number(value: object, check: ColumnCheck) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or (check.type == "double" and math.isfinite(value))
