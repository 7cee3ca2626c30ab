"""Where rows stand in their text file, worked out only where something is wrong with some of them.

DuckDB leaves out csv rows that have too many or too few fields, and numbers what is left. The physical
lines are therefore read a second time and records counted over them: a record begins where no quote is
open, and a blank line is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.files import (
    LONGEST_CSV_ROW,
    LONGEST_JSON_ROW,
    UnsoundError,
    compression_of,
    file_literal,
    literal,
)

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

# No text holds these four characters in a row, so every line is one field.
_NO_DELIMITER = "\x1f\x1e\x1f\x1e"

# DuckDB wants the escapes, not the characters.
_NEWLINES = {"\n": r"\n", "\r\n": r"\r\n"}

_BROKEN = {
    "UNQUOTED VALUE": "A quote is never closed, or text follows a closed one: where rows end cannot be told.",
    "LINE SIZE OVER MAXIMUM": f"A row is longer than {LONGEST_CSV_ROW:,} bytes.",
    "INVALID ENCODING": "The file is not UTF-8.",
}


def misfit_lines(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """The physical lines of the csv rows with too many or too few fields, from the last read of a csv file.

    Raises:
        UnsoundError: a row is broken so that the rows after it cannot be trusted.
    """
    found = connection.execute(
        "select distinct line, error_type::varchar from rejected order by line"
    ).fetchall()
    for line, kind in found:
        if kind not in {"MISSING COLUMNS", "TOO MANY COLUMNS"}:
            raise UnsoundError(
                _BROKEN.get(kind, "A row cannot be read."),
                expected="fields with commas, quotes or line breaks in double quotes, quotes in them doubled",
                found=kind.lower(),
                line=int(line),
                mend="export the file again",
            )
    if found:
        connection.execute("truncate rejected; truncate rejected_scan")
    return [int(line) for line, _ in found]


def number_records(
    connection: duckdb.DuckDBPyConnection, path: Path, ending: str, newline: str, misfits: list[int]
) -> None:
    """Fill the temporary tables ``places`` and ``misfits`` for the rows in ``staged``.

    ``places`` (row_id, record, line, text) has a row per staged row, ``misfits`` (record, line, text) one per
    misfit. ``record`` counts data rows from 1, ``line`` physical lines from 1. Where the records counted are
    not those that DuckDB read (a lone quote inside a field without quotes, mixed line endings), records are
    numbered as staged, and what cannot be known of ``line`` and ``text`` is NULL.
    """
    is_csv = ending.startswith("csv")
    header = 1 if is_csv else 0
    escaped = _NEWLINES.get(newline, _NEWLINES["\n"])
    quotes = "length(text) - length(replace(text, '\"', ''))" if is_csv else "0"
    connection.execute(
        f"""
        create or replace temp table places as
        with physical as (
            select row_number() over () as line, coalesce(text, '') as text
            from read_csv(
                {file_literal(path)}, auto_detect = false, header = false, delim = {literal(_NO_DELIMITER)},
                quote = '', escape = '', columns = {{'text': 'VARCHAR'}}, strict_mode = false,
                new_line = '{escaped}',
                max_line_size = {LONGEST_CSV_ROW if is_csv else LONGEST_JSON_ROW},
                compression = '{compression_of(ending)}'
            )
        ),
        opened as (
            select
                *,
                coalesce(sum({quotes}) over (
                    order by line rows between unbounded preceding and 1 preceding
                ), 0) % 2 = 1 as continues,
            from physical
        ),
        counted as (
            select *, sum((not continues and trim(text, e' \\t\\r') <> '')::int) over (order by line) as record
            from opened
        )
        select
            null::bigint as row_id,
            record::bigint - {header} as record,
            {"min(line)" if newline else "null::bigint"} as line,
            string_agg(text, chr(10) order by line) as text,
        from counted
        where record > {header} and (continues or trim(text, e' \\t\\r') <> '')
        group by record
        """
    )
    connection.execute(
        f"""
        create or replace temp table misfits as
        select places.record, places.line, places.text
        from (select unnest({misfits or "[]::bigint[]"}) as line) as found
        -- DuckDB counts a blank line before a row to that row: the row is the first that begins there or after.
        asof join places on found.line <= places.line
        """
    )
    connection.execute("delete from places where record in (select record from misfits)")
    connection.execute(
        """
        update places set row_id = numbered.row_id
        from (select record, row_number() over (order by record) - 1 as row_id from places) as numbered
        where numbered.record = places.record
        """
    )
    counts = connection.execute(
        "select (select count(*) from places), (select count(*) from staged), (select count(distinct record) from misfits)"
    ).fetchall()[0]
    if counts[0] == counts[1] and counts[2] == len(misfits):
        return
    connection.execute(
        """
        create or replace temp table places as
        select rowid as row_id, rowid + 1 as record, null::bigint as line, null::varchar as text from staged
        """
    )
    connection.execute(
        f"""
        create or replace temp table misfits as
        select line - {header} as record, line, null::varchar as text
        from (select unnest({misfits or "[]::bigint[]"})::bigint as line)
        """
    )
