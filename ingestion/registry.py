"""The source registry: ``ingestion/sources.yml``, one entry per source.

An entry says where a source lies, how it is read, in which zone its naive instants are, and by which SQL
its own columns become the contracts'. Adding a source is adding an entry.
"""

from __future__ import annotations

import hashlib
import json
import re
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ingestion.contract import read_contracts
from mallard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mallard.settings import Settings

READERS = ("inbox", "files", "package")

_ENTRY_KEYS = {
    "description", "enabled", "reader", "path", "package", "extra", "inputs", "time_zone", "shop", "feeds", "delivery_day",
    "delimiter", "null_padding", "missing_values", "allowed_bad_share", "tables",
}  # fmt: skip
_TABLE_KEYS = {"sql", "paid_statuses", "allowed_bad_share"}


@dataclass(frozen=True)
class TableEntry:
    """What an entry says about one table. Without ``sql`` the file has the contract's own columns."""

    sql: str | None = None
    paid_statuses: tuple[str, ...] = ()
    allowed_bad_share: float | None = None


@dataclass(frozen=True)
class Shop:
    """What a warehouse of the source's shop uses where the environment names no zone or currency."""

    time_zone: str | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Source:
    """One source.

    ``reader`` is ``inbox`` (a folder of files per table and delivery day), ``files`` (named files that hold
    everything and are delivered whole) or ``package`` (the same, inside an installed Python package).
    ``time_zone`` is that of naive instants. Sources that are ``enabled`` are read where none is named.
    """

    name: str
    reader: str
    feeds: tuple[str, ...]
    enabled: bool = False
    description: str = ""
    path: Path | None = None
    package: str | None = None
    extra: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    shop: Shop = field(default_factory=Shop)
    delivery_day: str | None = None
    delimiter: str = ","
    null_padding: bool = False
    missing_values: tuple[str, ...] = ()
    tables: Mapping[tuple[str, str], TableEntry] = field(default_factory=dict)

    def table(self, feed: str, table: str) -> TableEntry:
        return self.tables.get((feed, table), TableEntry())

    def entry_hash(self, feed: str, table: str) -> str:
        """Changes with all that the entry says about how a table is read, not with where it lies."""
        entry = self.table(feed, table)
        said = [
            self.reader, self.time_zone, self.shop.time_zone, self.delimiter, self.null_padding,
            self.missing_values, dict(self.inputs), self.delivery_day, entry.sql, entry.paid_statuses, entry.allowed_bad_share,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:12]


