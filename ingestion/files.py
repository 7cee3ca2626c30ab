"""Source files: what they hash to, whether they are sound, and how DuckDB reads them.

A file's bytes are looked at once in Python before DuckDB sees them, because DuckDB forgives what must be
refused: it reads a damaged gzip file without looking at its checksum, and drops lines whose encoding is
wrong.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import os
import re
import stat
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ingestion.contract import TECHNICAL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import duckdb

# Longest first: `2025-11-11.csv.gz` ends with both.
ENDINGS = ("csv.gz", "jsonl.gz", "csv", "jsonl", "parquet")

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20
_LONGEST_NAME = 1000
# A gzip file that grows more than this often, and beyond this size, is no table but an attack.
_MOST_GROWTH = 1000
_BOMB_BYTES = 1 << 28
# DuckDB's own limits, said out loud because they are what keeps a hostile line from filling the memory.
LONGEST_CSV_ROW = 2_000_000
LONGEST_JSON_ROW = 16_777_216


class UnsoundError(Exception):
    """A delivery cannot be taken; landing adds which one. ``value`` is never personal data."""

    def __init__(
        self,
        summary: str,
        *,
        expected: str = "",
        found: str = "",
        mend: str = "",
        row: int | None = None,
        line: int | None = None,
        column: str = "",
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.found = found
        self.mend = mend
        self.row = row
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Soundness:
    """What a look at a text file's bytes told.

    ``lines`` counts physical lines, the header included, blank ones at the end not. ``newline`` is how they end, empty where a file
    mixes endings. ``has_mark`` tells a byte order mark, ``is_cut`` that no line break ends the last line.
    """

    lines: int = 0
    newline: str = "\n"
    has_mark: bool = False
    has_escaped_nul: bool = False
    is_cut: bool = False


@dataclass(frozen=True)
class Relation:
    """A SQL query over a delivery's rows, in file order: columns ``r0``, ``r1`` … for ``names``.

    ``types`` are DuckDB's; what text files hold is VARCHAR. In a ``jsonl`` relation every column is NULL for a
    line that is no JSON object.
    """

    sql: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    # csv, jsonl, parquet, or projection
    format: str


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def file_literal(path: Path) -> str:
    """A path as DuckDB takes it: what looks like a pattern in a folder's name is meant as it is."""
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def compression_of(ending: str) -> str:
    """DuckDB's name for how a file of this ending is packed."""
    return "gzip" if ending.endswith(".gz") else "uncompressed"


def ending_of(name: str) -> str | None:
    """The known ending of a file name (without the dot), or None."""
    lowered = name.lower()
    return next((ending for ending in ENDINGS if lowered.endswith("." + ending)), None)


def kind_of(mode: int) -> str:
    """What a file's mode says that it is: ``a named pipe``."""
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def check_regular(mode: int) -> None:
    """Refuse what is no regular file: to open a pipe is to wait for its writer, for ever if none comes.

    Raises:
        UnsoundError: the mode is of something else.
    """
    if not stat.S_ISREG(mode):
        raise UnsoundError(
            "What is there is no regular file.",
            expected="a regular file",
            found=kind_of(mode),
            mend="put the file itself there, and what comes through a pipe into a file first",
        )


