"""A shop that never sleeps: coherent feeds of any size, and the truth that it knows.

The simulator makes one day after the other, keeps only the state of its people and what is still to be
delivered, and writes each day's files before the next begins.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from mallard.errors import SettingsError
from mallard.progress import LogProgress, Progress
from simulator import bots
from simulator import pages as walking
from simulator.arrays import NONE, Rows, stream, take
from simulator.calendar import Calendar
from simulator.catalogue import Catalogue
from simulator.faults import DEMO_FAULTS, FAULTS, checked
from simulator.files import FORMATS, Inbox, columns_in_memory, write_parquet
from simulator.layout import DATE, INT, MONEY, Table, Words, tables
from simulator.life import Life
from simulator.outbox import Outbox
from simulator.people import People
from simulator.rates import Rates
from simulator.sales import Sales
from simulator.spend import CAMPAIGNS, Spend
from simulator.touches import CHANNELS, TOUCHES
from simulator.traffic import Browsing, Traffic
from simulator.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = ["DEMO_FAULTS", "FAULTS", "SimulationReport", "simulate"]

FEEDS = ("orders", "clickstream", "channel_spend")
TRUTH = "_truth"
_WIDTHS: dict[str, Any] = {
    **dict.fromkeys(("event", "happened"), np.int64),
    **dict.fromkeys(("promotion", "session_day", "agent"), np.int16),
    **dict.fromkeys(("kind", "page", "slot", "query", "touch", "device", "nth", "variant"), np.int8),
}


@dataclass(frozen=True)
class SimulationReport:
    """What was written: ``rows`` per table, ``summary`` as in ``_truth/summary.json``."""

    out: Path
    first_day: date
    last_day: date
    events: int
    orders: int
    files: int
    rows: dict[str, int]
    summary: dict[str, Any]


def simulate(
    out: Path,
    *,
    days: int,
    users: int,
    seed: int,
    first_day: date = date(2025, 10, 1),
    faults: Collection[str] = (),
    format: str = "mixed",  # noqa: A002 - the word of the command line
    currencies: Sequence[str] = ("USD",),
    time_zone: str = "UTC",
    products: int | None = None,
    whole_tables_every: int = 1,
    progress: Progress | None = None,
) -> SimulationReport:
    """Simulate a shop and write its feeds under ``out``, laid out as an inbox.

    The same arguments give the same bytes. ``users`` is how many people may ever come, ``currencies`` begins
    with the reporting one, ``time_zone`` is that of the business days, and the tables that are delivered whole
    come every ``whole_tables_every`` days (a shop of millions wants more than 1).

    Raises:
        SettingsError: an argument that cannot be used, or an ``out`` that holds what the simulator did not write.
    """
    chosen = checked(faults)
    products = max(40, min(5_000, users // 20)) if products is None else products
    numbers = {"days": days, "users": users, "products": products, "whole-tables-every": whole_tables_every}
    _check(numbers, seed=seed, format=format, currencies=currencies, time_zone=time_zone)
    _clear(out)
    calendar = Calendar(first_day, days, time_zone)
    shop = _Shop(
        calendar, users=users, seed=seed, faults=chosen, currencies=tuple(currencies),
        products=products
    )  # fmt: skip
    with (
        Inbox(
            out, format=format, faults=chosen, new_column_from=calendar.date(days // 2).isoformat()
        ) as inbox,
        (progress or LogProgress()).stage(f"Simulating {days} days of a shop", days) as tick,
    ):
        for day in range(days):
            shop.live(day)
            is_whole = day % whole_tables_every == 0 or day == days - 1
            shop.deliver(day, inbox, with_whole_tables=is_whole)
            tick(f"{calendar.date(day)}: {shop.traffic.events:,} events")
        summary = {
            "seed": seed, "days": days, "users": users, "first_day": first_day.isoformat(),
            "last_day": calendar.date(days - 1).isoformat(), "time_zone": time_zone,
            "currencies": list(currencies), "faults": sorted(chosen), "events": shop.traffic.events,
            "orders": shop.sales.orders, "customers": shop.people.customers, "files": inbox.files,
            "rows": dict(sorted(inbox.rows.items())),
            "bad_rows": {name: dict(sorted(reasons.items())) for name, reasons in sorted(inbox.bad_rows.items())},
            **shop.truth.summary,
        }  # fmt: skip
    _write_truth(out / TRUTH, shop.truth, shop.rates.codes, summary)
    return SimulationReport(
        out=out,
        first_day=first_day,
        last_day=calendar.date(days - 1),
        events=shop.traffic.events,
        orders=shop.sales.orders,
        files=inbox.files,
        rows=dict(inbox.rows),
        summary=summary,
    )


class _Shop:
    """All that lives, and the order in which a day goes."""

    def __init__(
        self, calendar: Calendar, *, users: int, seed: int, faults: frozenset[str], currencies: tuple[str, ...],
        products: int,
    ) -> None:  # fmt: skip
        self.calendar, self.seed, self.faults = calendar, seed, faults
        self.rates = Rates(calendar, currencies, seed=seed, faults=faults)
        self.people = People(calendar, seed=seed, users=users, currencies=len(currencies))
        self.catalogue = Catalogue(calendar, seed=seed, size=products, owners=self.people.customers)
        self.outbox = Outbox(calendar.days)
        self.truth = Truth(calendar)
        self.truth.summary |= {
            "duplicates": {"events": 0, "orders": 0, "order_items": 0},
            "repeated_events": 0,
        }
        self.truth.summary["bot_events"] = 0
        self.traffic = Traffic(calendar, self.people, self.catalogue, seed=seed, faults=faults)
        self.sales = Sales(
            calendar=calendar,
            people=self.people,
            catalogue=self.catalogue,
            rates=self.rates,
            life=Life(calendar, self.catalogue, self.outbox, self.truth, faults=faults),
            truth=self.truth,
            faults=faults,
        )
        self.spend = Spend(
            calendar,
            self.rates,
            self.outbox,
            self.truth,
            seed=seed,
            currencies=len(currencies),
            faults=faults,
        )
        self.tables = tables(
            promotion_names=self.catalogue.promotions.names,
            currencies=self.rates.codes,
            session_ids_per_visitor="session_ids_per_visitor" in faults,
        )

    def live(self, day: int) -> None:
        """Let a day happen, and put all that comes of it into the outbox."""
        self.catalogue.begin_day(day)
        self.people.begin_day(day)
        rng = stream(self.seed, 9, day)
        came, bought = 0, 0
        by_touch = np.zeros(len(TOUCHES), dtype=np.int64)
        for browsing in self.traffic.browse(day):
            orders = self.sales.check_out(rng, day, browsing)
            self._collect(rng, day, browsing, orders)
            came += len(browsing.sessions["session"])
            bought += int((self.calendar.day_of(orders["ordered_at"]) == day).sum())
            by_touch += np.bincount(browsing.sessions["touch"], minlength=len(TOUCHES))
        # Who calls has not come today: a call belongs to no session.
        self.sales.take_calls(rng, day, bought)
        if "brushing" in self.faults:
            self.sales.brush(rng, day)
        if "bots" in self.faults:
            self._crawl(rng, day, came)
        self.spend.report(day, by_touch)

    def deliver(self, day: int, inbox: Inbox, *, with_whole_tables: bool) -> None:
        """Write what arrives on a day."""
        catalogue = self.catalogue
        whole = {
            "customers": self.people.customer_rows,
            "products": catalogue.product_rows,
            "promotions": catalogue.promotion_rows,
            "merchants": catalogue.merchant_rows,
        }
        snapshots = {"inventory": catalogue.inventory_rows, "fx_rates": self.rates.rows}
        for name, table in self.tables.items():
            if table.is_optional and "no_optional_tables" in self.faults:
                self.outbox.collect(name, day)
                continue
            if name in whole:
                batches = [whole[name](day)] if with_whole_tables else []
            elif name in snapshots:
                batches = [snapshots[name](day)]
            else:
                batches = self._arrived(table, day)
            inbox.write(table, self.calendar.date(day).isoformat(), batches)

    def _collect(self, rng: np.random.Generator, day: int, browsing: Browsing, orders: Rows) -> None:
        """Count the events of a day's sessions, and hand them to the deliveries in which they arrive."""
        events, sessions = browsing.events, browsing.sessions
        session = events["at_session"]
        number = np.full(len(sessions["session"]), NONE)
        number[browsing.purchases["at_session"]] = np.arange(len(orders["order"]))
        bought = np.where(events["kind"] == walking.PURCHASED, number[session], NONE)
        is_purchase = bought >= 0
        events["order"] = np.full(len(session), NONE)
        events["order"][is_purchase] = orders["order"][bought[is_purchase]]
        events["is_paid"] = np.zeros(len(session), dtype=np.int64)
        events["is_paid"][is_purchase] = self.truth.is_paid(orders)[bought[is_purchase]]
        events["by_id"] = np.zeros(len(session), dtype=np.int64)
        events["by_id"][is_purchase] = orders["session"][bought[is_purchase]] >= 0
        events["session"] = np.where(events["kept_id"] > 0, sessions["session"][session], NONE)
        events["nth"] = sessions["nth"][session]
        events["session_day"] = np.full(len(session), day)
        self.truth.count_events(events)
        self._send(rng, events)

    def _crawl(self, rng: np.random.Generator, day: int, came: int) -> None:
        events, keen = bots.crawl(
            self.catalogue, self.calendar, day, seed=self.seed, visitors=self.people.visitors, people=came
        )
        for part in (events, keen):
            if "no_session_ids" in self.faults:
                part["session"] = np.full(len(part["session"]), NONE)
                part["kept_id"] = np.zeros(len(part["session"]), dtype=np.int64)
            part["session"] = np.where(part["session"] >= 0, self.traffic.sessions + part["session"], NONE)
        visitors = len(np.unique(events["visitor"])) + 1
        self.people.visitors += visitors
        self.traffic.sessions += visitors
        self.truth.summary["bot_events"] += len(events["happened"])
        self.truth.count_events(keen)
        for part in (events, keen):
            self._send(rng, part)

    def _send(self, rng: np.random.Generator, events: Rows) -> None:
        """Number events, and put them into the deliveries in which they arrive, in the order of their times."""
        size = len(events["happened"])
        events["event"] = self.traffic.events + np.arange(size)
        self.traffic.events += size
        order = np.argsort(events["happened"], kind="stable")
        # What waits for its delivery lies in memory as narrow as it can.
        events = {
            name: events[name].astype(_WIDTHS.get(name, np.int32))[order]
            for name in columns_in_memory(self.tables["events"])
        }
        last = self.calendar.days - 1
        happened_on = self.calendar.day_of(events["happened"])
        arrives_on = happened_on
        if "late" in self.faults:
            delay = np.where(rng.random(size) < 0.01, rng.integers(1, 4, size), 0)
            # What could only come after the last day comes on it: the truth is then complete.
            arrives_on = np.minimum(happened_on + delay, last)
            self.truth.summary["late"]["events"] += int((arrives_on > happened_on).sum())
        self.outbox.put("events", arrives_on, events)
        if "duplicates" in self.faults:
            again = np.flatnonzero((rng.random(size) < 0.002) & (arrives_on < last))
            self.outbox.put("events", arrives_on[again] + 1, take(events, again))
            self.truth.summary["repeated_events"] += len(again)

    def _arrived(self, table: Table, day: int) -> list[Rows]:
        batches = self.outbox.collect(table.name, day)
        share = {"events": 0.003, "orders": 0.03, "order_items": 0.03}.get(table.name, 0.0)
        if "duplicates" not in self.faults or not share:
            return batches
        rng = stream(self.seed, 10, day, len(table.name))
        doubled = []
        for batch in batches:
            size = len(next(iter(batch.values())))
            twice = np.flatnonzero(rng.random(size) < share)
            self.truth.summary["duplicates"][table.name] += len(twice)
            doubled.append(take(batch, np.sort(np.r_[np.arange(size), twice])))
        return doubled


