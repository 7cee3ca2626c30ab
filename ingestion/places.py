"""Where rows stand in their text file, worked out only where something is wrong with some of them.

DuckDB leaves out csv rows that have too many or too few fields, and numbers what is left. Mostly every line
is a record, and counting is enough. Where records span lines or lines are blank, the physical lines are read
a second time: a record begins where no quote is open, and a blank line is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.files import (
    LONGEST_CSV_ROW,
    LONGEST_JSON_ROW,
    UnsoundError,
    check_regular,
    compression_of,
    file_literal,
    literal,
)
from ingestion.pii import fingerprint_sql, scrubbed_sql

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from ingestion.files import Soundness

# The temporary tables that this module fills. `row_id` is a row of `staged`; `record` counts data rows from 1,
# `line` physical lines from 1. `places` is empty where row and line follow from `row_id` by counting.
TABLES = {
    "places": "(row_id bigint, record bigint, line bigint)",
    "misfits": "(record bigint, line bigint, start bigint, text varchar, fingerprint varchar, reason varchar)",
    "unreadable": "(row_id bigint, text varchar, fingerprint varchar)",
}

MISFIT = "wrong_number_of_fields"
UNREADABLE = "unreadable_line"

# No text holds these four characters in a row, so every line is one field.
_NO_DELIMITER = "\x1f\x1e\x1f\x1e"

# DuckDB wants the escapes, not the characters.
_NEWLINES = {"\n": r"\n", "\r\n": r"\r\n"}

_BROKEN = {
    "UNQUOTED VALUE": "A quote is never closed, or text follows a closed one: where rows end cannot be told.",
    "LINE SIZE OVER MAXIMUM": f"A row is longer than {LONGEST_CSV_ROW:,} bytes.",
    "INVALID ENCODING": "The file is not UTF-8.",
}


def take_misfits(connection: duckdb.DuckDBPyConnection, *, is_personal: bool) -> int:
    """Move the csv rows with too many or too few fields of the file just read into ``misfits``; how many.

    Where they may be personal, what they say is forgotten but for a keyed fingerprint; elsewhere it is scrubbed.

    Raises:
        UnsoundError: a row is broken so that the rows after it cannot be trusted.
    """
    found = connection.execute(
        "select error_type::varchar, count(distinct line_byte_position), min(line) from rejected group by 1"
    ).fetchall()
    for kind, _, line in found:
        if kind not in {"MISSING COLUMNS", "TOO MANY COLUMNS"}:
            raise UnsoundError(
                _BROKEN.get(kind, "A row cannot be read."),
                expected="fields with commas, quotes or line breaks in double quotes, quotes in them doubled",
                found=kind.lower(),
                line=int(line),
                mend="export the file again",
            )
    if not found:
        return 0
    text = "ltrim(any_value(csv_line), chr(10) || chr(13))"
    shown = scrubbed_sql(text, "line")
    # Without a key only of what is shown: a hash of the rest could be guessed.
    fingerprint = fingerprint_sql(text if is_personal else shown, is_keyed=is_personal)
    connection.execute(
        f"""
        insert into misfits
        select
            null, min(line), line_byte_position - 1,
            {"null" if is_personal else shown}, {fingerprint}, {literal(MISFIT)}
        from rejected
        group by line_byte_position
        """
    )
    connection.execute("truncate rejected; truncate rejected_scan")
    return sum(rows for _, rows, _ in found)


def refuse_cut(connection: duckdb.DuckDBPyConnection, soundness: Soundness, rows_in: int) -> None:
    """Refuse a file that stops within its last row: most likely it is still being written.

    What it would land is a part of the delivery, and its last row is not bad but not there yet.

    Raises:
        UnsoundError: no line break ends the last line, and its row is bad.
    """
    if not soundness.is_cut:
        return
    ((last, is_bad),) = connection.execute(
        """
        select
            (select max(record) from misfits),
            (select arg_max(_reason is not null and not _is_set_aside, rowid) from staged)
        """
    ).fetchall()
    if last == rows_in or is_bad:
        raise UnsoundError(
            "The file ends in the middle of a row.",
            expected="a line break after the last row",
            found="a last row that is bad and does not end",
            line=soundness.lines,
            mend="if it is still being written, load again when it is whole (a name that begins with _ keeps it"
            " unread till then); if it was cut, copy it again; if it is whole, end it with a line break",
        )


def place_rows(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    ending: str,
    soundness: Soundness,
    *,
    rows: int,
    misfits: int,
) -> None:
    """Find the record and line of ``rows`` staged rows and of ``misfits``.

    Where the records counted are not those that DuckDB read (a lone quote in a field without quotes, mixed
    line endings), staged rows are numbered as they come, and their lines are NULL.
    """
    header = 1 if ending.startswith("csv") else 0
    if soundness.newline and soundness.lines == rows + misfits + header:
        # One line each: DuckDB's own count of lines is the file's, and a row only moves by the misfits before it.
        connection.execute(f"update misfits set record = line - {header}")
        if misfits:
            connection.execute(
                f"""
                insert into places
                select row_id, row_id + 1 + moved, row_id + 1 + moved + {header}
                from (
                    select staged.rowid as row_id, coalesce(moved, 0) as moved
                    from staged
                    asof left join (
                        select row_number() over (order by record) as moved, record - moved as since from misfits
                    ) as shifts on staged.rowid >= shifts.since
                )
                """
            )
    else:
        _count_lines(connection, path, ending, soundness, rows=rows, misfits=misfits)


def read_unreadable(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    ending: str,
    soundness: Soundness,
    reason: str,
    *,
    is_personal: bool,
) -> None:
    """Fill ``unreadable`` with the text of the JSON lines that have that reason, where their line is known.

    Where they may be personal, with nothing of them but a keyed fingerprint.
    """
    shown = scrubbed_sql("physical.text", "line")
    text = "null" if is_personal else shown
    fingerprint = fingerprint_sql("physical.text" if is_personal else shown, is_keyed=is_personal)
    connection.execute(
        f"""
        insert into unreadable
        select bad.row_id, {text}, {fingerprint}
        from (
            select staged.rowid as row_id, case when has_places then line else staged.rowid + 1 end as line
            from staged
            left join places on places.row_id = staged.rowid
            cross join (select count(*) > 0 as has_places from places)
            where _reason = {literal(reason)}
        ) as bad
        join ({_lines_sql(path, ending, soundness)}) as physical on physical.line = bad.line
        """
    )


def _lines_sql(path: Path, ending: str, soundness: Soundness) -> str:
    check_regular(path.stat().st_mode)
    longest = LONGEST_CSV_ROW if ending.startswith("csv") else LONGEST_JSON_ROW
    return f"""
        select row_number() over () as line, coalesce(text, '') as text
        from read_csv(
            {file_literal(path)}, auto_detect = false, header = false, delim = {literal(_NO_DELIMITER)},
            quote = '', escape = '', columns = {{'text': 'VARCHAR'}}, strict_mode = false,
            new_line = '{_NEWLINES[soundness.newline or chr(10)]}', compression = '{compression_of(ending)}',
            max_line_size = {longest}
        )
    """


def _count_lines(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    ending: str,
    soundness: Soundness,
    *,
    rows: int,
    misfits: int,
) -> None:
    is_csv = ending.startswith("csv")
    header = 1 if is_csv else 0
    quotes = "length(text) - length(replace(text, '\"', ''))" if is_csv else "0"
    length = f"strlen(text) + {len(soundness.newline or ' ')}"
    # Running sums without an order stream over the file: the lines come in its order.
    connection.execute(
        f"""
        create or replace temp table physical as
        select *, sum((not continues and not is_blank)::int) over (rows unbounded preceding) as record
        from (
            select
                line,
                trim(text, ' ' || chr(9) || chr(13)) = '' as is_blank,
                {3 if soundness.has_mark else 0} + sum({length}) over (rows unbounded preceding) - ({length}) as start,
                (sum({quotes}) over (rows unbounded preceding) - ({quotes})) % 2 = 1 as continues,
            from ({_lines_sql(path, ending, soundness)})
        )
        """
    )
    # DuckDB counts a blank line before a row to that row: the row is the first that begins there or after.
    connection.execute(
        f"""
        create or replace temp table misfits as
        select (physical.record - {header})::bigint as record, physical.line, misfits.* exclude (record, line)
        from misfits
        asof left join (select * from physical where not is_blank) as physical on misfits.start <= physical.start
        """
    )
    starts = f"physical where not continues and not is_blank and record > {header}"
    counted, records = connection.execute(
        f"select (select count(*) from {starts}), (select count(distinct record) from misfits)"
    ).fetchall()[0]
    if counted == rows + misfits and records == misfits:
        connection.execute(
            f"""
            insert into places
            select
                row_number() over (order by record) - 1,
                record - {header},
                {"line" if soundness.newline else "null"},
            from {starts} and record - {header} not in (select record from misfits)
            """
        )
    else:
        connection.execute(f"update misfits set record = line - {header}")
        connection.execute("insert into places select rowid, rowid + 1, null from staged")
    connection.execute("drop table physical")
