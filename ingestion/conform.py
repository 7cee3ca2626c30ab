"""SQL that turns a delivery's rows into a contract's columns, and says what is wrong with a row.

One query stages a delivery: it casts every column by its contract, gives every row that does not fit a
reason, and keeps the order of the file, so that a row's position is its ``rowid``. Nothing is rounded and
nothing is guessed: what does not cast exactly is a bad row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.files import Relation, literal
from ingestion.pii import (
    fingerprint_sql,
    hashed_as_by_name,
    hashed_sql,
    hmac_sql,
    is_hash_sql,
    is_secret_by_name,
    looks_personal_sql,
    scrubbed_sql,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingestion.contract import Column, Contract

_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
_ISO_OFFSET = r"\s?([Zz]|[+-]\d{2}(:?\d{2})?)"
_ISO_INSTANT = rf"\s*{_ISO_DATE}([Tt ]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?({_ISO_OFFSET})?)?\s*"
_HAS_OFFSET = rf":\d{{2}}(\.\d+)?{_ISO_OFFSET}\s*$"
_MIDNIGHT = rf"\s*{_ISO_DATE}([T ]00:00(:00(\.0+)?)?)?\s*"
_INTEGER = r"\s*[+-]?\d+(\.0*)?\s*"

EXPECTED = {
    "text": "a text",
    "instant": "an instant such as 2025-11-11T08:30:00Z",
    "date": "a date such as 2025-11-11",
    "decimal": "a decimal number such as 19.90",
    "integer": "a whole number",
}


@dataclass(frozen=True)
class Staging:
    """How a delivery is staged: the query, and which staged columns become which landed ones.

    The staged table has ``c0`` … for the contract's columns, ``x0`` … for ``extras``, and ``_reason``,
    ``_column``, ``_row_json`` and ``_fingerprint`` (of bad rows), ``_is_set_aside``, ``_hash``, ``_position``
    (or NULL).
    """

    sql: str
    extras: tuple[str, ...]


@dataclass(frozen=True)
class Dialect:
    """What a source's entry says about its values."""

    time_zone: str = "UTC"
    missing_values: tuple[str, ...] = ()
    paid_statuses: tuple[str, ...] = ()


def stage(
    contract: Contract,
    relation: Relation,
    dialect: Dialect,
    *,
    may_hold_nul: bool = False,
    may_hold_hashes: bool = False,
) -> Staging:
    """Build the query that stages a relation's rows by a contract.

    Args:
        may_hold_nul: texts may hold a NUL byte, which is judged.
        may_hold_hashes: the rows were staged before: what is a hash already is not hashed again, and is out
            of place where no personal data belong.
    """
    at = {name: number for number, name in enumerate(relation.names)}
    known = {column.name for column in contract.columns}
    special = {"_row", "_set_aside"} if relation.format == "projection" else set()
    extras = tuple(name for name in relation.names if name not in known and name not in special)

    raws, shown = raw_columns(contract, relation, dialect, may_hold_hashes=may_hold_hashes)
    casts = []
    for number, column in enumerate(contract.columns):
        if column.name in at:
            index = at[column.name]
            value = cast_sql(column, f"t{index}", f"r{index}", relation.types[index], dialect.time_zone)
        elif column.name == "paid_at" and dialect.paid_statuses:
            value = _paid_at(contract, dialect)
        else:
            value = f"null::{column.sql_type}"
        casts.append(f"{value} as c{number}")
    extra_casts = [f"t{at[name]} as x{number}" for number, name in enumerate(extras)]
    position = f"r{at['_row']}::bigint" if "_row" in at and special else "null::bigint"
    set_aside = f"t{at['_set_aside']}" if "_set_aside" in at and special else "null::varchar"
    hashed = ", ".join(f"r{number}" for name, number in at.items() if name not in special)

    problems = []
    if relation.format == "jsonl":
        whole = ", ".join(f"t{number}" for number in at.values())
        problems.append((f"coalesce({whole}) is null", "unreadable_line", ""))
    for number, column in enumerate(contract.columns):
        if column.name in at:
            text = f"t{at[column.name]}"
            problems += _problems(column, text, f"c{number}", may_hold_nul=may_hold_nul)
            if (
                contract.pii
                and column.kind == "text"
                and not column.is_pii
                and not column.name.endswith("_id")
            ):
                test = looks_personal_sql(text)
                if may_hold_hashes:
                    test = f"({test} or {is_hash_sql(text)})"
                problems.append((test, f"{column.name}_personal", column.name))
    whens = " ".join(f"when {test} then {literal(reason)}" for test, reason, _ in problems)
    by_column = " ".join(
        f"when {literal(reason)} then {literal(name)}"
        for reason, name in {r: n for _, r, n in problems}.items()
    )
    named = {name: f"{literal(name)}: {text}" for name, text in shown.items() if name not in special}
    # The same row has the same fingerprint wherever its columns stand and whatever else is empty.
    sorted_row = f"json_merge_patch('{{}}', to_json({{{', '.join(named[name] for name in sorted(named))}}}))"
    fingerprint = fingerprint_sql(f"{sorted_row}::varchar", is_keyed=bool(contract.pii))
    columns = [f"c{number}" for number in range(len(casts))] + [f"x{number}" for number in range(len(extras))]
    sql = f"""
        select
            {", ".join(columns)},
            _reason,
            case _reason {by_column or "when '' then ''"} end as _column,
            case when _reason is not null then to_json({{{", ".join(named.values())}}})::varchar end as _row_json,
            case when _reason is not null then {fingerprint} end as _fingerprint,
            _is_set_aside,
            _hash,
            _position,
        from (
            select
                * exclude (_set_aside),
                coalesce(_set_aside, case {whens or "when false then ''"} end) as _reason,
                _set_aside is not null as _is_set_aside,
            from (
                select
                    *,
                    {", ".join([*casts, *extra_casts])},
                    hash({hashed}) as _hash,
                    {position} as _position,
                    {set_aside} as _set_aside,
                from (select *, {", ".join(raws)} from ({relation.sql}))
            )
        )
    """
    return Staging(sql, extras)


