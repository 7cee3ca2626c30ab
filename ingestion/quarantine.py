"""The quarantine as people use it: what lies in it, which rows, and what to land again."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.conform import expected_of
from ingestion.contract import read_contracts
from ingestion.deliveries import Delivery, plan
from ingestion.manifest import manifest_path, read_manifest
from ingestion.mends import Mend, Mends, read_mends
from ingestion.places import MISFIT, UNREADABLE
from ingestion.registry import read_registry
from ingestion.tables import REFUSED
from mallard.errors import MallardError, NothingToDoError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingestion.contract import Contract
    from ingestion.judging import Checked
    from ingestion.manifest import Manifest
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
