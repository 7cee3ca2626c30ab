"""The quarantine as people use it: what lies in it, which rows, how they are mended, what to land again."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ingestion.conform import Dialect, _raws, expected_of
from ingestion.contract import read_contracts
from ingestion.deliveries import Delivery, plan
from ingestion.files import Relation
from ingestion.manifest import manifest_path, read_manifest
from ingestion.mends import Mend, Mends, mends_path, read_mends, write_mends
from ingestion.pii import key_id, looks_personal_sql
from ingestion.places import MISFIT, UNREADABLE
from ingestion.registry import read_registry
from ingestion.tables import REFUSED
from mallard.errors import MallardError, NothingToDoError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingestion.contract import Contract
    from ingestion.manifest import Manifest
    from ingestion.writer import Checked
    from mallard.settings import Settings

NOT_SHOWN = "(personal, not shown)"
_FILES = "*/*/*/????-??-??"


@dataclass(frozen=True, order=True)
class Place:
    """One delivery."""

    feed: str
    table: str
    source: str
    day: dt.date

    @property
    def name(self) -> str:
        return f"{self.feed}/{self.table} of {self.day}"

    @property
    def contract(self) -> Contract:
        return read_contracts()[self.feed, self.table]

    def file(self, settings: Settings, ending: str = ".parquet") -> Path:
        return settings.quarantine / self.feed / self.table / self.source / f"{self.day}{ending}"

    def manifest(self, settings: Settings) -> Manifest | None:
        return read_manifest(manifest_path(settings, self.feed, self.table, self.source, self.day))

    def mends(self, settings: Settings) -> Mends:
        return read_mends(settings, self.feed, self.table, self.source, self.day)


@dataclass(frozen=True)
class BadRow:
    """One bad row as the quarantine keeps it.

    ``row`` counts data rows from 1, ``line`` physical lines (None where it cannot be told). ``values`` are the
    row's columns as texts, personal data as hashes; empty for a line that could not be split, whose ``text`` is
    kept unless its table holds personal data. ``mended`` is what earlier mends have set already, ``pending``
    what a mend will set when the delivery is landed again (None: no mend).
    """

    row: int
    line: int | None
    reason: str
    column: str
    values: dict[str, str | None]
    text: str | None
    fingerprint: str | None
    is_set_aside: bool
    source_file: str
    mended: dict[str, str | None] = field(default_factory=dict)
    pending: dict[str, str | None] | None = None

    @property
    def is_split(self) -> bool:
        return self.reason not in {MISFIT, UNREADABLE}

    @property
    def where(self) -> str:
        return f"line {self.line}" if self.line else f"row {self.row}"

    @property
    def found(self) -> str:
        """What is wrong, as the quarantine may show it."""
        if not self.is_split:
            return self.text if self.text is not None else NOT_SHOWN
        value = self.values.get(self.column)
        return "nothing" if value is None else value

    @property
    def wanted(self) -> dict[str, str | None]:
        """The row's columns with the pending mend."""
        return self.values | (self.pending or {})


@dataclass(frozen=True)
class Group:
    """Bad rows of one delivery and reason. ``state``: quarantined, set aside (by the source's entry) or refused.

    ``since`` is when the delivery was landed or refused; ``pending`` counts rows with a mend that is not landed.
    """

    place: Place
    reason: str
    rows: int
    state: str
    since: dt.datetime
    example: BadRow
    pending: int


@dataclass(frozen=True)
class Mended:
    """What a call of ``mend_rows`` wrote down: rows with a mend, rows left as they are, changes by column."""

    rows: int
    unchanged: int
    columns: Mapping[str, int]