def _check(
    numbers: dict[str, int],
    *,
    seed: int,
    format: str,  # noqa: A002 - the word of the command line
    currencies: Sequence[str],
    time_zone: str,
) -> None:
    for name, value, least in [("seed", seed, 0), *((name, value, 1) for name, value in numbers.items())]:
        if value < least:
            raise SettingsError(
                f"A shop cannot be simulated with {name} {value}.",
                expected=f"a whole number of at least {least}",
                found=str(value),
                where=f"--{name}",
                mend=f"--{name} {max(least, 10)}",
            )
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"The time zone {time_zone!r} is not known.",
            expected="an IANA name such as UTC or America/New_York",
            found=time_zone,
            where="--time-zone",
        ) from error
    if format not in FORMATS:
        raise SettingsError(
            f"There is no format {format!r}.",
            expected=", ".join(FORMATS),
            found=format,
            where="--format",
            mend="--format mixed",
        )
    for code in currencies or ("",):
        if not re.fullmatch("[A-Z]{3}", code):
            raise SettingsError(
                f"{code!r} is no currency code.",
                expected="ISO 4217 codes of three capital letters, the reporting currency first",
                found=",".join(currencies),
                where="--currencies",
                mend="--currencies USD,EUR",
            )


def _clear(out: Path) -> None:
    """Remove an earlier simulation; refuse to touch anything else."""
    present = [out / feed for feed in FEEDS if (out / feed).exists()]
    if present and not (out / TRUTH / "summary.json").is_file():
        raise SettingsError(
            f"{out} holds deliveries that the simulator did not write.",
            expected="an empty folder, or one that an earlier simulation filled",
            found=", ".join(path.name for path in present),
            where="--out",
            mend="choose another folder",
        )
    for folder in (*present, out / TRUTH):
        shutil.rmtree(folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)


def _write_truth(folder: Path, truth: Truth, currencies: Sequence[str], summary: dict[str, Any]) -> None:
    """One parquet file per group of figures, and the summary last: it says that the simulation is whole."""
    money = ("gmv", "placed_gmv", "discount_amount", "refund_amount", "repurchase_amount")
    special: dict[str, str | Words] = {
        "dt": DATE,
        "cohort_dt": DATE,
        "spend_date": DATE,
        "net_revenue": "signed_money",
        "is_mature": "flag",
        "currency": Words("currency", currencies),
        **dict.fromkeys((*money, "spend", "converted"), MONEY),
    }
    channel_of_campaign = {
        "channel": Words("campaign", [channel for channel, _ in CAMPAIGNS]),
        "campaign_id": Words("campaign", [campaign for _, campaign in CAMPAIGNS]),
    }
    for name, columns in truth.settle().items():
        kinds: dict[str, str | Words] = {column: special.get(column, INT) for column in columns}
        if name == "session_channels":
            kinds["channel"] = Words("channel", CHANNELS)
        if name == "spend":
            del kinds["campaign"]
            kinds = {"spend_date": DATE, **channel_of_campaign, **kinds}
        write_parquet(folder / f"{name}.parquet", columns, kinds)
    text = json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