def open_regular(path: Path) -> io.BufferedReader:
    """Open a source's file to read its bytes, and never wait for it.

    Raises:
        UnsoundError: it is no regular file.
    """
    # Looked at before, since to open a device may do something, and after, since it may have been replaced.
    check_regular(path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_regular(os.fstat(descriptor).st_mode)
    except UnsoundError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex.

    Raises:
        UnsoundError: it is no regular file.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect(path: Path, ending: str) -> Soundness:
    """Read a text file once and refuse what no reader should forgive.

    Raises:
        UnsoundError: no regular file, a damaged or absurdly compressed gzip file, NUL bytes, or text that is
            not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, pairs, has_nul_escape, tail, head = 0, 0, False, b"", b""
    try:
        if ending == "parquet":
            check_regular(path.stat().st_mode)
            return Soundness()
        for chunk in _chunks(path, is_gzip=ending.endswith(".gz")):
            if b"\x00" in chunk:
                raise UnsoundError(
                    "The file holds NUL bytes, which no text has.",
                    expected="text in UTF-8",
                    found="a NUL byte",
                    line=lines + chunk[: chunk.index(b"\x00")].count(b"\n") + 1,
                    mend="the file is damaged, or is UTF-16: export it again as UTF-8",
                )
            if not chunk.isascii() or decoder.getstate()[0]:
                _decode(decoder, chunk, lines)
            lines += chunk.count(b"\n")
            seam = tail + chunk[:5]
            if b"\r" in chunk:
                pairs += chunk.count(b"\r\n")
            pairs += tail.endswith(b"\r") and chunk.startswith(b"\n")
            has_nul_escape = has_nul_escape or b"\\u0000" in seam or b"\\u0000" in chunk
            tail, head = chunk[-5:], head or chunk[:3]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UnsoundError(
            "The file ends in the middle of a character.", mend="copy it again, whole"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UnsoundError(
            "The file cannot be read to its end.", found=str(error), mend="copy it again, whole"
        ) from None
    newline = "\n" if pairs == 0 else "\r\n" if pairs == lines else ""
    is_cut = bool(tail) and not tail.endswith(b"\n")
    # Blank lines at the end are none.
    ends = len(tail) - len(tail.rstrip(b"\r\n"))
    lines += is_cut - max(0, ends // max(1, len(newline)) - 1)
    return Soundness(lines, newline, head == codecs.BOM_UTF8, has_nul_escape, is_cut)


def _decode(decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int) -> None:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError as error:
        raise UnsoundError(
            "The file is not UTF-8.",
            expected="text in UTF-8",
            found=f"the byte 0x{error.object[error.start]:02x}",
            line=lines + error.object[: error.start].count(b"\n") + 1,
            mend="export it as UTF-8, or convert it: iconv -f ISO-8859-1 -t UTF-8",
        ) from None


@contextmanager
def _open(path: Path, *, is_gzip: bool) -> Iterator[IO[bytes]]:
    with open_regular(path) as file:
        yield gzip.GzipFile(fileobj=file) if is_gzip else file  # type: ignore[misc]


def _chunks(path: Path, *, is_gzip: bool) -> Iterator[bytes]:
    size = path.stat().st_size
    with _open(path, is_gzip=is_gzip) as file:
        total = 0
        while chunk := file.read(_CHUNK):
            total += len(chunk)
            if is_gzip and total > max(_BOMB_BYTES, size * _MOST_GROWTH):
                raise UnsoundError(
                    f"The file unpacks to more than {_MOST_GROWTH} times its size.",
                    found=f"{size:,} bytes that grow beyond {total:,}",
                    mend="if it is genuine, deliver it unpacked or as Parquet",
                )
            yield chunk


def csv_header(path: Path, ending: str, delimiter: str) -> list[str]:
    """The column names of a csv file.

    Raises:
        UnsoundError: no header, an endless one, or a name that comes twice.
    """
    with _open(path, is_gzip=ending.endswith(".gz")) as file:
        start = file.read(_LONGEST_HEADER)
    text = start.decode("utf-8-sig", errors="ignore")
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        names = [text]
    if not names:
        raise UnsoundError(
            "The file is empty: it does not even have a header.",
            expected="a first line with the column names",
            found=f"{len(start)} bytes",
            mend="deliver the header alone where there are no rows",
        )
    if max(map(len, names)) > _LONGEST_NAME:
        raise UnsoundError("The first line is longer than a header can be.", expected="column names", line=1)
    named = [name.strip() or f"column{number}" for number, name in enumerate(names, start=1)]
    _check_names(named)
    return named


def _check_names(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name in TECHNICAL_COLUMNS:
            raise UnsoundError(
                f"A column is named {name!r}, which is a name of Mallard's own.",
                expected="other names than " + ", ".join(TECHNICAL_COLUMNS),
                column=name,
                mend="rename the column, or leave it out",
            )
        if name.lower() in seen:
            raise UnsoundError(
                f"Two columns have the same name, {name!r}.",
                expected="names that differ in more than case",
                found=f"{seen[name.lower()]!r} and {name!r}",
                column=name,
            )
        seen[name.lower()] = name


def csv_relation(
    path: Path, ending: str, *, delimiter: str = ",", null_padding: bool = False, keeps_misfits: bool = True
) -> Relation:
    """How to read a csv file: every field as text.

    Rows with too many or too few fields go to the table ``rejected``, or fail the query. With ``null_padding``
    rows with too few are filled up with NULL.
    """
    names = csv_header(path, ending, delimiter)
    columns = ", ".join(f"'r{number}': 'VARCHAR'" for number in range(len(names)))
    options = [
        file_literal(path),
        "auto_detect = false",
        "header = true",
        f"delim = {literal(delimiter)}",
        "quote = '\"'",
        "escape = '\"'",
        f"columns = {{{columns}}}",
        f"compression = '{compression_of(ending)}'",
        f"max_line_size = {LONGEST_CSV_ROW}",
    ]
    if null_padding:
        # DuckDB cannot pad rows that span lines where it reads in parallel.
        options += ["null_padding = true", "parallel = false"]
    if keeps_misfits:
        options += ["store_rejects = true", "rejects_table = 'rejected'", "rejects_scan = 'rejected_scan'"]
    sql = f"select * from read_csv({', '.join(options)})"
    return Relation(sql, tuple(names), ("VARCHAR",) * len(names), "csv")


def json_relation(
    connection: duckdb.DuckDBPyConnection, path: Path, ending: str, *, decimals: Collection[str] = ()
) -> Relation:
    """How to read a file of JSON lines: every value as text.

    DuckDB's JSON reader turns a number into a double on its way to text. For the columns ``decimals`` the
    digits are therefore taken from the line itself, where they stand for the same number.
    """
    source = (
        f"({file_literal(path)}, ignore_errors = true, "
        f"compression = '{compression_of(ending)}', "
        f"maximum_object_size = {LONGEST_JSON_ROW})"
    )
    found = connection.execute(
        f"select distinct unnest(json_keys(json)) as name from read_ndjson_objects{source} order by name"
    ).fetchall()
    names = [str(row[0]) for row in found]
    _check_names(names)
    if not names:
        # Lines without a key are no rows, whatever else they are.
        sql = f"select null::varchar as r0 from read_ndjson_objects{source}"
        return Relation(sql, ("line",), ("VARCHAR",), "jsonl")
    if not set(decimals) & set(names):
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        picked = ", ".join(f"{identifier(name)} as r{number}" for number, name in enumerate(names))
        options = source[1:-1] + ", format = 'newline_delimited'"
        sql = f"select {picked} from read_json({options}, columns = {{{columns}}})"
        return Relation(sql, tuple(names), ("VARCHAR",) * len(names), "jsonl")
    pointers = ", ".join(literal("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    picked = ", ".join(
        f"{_exact_number('json', name, f'v[{number + 1}]') if name in decimals else f'v[{number + 1}]'} as r{number}"
        for number, name in enumerate(names)
    )
    sql = (
        f"select {picked} from (select json::varchar as json, json_extract_string(json, [{pointers}]) as v "
        f"from read_ndjson_objects{source})"
    )
    return Relation(sql, tuple(names), ("VARCHAR",) * len(names), "jsonl")


def _exact_number(line: str, name: str, value: str) -> str:
    pattern = '"' + re.escape(name) + r'"\s*:\s*(-?[0-9][0-9.]*)'
    digits = f"regexp_extract({line}, {literal(pattern)}, 1)"
    return (
        f"case when try_cast({digits} as double) = try_cast({value} as double) then {digits} else {value} end"
    )


def parquet_relation(connection: duckdb.DuckDBPyConnection, path: Path) -> Relation:
    """How to read a Parquet file: with the types that it has."""
    source = f"read_parquet({file_literal(path)}, hive_partitioning = false)"
    described = connection.execute(f"describe select * from {source}").fetchall()
    names = [str(row[0]) for row in described]
    _check_names(names)
    picked = ", ".join(f"{identifier(name)} as r{number}" for number, name in enumerate(names))
    return Relation(
        f"select {picked} from {source}", tuple(names), tuple(str(row[1]) for row in described), "parquet"
    )