def find_places(
    settings: Settings,
    feed: str | None = None,
    table: str | None = None,
    *,
    source: str | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> list[Place]:
    """Deliveries with bad rows or mends, in the order of their names."""
    endings = (".parquet", REFUSED, ".mends.json")
    found = set()
    for path in (path for ending in endings for path in settings.quarantine.glob(_FILES + ending)):
        day = dt.date.fromisoformat(path.name[:10])
        found.add(Place(path.parts[-4], path.parts[-3], path.parts[-2], day))
    return sorted(
        place
        for place in found
        if feed in {None, place.feed}
        and table in {None, place.table}
        and source in {None, place.source}
        and (first is None or place.day >= first)
        and (last is None or place.day <= last)
    )


def read_rows(settings: Settings, place: Place, *, refused: bool | None = None) -> list[BadRow]:
    """The bad rows of a delivery in the order of its file.

    Args:
        refused: those of the refused file (True), the quarantined ones (False), or the former where there are
            any (None), since they are of the newest file.

    Raises:
        MallardError: they were written by a version that did not keep what mending needs.
    """
    import duckdb

    is_refused = place.file(settings, REFUSED).exists() if refused is None else refused
    path = place.file(settings, REFUSED if is_refused else ".parquet")
    if not path.exists():
        return []
    mends = place.mends(settings).rows
    by_print: dict[str, list[Mend]] = {}
    for mend in mends:
        by_print.setdefault(mend.fingerprint, []).append(mend)
    try:
        with duckdb.connect() as connection:
            found = connection.execute(
                """
                select row_number, line, reason, column_name, row_json, fingerprint, is_set_aside, source_file, mend
                from read_parquet($path, hive_partitioning = false)
                order by row_number
                """,
                {"path": str(path)},
            ).fetchall()
    except duckdb.BinderException:
        raise MallardError(
            f"The bad rows of {place.name} were quarantined by an older version.",
            where=str(path),
            mend=f"delete {manifest_path(settings, place.feed, place.table, place.source, place.day)} "
            "and load the delivery again",
        ) from None
    rows, seen = [], Counter[str]()
    for row, line, reason, column, row_json, fingerprint, is_set_aside, source_file, mend in found:
        values = json.loads(row_json) if row_json else {}
        applied = json.loads(mend) if mend else {}
        of_print = by_print.get(fingerprint, [])
        chosen = of_print[min(seen[fingerprint], len(of_print) - 1)] if of_print else None
        seen[fingerprint] += 1
        bad = BadRow(
            row=row,
            line=line,
            reason=reason,
            column=column or "",
            values={} if reason in {MISFIT, UNREADABLE} else _shown(place.contract, values),
            text=values.get("_line"),
            fingerprint=fingerprint,
            is_set_aside=bool(is_set_aside),
            source_file=source_file,
            mended=applied,
            pending=chosen.set if chosen and chosen.set != applied else None,
        )
        rows.append(bad)
    return rows


def _shown(contract: Contract, values: dict[str, str | None]) -> dict[str, str | None]:
    # Keys of rows with personal data stay readable, unless one obviously is personal itself.
    if not contract.pii:
        return values
    return {name: NOT_SHOWN if value and "@" in value else value for name, value in values.items()}


def summarise(settings: Settings, places: Sequence[Place], reason: str | None = None) -> list[Group]:
    """Bad rows by delivery and reason."""
    groups = []
    for place in places:
        for refused in (True, False):
            by_reason: dict[str, list[BadRow]] = {}
            for row in read_rows(settings, place, refused=refused):
                if reason in {None, row.reason}:
                    by_reason.setdefault(row.reason, []).append(row)
            if not by_reason:
                continue
            since = _since(settings, place, refused=refused)
            for name, rows in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
                state = "refused" if refused else "set aside" if rows[0].is_set_aside else "quarantined"
                pending = sum(row.pending is not None for row in rows)
                groups.append(Group(place, name, len(rows), state, since, rows[0], pending))
    return groups


def _since(settings: Settings, place: Place, *, refused: bool) -> dt.datetime:
    manifest = None if refused else place.manifest(settings)
    if manifest:
        return dt.datetime.fromisoformat(manifest.delivered_at)
    path = place.file(settings, REFUSED if refused else ".parquet")
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def how_to_mend(place: Place, row: BadRow) -> str:
    """What the row should have held, in words."""
    if row.is_set_aside:
        return "a decision of the source's entry in the registry: change it there"
    if not row.is_split:
        return "give all of its columns (export it with --csv FILE)"
    try:
        return f"{row.column}: {expected_of(place.contract, row.column, row.reason)}"
    except KeyError:
        return f"see {row.column} in the contract"


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
        (text,), _ = _raws(self.contract, relation, Dialect(), may_hold_hashes=True)
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


def delivery_of(settings: Settings, place: Place) -> Delivery:
    """The delivery to land again: from its source, or, where the file is gone, from what was landed of it.

    Raises:
        MallardError: neither is there.
        SettingsError: its source is not in the registry.
    """
    registry = read_registry(settings)
    manifest = place.manifest(settings)
    if place.source not in registry:
        raise SettingsError(
            f"The source {place.source} of {place.name} is not in the registry.",
            expected="one of " + ", ".join(registry),
            where=str(settings.sources_file),
            mend="put its entry back",
        )
    source = registry[place.source]
    file = _source_file(settings, place, manifest)
    if file:
        if source.reader == "inbox":
            root: Path | None = file.parents[2]
        elif source.reader == "package":
            root = None
        elif len(source.inputs) == 1:
            root = file
        else:
            root = file.parents[len(Path(next(iter(source.inputs.values()))).parts) - 1]
        try:
            found = plan(settings, source, [place.feed], place.day, place.day, root)
        except NothingToDoError:
            found = []
        for delivery in found:
            if (delivery.feed, delivery.table, delivery.day) == (place.feed, place.table, place.day):
                return delivery
    if manifest is None or not manifest.data_path.exists():
        raise MallardError(
            f"The file of {place.name} is gone, and nothing of it was landed.",
            expected=str(file or "a file in the inbox"),
            mend="deliver it again, or forget it: "
            f"mallard quarantine mend {place.feed}/{place.table} {place.day} --forget",
        )
    gone = file or Path(manifest.source_file)
    return Delivery(source, place.feed, place.table, place.day, (("delivery", gone),), landed=manifest)


def _source_file(settings: Settings, place: Place, manifest: Manifest | None) -> Path | None:
    refused = read_rows(settings, place, refused=True)
    if refused:
        return Path(refused[0].source_file)
    return Path(manifest.source_file) if manifest else None


def check(settings: Settings, place: Place) -> Checked:
    """What landing the delivery would make of it now, by today's rules and mends; nothing is written.

    Raises:
        MallardError: it cannot be read.
    """
    from ingestion.writer import Writer

    delivery = delivery_of(settings, place)
    if delivery.problem:
        raise delivery.problem
    with Writer(settings) as writer:
        return writer.check(delivery)
