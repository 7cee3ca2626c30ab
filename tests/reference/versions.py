"""Which rows count: the newest versions, groups replaced as a whole, histories of reference rows."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from .days import Clock
    from .values import Row

#: The landed tables: (feed, table) -> rows with the contract's and the technical columns.
Landing = Mapping[tuple[str, str], pl.DataFrame]

MAIN_TABLES = {"orders": "orders", "clickstream": "events", "channel_spend": "channel_spend"}
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def rows_of(landing: Landing, feed: str, table: str) -> list[Row]:
    """All landed rows of a table as dictionaries; an empty text is a missing one."""
    frame = landing.get((feed, table))
    if frame is None:
        return []
    return [{name: None if value == "" else value for name, value in row.items()} for row in frame.to_dicts()]


def as_of_day(landing: Landing, deliveries: pl.DataFrame | None = None) -> date | None:
    """The earliest, over sources and feeds, of the last delivery day of the feed's main table.

    ``deliveries`` (feed, table, source, delivery) comes from the manifests and knows of deliveries without
    rows, too; without it the landed rows say which deliveries there were. None: nothing has landed.
    """
    last: dict[tuple[str, str], date] = {}
    for feed, table in MAIN_TABLES.items():
        if deliveries is None:
            frame = landing.get(
                (feed, table), pl.DataFrame(schema={"_source": pl.String, "_delivery": pl.Date})
            )
            landed = frame.select("_source", "_delivery").unique().rows()
        else:
            landed = [
                (row["source"], row["delivery"])
                for row in deliveries.to_dicts()
                if (row["feed"], row["table"]) == (feed, table)
            ]
        for source, delivery in landed:
            key = (source or "", feed)
            last[key] = max(last.get(key, delivery), delivery)
    return min(last.values(), default=None)


def age(row: Row) -> tuple[datetime, date, str, int]:
    """Sorts versions of one thing from the oldest to the newest; no ``updated_at`` is the oldest.

    A position says something within a file only, so of one day's files of two sources the source's name decides.
    """
    return (
        row.get("updated_at") or LONG_AGO,
        row["_delivery"],
        row.get("_source") or "",
        row["_row"],
    )


def newest(rows: list[Row], *key: str) -> list[Row]:
    """The newest version of each ``key``."""
    found: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=age):
        found[tuple(row[name] for name in key)] = row
    return list(found.values())


def newest_whole(rows: list[Row], group: tuple[str, ...], *key: str) -> list[Row]:
    """The rows of the newest complete delivery of each ``group``; of the earliest where none is complete.

    A delivery is incomplete for a group when one of its rows of that group went to the quarantine.
    """
    deliveries: dict[tuple[object, ...], dict[tuple[date, str], list[Row]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        delivery = (row["_delivery"], row.get("_source") or "")
        deliveries[tuple(row[name] for name in group)][delivery].append(row)
    kept: list[Row] = []
    for held in deliveries.values():
        complete = [d for d, rows in held.items() if not any(row.get("_is_incomplete") for row in rows)]
        earliest = min(day for day, _ in held)
        kept.extend(held[max(complete or [d for d in held if d[0] == earliest])])
    return newest(kept, *group, *key)


class History:
    """All versions of a reference table: what was known of a thing on a day.

    A version is valid from the business day of its ``updated_at``, else from its delivery day (several on
    one day: the newest); the first one since ever.
    """

    def __init__(self, rows: list[Row], key: str, clock: Clock) -> None:
        by_day: dict[str, dict[date, Row]] = defaultdict(dict)
        for row in sorted(rows, key=age):
            updated_at = row.get("updated_at")
            valid_from = clock.day(updated_at) if updated_at else row["_delivery"]
            by_day[row[key]][valid_from] = row
        self.versions = {
            name: sorted(days.items(), key=lambda item: item[0]) for name, days in by_day.items()
        }

    def at(self, name: str | None, day: date) -> Row:
        """The version of ``name`` that is valid on ``day``; an empty row for a thing never heard of."""
        versions = self.versions.get(name) if name is not None else None
        if not versions:
            return {}
        place = bisect_right([valid_from for valid_from, _ in versions], day)
        return versions[max(place - 1, 0)][1]

    def all_at(self, day: date) -> list[Row]:
        """Every thing's version on ``day``."""
        return [self.at(name, day) for name in self.versions]
