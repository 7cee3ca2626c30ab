"""What a source has to deliver: one delivery per table and delivery day.

Nothing is read here beyond names. What is wrong with a name or a folder becomes a delivery with a
``problem``, which landing reports beside what it could land.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.contract import read_contracts
from ingestion.files import ENDINGS, check_regular, ending_of, kind_of
from mallard.errors import DeliveryRefusedError, NothingToDoError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ingestion.manifest import Manifest
    from ingestion.registry import Source
    from mallard.settings import Settings

# Names that tools give to files that are still being written.
_UNFINISHED = (".tmp", ".part", ".partial")


@dataclass(frozen=True)
class Delivery:
    """One table's delivery of one day. ``inputs`` are its files by the name that the entry's SQL uses.

    ``day`` is None, and ``problem`` set, where not even the day could be told. ``landed`` is set where the
    source has the file no more: what was landed and quarantined of it is landed again.
    """

    source: Source
    feed: str
    table: str
    day: dt.date | None
    inputs: tuple[tuple[str, Path], ...] = ()
    problem: DeliveryRefusedError | None = None
    landed: Manifest | None = None

    @property
    def path(self) -> Path:
        return self.inputs[0][1]

    @property
    def date(self) -> dt.date:
        """The day, for a delivery that has no problem."""
        if self.day is None:
            raise ValueError(self.path)
        return self.day

    @property
    def name(self) -> str:
        return f"{self.feed}/{self.table} of {self.day}"

    def stamp(self) -> str:
        """Size, times and inode of the files: while it stays, nobody has written to them.

        Raises:
            UnsoundError: one of them is no regular file.
        """
        if self.landed:
            return self.landed.source_stamp
        stats = [path.stat() for _, path in self.inputs]
        for found in stats:
            check_regular(found.st_mode)
        return ";".join(f"{s.st_ino}-{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}" for s in stats)


def plan(
    settings: Settings,
    source: Source,
    feeds: Collection[str] | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
    inbox: Path | None = None,
) -> list[Delivery]:
    """The deliveries of a source from ``first`` to ``last``, both in, oldest first.

    ``feeds`` None means all that the source declares. ``inbox`` overrides where the source lies.

    Raises:
        NothingToDoError: there is no delivery in the range; names the nearest days that there are.
        SettingsError: the source is not there, or a feed is asked for that it does not declare.
    """
    wanted = tuple(source.feeds) if feeds is None else tuple(feeds)
    if unknown := [feed for feed in wanted if feed not in source.feeds]:
        raise SettingsError(
            f"The source {source.name} does not deliver {', '.join(unknown)}.",
            expected="some of " + ", ".join(source.feeds),
            mend="declare the feed in the source's entry",
        )
    if first and last and first > last:
        raise SettingsError(f"The range of days ends before it begins: {first} to {last}.", mend="swap them")
    if source.reader == "inbox":
        root = _where(settings, source, inbox)
        found = list(_walk(root, source, wanted))
    else:
        from ingestion.whole import whole_deliveries

        root = Path()
        found = whole_deliveries(settings, source, wanted, inbox)
    chosen = [
        delivery
        for delivery in found
        if delivery.day is None
        or ((not first or delivery.day >= first) and (not last or delivery.day <= last))
    ]
    if not chosen:
        raise _nothing(source, root, found, first, last)
    order = {key: number for number, key in enumerate(read_contracts())}
    return sorted(chosen, key=lambda d: (d.day or dt.date.min, order.get((d.feed, d.table), -1), d.table))


def gaps(
    deliveries: Sequence[Delivery], first: dt.date | None = None, last: dt.date | None = None
) -> dict[tuple[str, str], list[dt.date]]:
    """Days of a range without a delivery of a feed's main table, for telling; a gap refuses nothing.

    Without ``first`` and ``last`` the range is that of all given deliveries. Only for sources that deliver
    daily: a source that is delivered whole has no gaps.
    """
    missing = {}
    daily = [delivery for delivery in deliveries if delivery.day and delivery.source.reader == "inbox"]
    days = [delivery.day for delivery in daily if delivery.day]
    if not days:
        return {}
    begin, end = first or min(days), last or max(days)
    for key, contract in read_contracts().items():
        present = {delivery.day for delivery in daily if (delivery.feed, delivery.table) == key}
        if not contract.is_main or key[0] not in {delivery.feed for delivery in daily}:
            continue
        span = (begin + dt.timedelta(days=number) for number in range((end - begin).days + 1))
        if absent := [day for day in span if day not in present]:
            missing[key] = absent
    return missing


def _where(settings: Settings, source: Source, inbox: Path | None) -> Path:
    variable = f"MALLARD_{source.name.upper()}_PATH"
    root = inbox or Path(os.environ.get(variable) or source.path or settings.inbox)
    if not root.is_dir():
        raise NothingToDoError(
            f"There is no inbox at {root}.",
            expected="a folder with <feed>/<table>/<YYYY-MM-DD>.<ext>",
            mend=f"mallard simulate --out {root} fills one, or name another with --inbox",
        )
    for near in () if _is_inbox(root) else (root / settings.inbox.name, root.parent, root.parent.parent):
        if _is_inbox(near):
            raise SettingsError(
                f"{root} is no inbox, but {near} is one.",
                expected="a folder with <feed>/<table>/<YYYY-MM-DD>.<ext>",
                mend=f"mallard load --inbox {near}",
            )
    return root


def _is_inbox(folder: Path) -> bool:
    return any((folder / feed / table).is_dir() for feed, table in read_contracts())


def _walk(root: Path, source: Source, feeds: Collection[str]) -> Iterator[Delivery]:
    contracts = read_contracts()
    known_feeds = sorted({feed for feed, _ in contracts})
    real_root = root.resolve()
    for folder in _entries(root):
        feed = folder.name
        if feed not in known_feeds:
            yield _problem(
                source, feed, "", f"The inbox has {feed!r} where a feed's folder is expected.",
                expected="the folders " + ", ".join(known_feeds), where=str(folder),
                mend=_near(feed, known_feeds, "rename it to {}") or "move it away, or begin its name with _",
            )  # fmt: skip
            continue
        if feed not in feeds:
            continue
        tables = [table for known, table in contracts if known == feed]
        for table_folder in _entries(folder) if folder.is_dir() else ():
            table = table_folder.name
            if table not in tables or not table_folder.is_dir():
                yield _problem(
                    source, feed, table, f"The feed {feed} has no table {table!r}.",
                    expected="one of " + ", ".join(tables), where=str(table_folder),
                    mend=_near(table, tables, "rename the folder to {}") or "move it away, or begin its name with _",
                )  # fmt: skip
                continue
            yield from _files(real_root, source, feed, table, table_folder)


def _files(real_root: Path, source: Source, feed: str, table: str, folder: Path) -> Iterator[Delivery]:
    by_day: dict[dt.date, list[Path]] = {}
    for path in _entries(folder):
        if path.name.endswith(_UNFINISHED):
            continue
        ending = ending_of(path.name)
        stem = path.name[: -len(ending) - 1] if ending else path.name.split(".")[0]
        day = _day(stem)
        if day is None or ending is None:
            what = "day" if day is None else "ending"
            yield _problem(
                source, feed, table, f"The file {path.name!r} of {feed}/{table} is named for no {what}.",
                expected="<YYYY-MM-DD>." + " or .".join(sorted(ENDINGS)), found=path.name, where=str(path),
                mend="rename it, or begin its name with _ to have it left alone", day=day,
            )  # fmt: skip
            continue
        by_day.setdefault(day, []).append(path)
    for day, paths in by_day.items():
        if len(paths) > 1:
            yield _problem(
                source, feed, table, f"There are {len(paths)} files for {feed}/{table} of {day}.",
                expected="one file per table and delivery day", found=", ".join(path.name for path in paths),
                where=str(folder), mend="keep the one that is right", day=day,
            )  # fmt: skip
            continue
        if problem := _outside(real_root, paths[0]):
            yield _problem(
                source, feed, table, f"The file for {feed}/{table} of {day} {problem}.",
                expected="a regular file inside the inbox", where=str(paths[0]), mend="copy the file itself there",
                day=day,
            )  # fmt: skip
            continue
        yield Delivery(source, feed, table, day, (("delivery", paths[0]),))


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(("_", ".")))


def _outside(real_root: Path, path: Path) -> str:
    """Why a file is not to be read, or an empty text."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "is a link that leads nowhere"
    if not real.is_relative_to(real_root):
        return "lies outside the inbox: a link leads there"
    mode = real.stat().st_mode
    if not stat.S_ISREG(mode):
        return f"is no regular file but {kind_of(mode)}"
    return ""


