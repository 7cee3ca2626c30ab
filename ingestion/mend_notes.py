"""Writes down what bad rows of a delivery should have held; nothing lands by it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ingestion.conform import Dialect, raw_columns
from ingestion.files import Relation
from ingestion.mends import Mend, mends_path, write_mends
from ingestion.pii import key_id, looks_personal_sql
from ingestion.quarantine import NOT_SHOWN, read_rows
from ingestion.tables import REFUSED
from mallard.errors import MallardError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestion.quarantine import BadRow, Place
    from mallard.settings import Settings


@dataclass(frozen=True)
class Mended:
    """What a call of ``mend_rows`` wrote down: rows with a mend, rows left as they are, changes by column."""

    rows: int
    unchanged: int
    columns: Mapping[str, int]


def mend_rows(
    settings: Settings, place: Place, wanted: Mapping[tuple[str, int], Mapping[str, str | None]]
) -> Mended:
    """Write down what bad rows should hold, on top of earlier mends of these rows; all other mends stay.

    Args:
        wanted: by fingerprint and row the columns as they should be. What was not changed since the row was
            shown says nothing; it was shown with the mend that ``_mend`` holds (JSON). A row that is back at
            what it held has no mend.

    Raises:
        MallardError: a row is not bad, or cannot be known again; a column is not there; a value is personal where
            none belongs.
    """
    rows = {(row.fingerprint, row.row): row for row in read_rows(settings, place)}
    old = place.mends(settings)
    key = key_id(settings.hash_key) if place.contract.pii else ""
    kept = {
        (mend.fingerprint, mend.row): mend
        for mend in old.rows
        if old.hash_key_id == key and not _is_replaced(mend, rows, wanted)
    }
    changed, unchanged = Counter[str](), 0
    with _Values(settings, place) as values:
        for at, columns in wanted.items():
            row = rows.get(at)
            if row is None:
                raise _stranger(place, at[1])
            shown = row.values | _parse_mend(place, row, columns.get("_mend"))
            changes = {
                name: values.kept(row, name, value)
                for name, value in columns.items()
                if name != "_mend" and value != shown.get(name)
            }
            whole = row.mended | {
                name: value
                for name, value in ((row.pending or {}) | changes).items()
                if name in row.mended or value != row.values.get(name)
            }
            if not whole:
                unchanged += 1
                continue
            if row.is_set_aside or row.fingerprint is None:
                raise _cannot(place, row)
            kept[at] = Mend(row.fingerprint, whole, row.reason, row.row, row.line)
            changed.update(list(changes))
    listed = sorted(kept.values(), key=lambda mend: (mend.row or 0, mend.fingerprint))
    if listed or old.path:
        write_mends(settings, place.feed, place.table, place.source, place.day, listed, key)
    return Mended(len(wanted) - unchanged, unchanged, dict(changed))


def _parse_mend(place: Place, row: BadRow, text: str | None) -> dict[str, str | None]:
    try:
        said = json.loads(text or "{}")
        return {str(name): None if value is None else str(value) for name, value in said.items()}
    except (ValueError, AttributeError):
        raise MallardError(
            f"The column _mend is not as it was exported ({row.where} of {place.name}).",
            found=text or "",
            mend="leave it as it was: it tells your changes from those of before",
        ) from None


def _is_replaced(
    mend: Mend,
    rows: Mapping[tuple[str | None, int], BadRow],
    wanted: Mapping[tuple[str, int], Mapping[str, str | None]],
) -> bool:
    """Whether a mend is of a row that is mended anew, which may stand elsewhere in the file by now."""
    at = (mend.fingerprint, mend.row or 0)
    return at in wanted or (at not in rows and any(mend.fingerprint == print_ for print_, _ in wanted))


def forget(settings: Settings, place: Place) -> int:
    """Drop the mends of a delivery, and what is kept of a file that was refused; how many mends there were."""
    try:
        dropped = len(place.mends(settings).rows)
    except MallardError:
        dropped = 0
    if mends_path(settings, place.feed, place.table, place.source, place.day).exists():
        # Not removed: what the mends have landed is still to be taken back, by the next replay.
        write_mends(settings, place.feed, place.table, place.source, place.day, [], "")
    place.file(settings, REFUSED).unlink(missing_ok=True)
    return dropped


class _Values:
    """Checks values that a person gives, and makes hashes of personal ones before anything is written."""

    def __init__(self, settings: Settings, place: Place) -> None:
        self.settings, self.place, self.contract = settings, place, place.contract
        self.columns = {column.name: column for column in self.contract.columns}

    def __enter__(self) -> Self:
        import duckdb

        from ingestion.pii import set_key

        self.connection = duckdb.connect()
        set_key(self.connection, self.settings.hash_key)
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def kept(self, row: BadRow, name: str, value: str | None) -> str | None:
        """The value as it may be kept.

        Raises:
            MallardError: there is no such column, or no such value may stand in it.
        """
        column = self.columns.get(name)
        if column is None and name not in row.values:
            raise MallardError(
                f"{self.place.feed}/{self.place.table} has no column {name!r}.",
                expected="one of " + ", ".join(self.columns),
                found=name,
                where=f"{self.place.name}, {row.where}",
            )
        if value is None:
            return None
        if "\x00" in value or value == NOT_SHOWN:
            raise MallardError(
                f"{name} cannot become that.", found=repr(value), where=f"{self.place.name}, {row.where}"
            )
        # By the very SQL that reads a file's column: hashed, scrubbed or left alone.
        relation = Relation("", (name,), ("VARCHAR",), "csv")
        (text,), _ = raw_columns(self.contract, relation, Dialect(), may_hold_hashes=True)
        kept = self.connection.execute(
            f"select t0 from (select {text} from (select $1::varchar as r0))", [value]
        ).fetchall()[0][0]
        is_free = self.contract.pii and not (column and column.is_pii) and not name.endswith("_id")
        if is_free and self._is(looks_personal_sql("$1"), kept):
            raise MallardError(
                f"The value for {name} looks like an e-mail address or a phone number, which does not belong there.",
                expected=f"no personal data in {name}",
                found=NOT_SHOWN,
                where=f"{self.place.name}, {row.where}",
                mend="nothing was written; put it into the column that it belongs to",
            )
        return None if kept is None else str(kept)

    def _is(self, test: str, value: str | None) -> bool:
        return bool(self.connection.execute(f"select {test}", [value]).fetchall()[0][0])


def _stranger(place: Place, row: int) -> MallardError:
    return MallardError(
        f"Row {row} of the mended rows is not a bad row of {place.name}, or not any more.",
        expected="rows with the _row and _fingerprint that they were exported with",
        mend=f"export them again: mallard quarantine inspect {place.feed}/{place.table} {place.day} --csv FILE",
    )


def _cannot(place: Place, row: BadRow) -> MallardError:
    if row.is_set_aside:
        return MallardError(
            f"{row.where.capitalize()} of {place.name} was set aside by the source's entry, not for what it holds.",
            found=row.reason,
            mend="change the entry's SQL in the source registry, then: mallard quarantine replay",
        )
    return MallardError(
        f"{row.where.capitalize()} of {place.name} cannot be told from other lines, so a mend cannot name it.",
        found=row.reason,
        mend="mend the source's file and load the day again",
    )