def raw_columns(
    contract: Contract, relation: Relation, dialect: Dialect, *, may_hold_hashes: bool
) -> tuple[list[str], dict[str, str]]:
    """Each source column as text (``t0`` …, NULL where it is missing), and how a bad row shows it.

    Personal data become hashes here, in the first step that streams over the file.
    """
    by_name: Mapping[str, Column] = {column.name: column for column in contract.columns}
    raws, shown = [], {}
    for number, (name, found_type) in enumerate(zip(relation.names, relation.types, strict=True)):
        column = by_name.get(name)
        text = _as_text(f"r{number}", found_type, is_text=column is None or column.kind == "text")
        text = f"nullif({text}, '')"
        for missing in dialect.missing_values:
            text = f"nullif({text}, {literal(missing)})"
        hashed_as = column.hashed_as if column else hashed_as_by_name(name)
        if hashed_as and may_hold_hashes:
            text = f"case when {is_hash_sql(text)} then {text} else {hashed_sql(text, hashed_as)} end"
        elif hashed_as:
            text = hashed_sql(text, hashed_as)
        elif column is None and is_secret_by_name(name):
            is_hash = is_hash_sql(text) if may_hold_hashes else "false"
            text = f"case when {is_hash} then {text} else {hmac_sql(text)} end"
        elif column and column.scrubbed_as:
            text = f"nullif({scrubbed_sql(text, column.scrubbed_as)}, '')"
        elif contract.pii and column is None:
            text = f"case when {looks_personal_sql(text)} then {hmac_sql(text)} else {text} end"
        raws.append(f"{text} as t{number}")
        shown[name] = f"t{number}"
        if contract.pii and column and not column.is_pii and not column.is_key:
            # A row whose values slipped into the next columns must not show them.
            shown[name] = (
                f"case when {looks_personal_sql(f't{number}')} then {hmac_sql(f't{number}')} else t{number} end"
            )
    return raws, shown


def _as_text(raw: str, found_type: str, *, is_text: bool) -> str:
    """A source value as text; the shortest text of a double is the number that was written into it."""
    if found_type == "VARCHAR":
        return raw
    if found_type in ("DOUBLE", "FLOAT"):
        # Pandas turns whole ids into 17850.0 where some are missing, and what is missing into NaN.
        shortest = f"{raw}::varchar"
        if is_text:
            whole = f"{raw} = trunc({raw}) and abs({raw}) < 9007199254740992"
            shortest = f"case when {whole} then {raw}::bigint::varchar else {shortest} end"
        return f"case when not isnan({raw}) then {shortest} end"
    return f"{raw}::varchar"


def cast_sql(column: Column, text: str, raw: str, found_type: str, time_zone: str) -> str:
    """SQL that casts a source value exactly, or gives NULL.

    ``text`` is the value as text with what is missing as NULL, ``raw`` the value with the type that the
    source gave it.
    """
    if column.kind == "text":
        return text
    if column.kind == "instant":
        return _instant(text, raw, found_type, time_zone)
    if column.kind == "date":
        if found_type == "DATE":
            return f"case when isfinite({raw}) then {raw} end"
        return f"case when regexp_full_match({text}, '{_MIDNIGHT}') then try_cast(left(trim({text}), 10) as date) end"
    if column.kind == "integer":
        if found_type in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
            return f"{raw}::bigint"
        return f"case when regexp_full_match({text}, '{_INTEGER}') then try_cast({text} as bigint) end"
    places = int(column.sql_type.rstrip(")").split(",")[1])
    pattern = rf"\s*[+-]?\d*(\.\d{{0,{places}}}0*)?\s*"
    return f"case when regexp_full_match({text}, '{pattern}') then try_cast({text} as {column.sql_type}) end"