def _day(text: str) -> dt.date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _near(name: str, known: Sequence[str], text: str) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return text.format(close[0]) if close else ""


def _problem(
    source: Source,
    feed: str,
    table: str,
    summary: str,
    *,
    day: dt.date | None = None,
    expected: str = "",
    found: str = "",
    where: str = "",
    mend: str = "",
) -> Delivery:
    error = DeliveryRefusedError(
        summary, expected=expected, found=found, where=f"source {source.name}, {where}", mend=mend
    )
    return Delivery(source, feed, table, day, problem=error)


def _nothing(
    source: Source, root: Path, found: Sequence[Delivery], first: dt.date | None, last: dt.date | None
) -> NothingToDoError:
    days = sorted({delivery.day for delivery in found if delivery.day})
    if not days:
        return NothingToDoError(
            f"The source {source.name} has no delivery at all.",
            expected="files <feed>/<table>/<YYYY-MM-DD>.<ext>",
            where=str(root),
            mend=f"mallard simulate --out {root} fills an inbox",
        )
    before = [day for day in days if first and day < first]
    after = [day for day in days if last and day > last]
    nearest = [str(day) for day in (*before[-1:], *after[:1])]
    asked = str(first) if first == last else f"{first or 'the first day'} to {last or 'the last day'}"
    return NothingToDoError(
        f"The source {source.name} has no delivery for {asked}.",
        found=f"the nearest days with one: {' and '.join(nearest)} (all: {days[0]} to {days[-1]})",
        where=str(root) if source.reader == "inbox" else f"source {source.name}",
        mend="ask for a day that was delivered",
    )