def read_registry(settings: Settings) -> dict[str, Source]:
    """All sources of ``settings.sources_file`` by name, in the order of the file.

    Raises:
        SettingsError: the file is no YAML, or an entry says what cannot be (an unknown reader, time zone,
            currency, feed or table); with the line.
    """
    path = settings.sources_file
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise SettingsError(
            "The source registry cannot be read.",
            found=error.strerror or str(error),
            where=str(path),
            mend="unset MALLARD_SOURCES, or let it point to a registry",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise SettingsError(
            "The source registry is not YAML.", found=str(error).splitlines()[0], where=f"{path}{line}"
        ) from error
    reader = _Reader(path, root)
    if not isinstance(document, dict) or not isinstance(document.get("sources"), dict):
        raise reader.wrong(
            (), "The source registry has no sources.", expected="a mapping `sources:` of entries"
        )
    return {str(name): reader.source(str(name), entry) for name, entry in document["sources"].items()}


def choose_sources(settings: Settings, name: str | None = None) -> list[Source]:
    """The source of that name; without a name, all that are enabled.

    Raises:
        SettingsError: the registry has none of that name, or none that is enabled.
    """
    registry = read_registry(settings)
    if name is not None and name not in registry:
        raise SettingsError(
            f"There is no source {name!r} in the registry.",
            expected="one of " + ", ".join(registry),
            found=name,
            where=str(settings.sources_file),
        )
    chosen = [source for source in registry.values() if (source.name == name if name else source.enabled)]
    if not chosen:
        raise SettingsError(
            "No source of the registry is enabled.",
            expected="an entry with `enabled: true`",
            where=str(settings.sources_file),
            mend="enable one, or name one: --source " + next(iter(registry)),
        )
    return chosen


class _Reader:
    """Turns the parsed file into sources; knows the line of everything for its messages."""

    def __init__(self, path: Path, root: yaml.Node | None) -> None:
        self.path = path
        self.root = root

    def line(self, keys: tuple[str, ...]) -> int:
        node, line = self.root, 1
        for key in keys:
            if not isinstance(node, yaml.MappingNode):
                break
            for name, value in node.value:
                if name.value == key:
                    node, line = value, name.start_mark.line + 1
                    break
            else:
                break
        return line

    def wrong(self, keys: tuple[str, ...], summary: str, **parts: str) -> SettingsError:
        return SettingsError(summary, where=f"{self.path}:{self.line(keys)}", **parts)

    def source(self, name: str, entry: Any) -> Source:
        at = ("sources", name)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise self.wrong(at, f"{name!r} is no name for a source.", expected="small letters, digits and _")
        if not isinstance(entry, dict):
            raise self.wrong(at, f"The entry {name} is empty.", expected="at least a reader and feeds")
        self._known(at, entry, _ENTRY_KEYS)
        reader = entry.get("reader")
        if reader not in READERS:
            raise self.wrong(
                (*at, "reader"),
                f"The source {name} names no reader that there is.",
                expected="one of " + ", ".join(READERS),
                found=str(reader),
            )
        feeds = tuple(entry.get("feeds") or ())
        known_feeds = {feed for feed, _ in read_contracts()}
        if not feeds or (unknown := [feed for feed in feeds if feed not in known_feeds]):
            raise self.wrong(
                (*at, "feeds"),
                f"The source {name} declares feeds that there are not.",
                expected="some of " + ", ".join(sorted(known_feeds)),
                found=", ".join(unknown) if feeds else "none",
            )
        shop = entry.get("shop") or {}
        currency = shop.get("currency")
        if currency is not None and not re.fullmatch(r"[A-Z]{3}", str(currency)):
            raise self.wrong(
                (*at, "shop", "currency"),
                f"The source {name} names a currency that is no code.",
                expected="an ISO 4217 code of three capital letters such as USD, EUR or GBP",
                found=str(currency),
            )
        share = self._share((*at, "allowed_bad_share"), entry.get("allowed_bad_share"))
        tables = self._tables(name, entry.get("tables") or {}, feeds, share)
        if reader != "inbox":
            self._whole(at, name, entry, tables)
        path = entry.get("path")
        return Source(
            name=name,
            reader=reader,
            feeds=feeds,
            enabled=bool(entry.get("enabled")),
            description=" ".join(str(entry.get("description") or "").split()),
            path=Path(path) if path else None,
            package=entry.get("package"),
            extra=entry.get("extra"),
            inputs=dict(entry.get("inputs") or {}),
            time_zone=self._zone((*at, "time_zone"), name, entry.get("time_zone")) or "UTC",
            shop=Shop(self._zone((*at, "shop", "time_zone"), name, shop.get("time_zone")), currency),
            delivery_day=entry.get("delivery_day"),
            delimiter=str(entry.get("delimiter") or ","),
            null_padding=self._null_padding((*at, "null_padding"), entry.get("null_padding", False)),
            missing_values=tuple(str(value) for value in entry.get("missing_values") or ()),
            tables=tables,
        )

    def _tables(
        self, name: str, tables: dict[str, Any], feeds: tuple[str, ...], share: float | None
    ) -> dict[tuple[str, str], TableEntry]:
        contracts, entries = read_contracts(), {}
        for label, given in tables.items():
            at = ("sources", name, "tables", str(label))
            key = tuple(str(label).split("/"))
            if len(key) != 2 or key not in contracts or key[0] not in feeds:
                raise self.wrong(
                    at,
                    f"The source {name} maps onto a table that there is not.",
                    expected="one of " + ", ".join(f"{f}/{t}" for f, t in contracts if f in feeds),
                    found=str(label),
                )
            entry = given or {}
            self._known(at, entry, _TABLE_KEYS)
            statuses = tuple(str(word) for word in entry.get("paid_statuses") or ())
            columns = {column.name: column for column in contracts[key].columns}
            if statuses and ("paid_at" not in columns or not set(statuses) <= set(columns["status"].allowed)):
                raise self.wrong(
                    (*at, "paid_statuses"),
                    f"The source {name} names statuses that an order cannot have.",
                    expected="for orders/orders, some of "
                    + ", ".join(contracts["orders", "orders"].column("status").allowed),
                    found=", ".join(statuses),
                )
            own = self._share((*at, "allowed_bad_share"), entry.get("allowed_bad_share"))
            entries[key[0], key[1]] = TableEntry(entry.get("sql"), statuses, share if own is None else own)
        if share is not None:
            for key in contracts:
                entries.setdefault(key, TableEntry(allowed_bad_share=share))
        return entries

    def _whole(
        self, at: tuple[str, ...], name: str, entry: dict[str, Any], tables: dict[tuple[str, str], TableEntry]
    ) -> None:
        for key in ("inputs", "delivery_day", "tables"):
            if not entry.get(key):
                raise self.wrong(at, f"The source {name} needs `{key}`: it is delivered whole.")
        without = [f"{f}/{t}" for (f, t), table in tables.items() if not table.sql and f in entry["feeds"]]
        if without and entry.get("allowed_bad_share") is None:
            raise self.wrong((*at, "tables"), f"The source {name} has no `sql` for {', '.join(without)}.")
        if entry["reader"] == "package" and not entry.get("package"):
            raise self.wrong(at, f"The source {name} needs `package`: the name to import.")

    def _known(self, at: tuple[str, ...], entry: dict[str, Any], known: set[str]) -> None:
        for key in entry:
            if key not in known:
                raise self.wrong(
                    (*at, key),
                    f"{key!r} is nothing that an entry can say.",
                    expected=", ".join(sorted(known)),
                )

    def _zone(self, at: tuple[str, ...], name: str, zone: Any) -> str | None:
        if zone is None:
            return None
        try:
            zoneinfo.ZoneInfo(str(zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise self.wrong(
                at,
                f"The source {name} names a time zone that is not known.",
                expected="an IANA name such as UTC, Europe/London or America/New_York",
                found=str(zone),
            ) from None
        return str(zone)

    def _null_padding(self, at: tuple[str, ...], given: Any) -> bool:
        if not isinstance(given, bool):
            raise self.wrong(
                at, "null_padding is neither on nor off.", expected="true or false", found=str(given)
            )
        return given

    def _share(self, at: tuple[str, ...], share: Any) -> float | None:
        if share is None:
            return None
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise self.wrong(at, "An allowed bad share is not a share.", expected="0 to 1", found=str(share))
        return float(share)