def _instant(text: str, raw: str, found_type: str, time_zone: str) -> str:
    zone = literal(time_zone)
    if found_type == "TIMESTAMP WITH TIME ZONE":
        return f"case when isfinite({raw}) then {raw} end"
    if found_type in ("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S", "DATE"):
        return f"case when isfinite({raw}) then timezone({zone}, {raw}::timestamp) end"
    # Seconds are optional in ISO 8601, but DuckDB wants them before an offset.
    with_seconds = rf"regexp_replace({text}, '^(\s*.{{16}})([Zz+ -])', '\1:00\2')"
    is_iso = f"regexp_full_match({text}, '{_ISO_INSTANT}')"
    aware = f"coalesce(try_cast({text} as timestamptz), try_cast({with_seconds} as timestamptz))"
    if time_zone == "UTC":
        # The connection's own zone is UTC, so a naive instant is read as UTC by the same cast.
        return f"case when {is_iso} then {aware} end"
    has_offset = f"regexp_matches({text}, '{_HAS_OFFSET}')"
    naive = f"timezone({zone}, try_cast({text} as timestamp))"
    return f"case when {is_iso} then case when {has_offset} then {aware} else {naive} end end"


def _paid_at(contract: Contract, dialect: Dialect) -> str:
    """Where a source has no paid_at at all: paid at ordered_at, for the statuses that its entry names."""
    names = [column.name for column in contract.columns]
    whens = " ".join(
        f"when {literal(status)} then c{names.index('ordered_at')}" for status in dialect.paid_statuses
    )
    return f"case c{names.index('status')} {whens} end"


def one_of_sql(value: str, words: Sequence[str]) -> str:
    """SQL that tells whether a value is one of some words; true for NULL, which is for others to judge.

    Not written with ``in``: DuckDB makes a hash join of a long list, and a join does not keep the order of
    the file, on which a row's position rests.
    """
    whens = " ".join(f"when {literal(word)} then true" for word in words)
    return f"(case {value} {whens} else {value} is null end)"


def _problems(column: Column, text: str, value: str, *, may_hold_nul: bool) -> list[tuple[str, str, str]]:
    """What may be wrong with a column: (SQL test, reason, column), in the order of judgement."""
    name = column.name
    problems = []
    if column.is_required:
        empty = f"trim({text}) = ''" if column.kind == "text" else "false"
        problems.append((f"{text} is null or {empty}", f"{name}_missing"))
    if column.kind == "decimal":
        problems.append((f"{value} is null and try_cast({text} as double) is null and {text} is not null",
                         f"{name}_not_a_number"))  # fmt: skip
        problems.append((f"{value} is null and {text} is not null", f"{name}_not_exact"))
    elif column.kind != "text":
        noun = {"instant": "an_instant", "date": "a_date", "integer": "an_integer"}[column.kind]
        problems.append((f"{value} is null and {text} is not null", f"{name}_not_{noun}"))
    elif may_hold_nul:
        problems.append((f"contains({text}, chr(0))", f"{name}_holds_nul"))
    if column.allowed:
        problems.append((f"not {one_of_sql(value, column.allowed)}", f"{name}_not_allowed"))
    if column.pattern:
        problems.append((f"not regexp_matches({value}, {literal(column.pattern)})", f"{name}_malformed"))
    low = f"{value} {'<=' if column.is_minimum_exclusive else '<'} {_bound(column, column.minimum)}"
    high = f"{value} > {_bound(column, column.maximum)}"
    bounds = [low if column.minimum is not None else "", high if column.maximum is not None else ""]
    if tests := [test for test in bounds if test]:
        problems.append((" or ".join(tests), f"{name}_out_of_range"))
    return [(test, reason, name) for test, reason in problems]


def _bound(column: Column, bound: str | None) -> str:
    return f"{literal(bound or '')}::{column.sql_type}"


def expected_of(contract: Contract, name: str, reason: str) -> str:
    """In words, what a column should have held."""
    column = contract.column(name)
    if reason.endswith("_not_allowed"):
        return "one of " + ", ".join(column.allowed)
    if reason.endswith("_malformed"):
        return f"a text like {column.pattern}"
    if reason.endswith("_out_of_range"):
        return f"a value {column.range_in_words}"
    if reason.endswith("_personal"):
        return "no e-mail address or phone number"
    if reason.endswith("_not_exact"):
        return f"a number that {column.sql_type} holds without rounding"
    return EXPECTED[column.kind]
