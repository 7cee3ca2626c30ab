"""Sources that are delivered whole: named files, in a folder or in an installed Python package."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ingestion.contract import read_contracts
from ingestion.deliveries import Delivery
from ingestion.files import UnsoundError, kind_of
from ingestion.reading import make_views, unreadable
from mallard.errors import DeliveryRefusedError, NothingToDoError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from ingestion.registry import Source
    from mallard.settings import Settings


def whole_deliveries(
    settings: Settings, source: Source, feeds: Collection[str], path: Path | None
) -> list[Delivery]:
    """One delivery per table that the source's entry maps; their day is the last business day in the data.

    Raises:
        SettingsError: the package is not installed.
        NothingToDoError: the files are not there.
        DeliveryRefusedError: not even the newest instant can be read from them.
    """
    inputs = _inputs(settings, source, path)
    day = _delivery_day(settings, source, inputs)
    return [
        Delivery(source, feed, table, day, inputs)
        for feed, table in read_contracts()
        if feed in feeds and source.table(feed, table).sql
    ]


def _inputs(settings: Settings, source: Source, path: Path | None) -> tuple[tuple[str, Path], ...]:
    variable = f"MALLARD_{source.name.upper()}_PATH"
    if source.reader == "package" and path is None:
        root = _package_folder(source)
    else:
        root = path or Path(
            os.environ.get(variable) or source.path or settings.home / "sources" / source.name
        )
    if root.is_file() and len(source.inputs) == 1:
        return ((next(iter(source.inputs)), root),)
    inputs = tuple((name, root / file) for name, file in source.inputs.items())
    for name, file in inputs:
        if not file.is_file():
            raise NothingToDoError(
                f"The source {source.name} has no file for {name!r}.",
                expected=str(file),
                found=_what_is_there(file, root),
                where=f"source {source.name}",
                mend=f"put it there, or say where it lies: --path FILE_OR_FOLDER, or {variable} in the environment",
            )
    return inputs


def _what_is_there(file: Path, root: Path) -> str:
    """What a person should know of a path at which a file was expected."""
    if not root.exists():
        return f"nothing at {root}"
    there = file if file.exists() else root
    return "" if there.is_dir() and there == root else f"{kind_of(there.stat().st_mode)} at {there}"


def _package_folder(source: Source) -> Path:
    # The package is found, not imported: importing it costs a second and pulls in more than its data.
    spec = importlib.util.find_spec(source.package or "")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            f"The source {source.name} needs the Python package {source.package}.",
            found="it is not installed",
            mend=f"pip install 'mallard[{source.extra}]'"
            if source.extra
            else f"pip install {source.package}",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _delivery_day(settings: Settings, source: Source, inputs: tuple[tuple[str, Path], ...]) -> dt.date:
    where = f"source {source.name}, {', '.join(str(path) for _, path in inputs)}"
    try:
        with duckdb.connect(config={"autoload_known_extensions": False}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            make_views(connection, source, inputs)
            rows = connection.execute(source.delivery_day or "").fetchall()
    except duckdb.Error as error:
        raise _refused(source, unreadable(error), where) from None
    except UnsoundError as problem:
        raise _refused(source, problem, where) from None
    newest = rows[0][0] if rows else None
    if not isinstance(newest, dt.date):
        raise DeliveryRefusedError(
            f"The source {source.name} was refused: its newest instant cannot be told.",
            expected="a date or an instant from `delivery_day` in its entry",
            found=str(newest),
            where=where,
        )
    if not isinstance(newest, dt.datetime):
        return newest
    aware = newest if newest.tzinfo else newest.replace(tzinfo=zoneinfo.ZoneInfo(source.time_zone))
    shop = settings.with_shop(time_zone=source.shop.time_zone, currency=None)
    return aware.astimezone(zoneinfo.ZoneInfo(shop.time_zone)).date()


def _refused(source: Source, problem: UnsoundError, where: str) -> DeliveryRefusedError:
    return DeliveryRefusedError(
        f"The source {source.name} was refused: {problem.summary}",
        expected=problem.expected,
        found=problem.found,
        where=f"{where}, line {problem.line}" if problem.line else where,
        mend=problem.mend,
    )
