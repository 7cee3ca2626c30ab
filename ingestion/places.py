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

    from ingestion.files import Soundness

# No text holds these four characters in a row, so every line is one field.
_NO_DELIMITER = "\x1f\x1e\x1f\x1e"

# DuckDB wants the escapes, not the characters.
_NEWLINES = {"\n": r"\n", "\r\n": r"\r\n"}

_BROKEN = {
    "UNQUOTED VALUE": "A quote is never closed, or text follows a closed one: where rows end cannot be told.",
    "LINE SIZE OVER MAXIMUM": f"A row is longer than {LONGEST_CSV_ROW:,} bytes.",
    "INVALID ENCODING": "The file is not UTF-8.",
}

_BLANK = "trim(text, ' ' || chr(9) || chr(13)) = ''"


def misfit_offsets(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Where the csv rows with too many or too few fields begin: bytes from 0, of the last csv file read.

    Raises:
        UnsoundError: a row is broken so that the rows after it cannot be trusted.
    """
    found = connection.execute(
        "select distinct line_byte_position, error_type::varchar, line from rejected order by 1"
    ).fetchall()
    for _, kind, line in found:
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
    return [int(position) - 1 for position, _, _ in found]


def number_records(
    connection: duckdb.DuckDBPyConnection, path: Path, ending: str, soundness: Soundness, misfits: list[int]
) -> None:
    """Fill the temporary tables ``places`` and ``misfits`` for the rows in ``staged``.

    ``places`` (row_id, record, line, text) has a row per staged row, ``misfits`` (record, line, text) one per
    misfit, which are given by where they begin. ``record`` counts data rows from 1, ``line`` physical lines
    from 1. Where the records counted are not those that DuckDB read (a lone quote in a field without quotes,
    mixed line endings), staged rows are numbered as they come and their ``line`` and ``text`` are NULL.
    """
    is_csv = ending.startswith("csv")
    header = 1 if is_csv else 0
    quotes = "length(text) - length(replace(text, '\"', ''))" if is_csv else "0"
    newline = soundness.newline or "\n"
    connection.execute(
        f"""
        create or replace temp table physical as
        select
            line,
            text,
            -- where the line begins, in bytes from 0
            {3 if soundness.has_mark else 0} + coalesce(sum(strlen(text) + {len(newline)}) over (
                order by line rows between unbounded preceding and 1 preceding
            ), 0)::bigint as start,
            coalesce(sum({quotes}) over (
                order by line rows between unbounded preceding and 1 preceding
            ), 0) % 2 = 1 as continues,
        from (
            select row_number() over () as line, coalesce(text, '') as text
            from read_csv(
                {file_literal(path)}, auto_detect = false, header = false, delim = {literal(_NO_DELIMITER)},
                quote = '', escape = '', columns = {{'text': 'VARCHAR'}}, strict_mode = false,
                new_line = '{_NEWLINES[newline]}', compression = '{compression_of(ending)}',
                max_line_size = {LONGEST_CSV_ROW if is_csv else LONGEST_JSON_ROW}
            )
        )
        """
    )
    connection.execute(
        f"""
        create or replace temp table places as
        with counted as (
            select *, sum((not continues and not {_BLANK})::int) over (order by line) as record from physical
        )
        select
            null::bigint as row_id,
            record::bigint - {header} as record,
            min(line) as line,
            min(start) as start,
            string_agg(text, chr(10) order by line) as text,
        from counted
        where record > {header} and (continues or not {_BLANK})
        group by record
        """
    )
    # DuckDB counts a blank line before a row to that row: the row is the first that begins there or after.
    starts = f"(select unnest({misfits or '[]::bigint[]'})::bigint as start) as found"
    connection.execute(
        f"""
        create or replace temp table misfits as
        select places.record, places.line, places.text from {starts} asof join places on found.start <= places.start
        """
    )
    counts = connection.execute(
        """
        select
            (select count(*) from places),
            (select count(*) from staged) + (select count(distinct record) from misfits),
            (select count(distinct record) from misfits)
        """
    ).fetchall()[0]
    if counts[0] == counts[1] and counts[2] == len(misfits):
        line = "line" if soundness.newline else "null::bigint"
        connection.execute(
            f"""
            create or replace temp table places as
            select row_number() over (order by record) - 1 as row_id, record, {line} as line, text
            from places
            where record not in (select record from misfits)
            """
        )
    else:
        connection.execute(
            """
            create or replace temp table places as
            select rowid as row_id, rowid + 1 as record, null::bigint as line, null::varchar as text from staged
            """
        )
        connection.execute(
            f"""
            create or replace temp table misfits as
            select physical.line - {header} as record, physical.line, physical.text
            from {starts}
            asof left join (select * from physical where not {_BLANK}) as physical on found.start <= physical.start
            """
        )
    connection.execute("drop table physical")
