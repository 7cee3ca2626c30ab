"""Bad rows as a CSV file that a person edits in a spreadsheet, and back."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

from mallard.errors import MallardError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ingestion.quarantine import BadRow, Place

# What a row is known by, and what is wrong with it; the row's own columns follow.
_ABOUT = ("_row", "_line", "_reason", "_column", "_fingerprint", "_mend", "_text")
# A cell that begins so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_LARGEST_FIELD = 1 << 24


def export_rows(place: Place, rows: Sequence[BadRow], path: Path) -> None:
    """Write bad rows with all columns of their table, as they would be with their pending mends.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front, which ``import_rows`` takes
    away again.

    Raises:
        MallardError: the file is there already, or cannot be written.
    """
    names = [column.name for column in place.contract.columns]
    names += sorted({name for row in rows for name in row.wanted} - set(names))
    try:
        # With a byte order mark, without which Excel takes UTF-8 for something else.
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*_ABOUT, *names])
            for row in rows:
                mend = json.dumps(row.pending, ensure_ascii=False) if row.pending else None
                about = [row.row, row.line, row.reason, row.column, row.fingerprint, mend, row.text]
                cells = [*about, *(row.wanted.get(name) for name in names)]
                writer.writerow([_harmless(cell) for cell in cells])
    except FileExistsError:
        raise MallardError(
            "The file is there already, and may hold somebody's edits.",
            where=str(path),
            mend="name another, or remove it",
        ) from None
    except OSError as error:
        raise MallardError(
            "The file cannot be written.", found=error.strerror or str(error), where=str(path)
        ) from error


def import_rows(path: Path) -> dict[tuple[str, int], dict[str, str | None]]:
    """Read what ``export_rows`` wrote and a person edited: each row's columns by its fingerprint and number.

    Commas, semicolons and tabs are taken, since spreadsheets save by their country. Columns and rows may be left
    out; an empty cell is an empty field. ``_mend`` is the mend that the row was exported with.

    Raises:
        MallardError: the file cannot be read, or is no such file; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
        raise _wrong(path, "cannot be read", found, mend="save it as CSV in UTF-8") from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: dict[tuple[str, int], dict[str, str | None]] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        twice = sorted({name for name in header if header.count(name) > 1})
        if "_row" not in header or "_fingerprint" not in header or twice:
            raise _wrong(
                path,
                "is not a file of bad rows",
                f"{twice[0]!r} twice" if twice else ", ".join(header)[:200] or "nothing",
                expected="the columns of the export, _row and _fingerprint among them",
                mend="edit what `mallard quarantine inspect --csv` wrote",
            )
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise _wrong(
                    path, f"has {len(cells)} fields in line {reader.line_num}", "", expected=f"{len(header)}"
                )
            row = {name: _meant(cell) for name, cell in zip(header, cells, strict=True)}
            number = row["_row"] or ""
            if not number.isdigit() or not row["_fingerprint"]:
                raise _wrong(
                    path, f"has no row number or fingerprint in line {reader.line_num}", repr(number),
                    mend="leave _row and _fingerprint as they were exported",
                )  # fmt: skip
            at = (row["_fingerprint"] or "", int(number))
            if at in rows:
                raise _wrong(path, f"has row {number} twice, again in line {reader.line_num}", "")
            rows[at] = {name: value for name, value in row.items() if name not in _ABOUT or name == "_mend"}
    except csv.Error as error:
        raise _wrong(path, f"is not CSV in line {reader.line_num}", str(error)) from None
    return rows


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def _meant(cell: str) -> str | None:
    return cell.removeprefix("'") or None


def _wrong(path: Path, what: str, found: str, *, expected: str = "", mend: str = "") -> MallardError:
    return MallardError(
        f"The file of mended rows {what}; nothing was written.",
        expected=expected,
        found=found,
        where=str(path),
        mend=mend,
    )
