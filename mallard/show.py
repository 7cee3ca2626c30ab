"""What the command line shows: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mallard.errors import MallardError, NothingToDoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ingestion.deliveries import Delivery
    from ingestion.landing import LandingReport
    from ingestion.manifest import Manifest
    from mallard.settings import Settings
    from mallard.trial import Trial
    from publishing.receipt import Receipt
    from simulator.shop import SimulationReport


def _console() -> Console:
    # Where nobody looks (a pipe, a log), lines are not folded to the width of a terminal that is not there.
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 160
    return console


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table; numbers are set flush right."""
    listed = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        is_number = any(isinstance(row[position], int | float | Decimal) for row in listed)
        table.add_column(column, justify="right" if is_number else "left")
    for row in listed:
        table.add_row(*[_text(value) for value in row])
    return table


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}"
    return str(value)


def _instant(text: str) -> str:
    """An ISO instant in UTC to the second, as people read it."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def show_landing(report: LandingReport) -> None:
    """What was landed by table: deliveries and where every row went."""
    sums: dict[tuple[str, str], list[int]] = {}
    for manifest in report.landed:
        counts = sums.setdefault((manifest.feed, manifest.table), [0] * 5)
        for position, count in enumerate(
            (
                1,
                manifest.rows_in,
                manifest.rows_landed,
                manifest.rows_quarantined,
                manifest.rows_duplicate,
            )
        ):
            counts[position] += count
    console = _console()
    if sums:
        columns = ["feed", "table", "deliveries", "rows in", "landed", "quarantined", "duplicates"]
        rows = [(feed, table, *counts) for (feed, table), counts in sorted(sums.items())]
        console.print(make_table("", columns, rows))
    if report.unchanged:
        console.print(f"{len(report.unchanged)} deliveries were landed before and have not changed.")


def show_receipt(settings: Settings, receipt: Receipt | None) -> None:
    """The receipt of what was just published, or the version that stands because nothing was new."""
    from publishing.versions import current_version

    console = _console()
    current = current_version(settings)
    if current is None:
        return
    if receipt is None:
        console.print(
            f"Nothing new: version {current.version}, up to {current.as_of}, holds all that is landed."
        )
        return
    ran = len(receipt.checks)
    console.print(
        f"[bold green]✓[/] Published version [bold]{current.version}[/] up to [bold]{current.as_of}[/]: "
        f"{ran} checks ran, {len(receipt.warnings)} warned, "
        + (f"{len(receipt.accepted)} accepted." if receipt.accepted else "none that blocks failed.")
    )
    for check in receipt.accepted:
        if check.acceptance:
            said = f"accepted by {check.acceptance.by}: {check.acceptance.because}"
            console.print(f"  [yellow]![/] {check.name}: {check.message}; {said}")
    for check in receipt.warnings:
        console.print(f"  [yellow]![/] {check.name}: {check.message or check.reason}")
    rows = sum(state.rows for state in receipt.tables.values())
    console.print(f"  {len(receipt.tables)} tables, {rows:,} rows in {current.path}")
    console.print('  Look further: mallard query "select * from marts.gmv_daily order by dt desc limit 7"')


def show_status(settings: Settings) -> None:
    """What is published, how fresh it is, and what waits."""
    from ingestion.landing import read_manifests
    from mallard.build import read_base
    from mallard.prepare import identify
    from publishing.versions import current_version

    console = _console()
    current = current_version(settings)
    manifests = read_manifests(settings)
    if current is None:
        console.print(f"Nothing is published in {settings.home} yet.")
        console.print(f"{len(manifests)} deliveries are landed. Load some: mallard load --inbox DIR")
        return
    base = read_base(settings)
    waiting = [m for m in manifests if identify(m) not in base.deliveries]
    console.print(f"Version [bold]{current.version}[/] up to [bold]{current.as_of}[/], {current.path}")
    console.print(
        f"published {_instant(current.published_at)} UTC, {current.path.stat().st_size / 1e6:,.1f} MB"
    )
    columns = ["feed", "table", "deliveries", "last delivery", "rows landed", "quarantined", "waiting"]
    rows = []
    for feed, table in sorted({(m.feed, m.table) for m in manifests}):
        mine = [m for m in manifests if (m.feed, m.table) == (feed, table)]
        rows.append(
            (
                feed,
                table,
                len(mine),
                max(m.delivery for m in mine),
                sum(m.rows_landed for m in mine),
                sum(m.rows_quarantined for m in mine),
                sum((m.feed, m.table) == (feed, table) for m in waiting),
            )
        )
    console.print(make_table("", columns, rows))
    if waiting:
        console.print(f"{len(waiting)} deliveries are landed, but not published yet: mallard load")
    if lying := not_landed(settings, manifests):
        days = sorted(delivery.date for delivery in lying)
        console.print(
            f"{len(lying)} deliveries of {days[0]} to {days[-1]} lie in the inbox and are not landed: "
            f"mallard load --from {days[0]} --to {days[-1]}"
        )


def not_landed(settings: Settings, manifests: Sequence[Manifest]) -> list[Delivery]:
    """Deliveries of the enabled inboxes that nothing was landed of: they came later than any run looked back."""
    from ingestion.deliveries import plan
    from ingestion.registry import choose_sources

    landed = {(m.feed, m.table, m.source, m.delivery) for m in manifests}
    lying: list[Delivery] = []
    for source in choose_sources(settings):
        if source.reader == "inbox":
            with contextlib.suppress(MallardError):
                lying += plan(settings, source)
    return [one for one in lying if one.day and (one.feed, one.table, one.source.name, one.day) not in landed]


def show_publishes(settings: Settings, *, as_json: bool) -> None:
    """Every run that ended in a publish or a refusal, the newest first."""
    from publishing.versions import list_publishes

    lines = list_publishes(settings)
    if as_json:
        sys.stdout.write(json.dumps([asdict(line) for line in lines], default=str, indent=2) + "\n")
        return
    if not lines:
        _console().print(f"Nothing was published in {settings.home} yet. Load some: mallard load --inbox DIR")
        return
    columns = [
        "version",
        "status",
        "as of",
        "recorded at (UTC)",
        "deliveries",
        "checks",
        "warned",
        "kept",
        "reason",
    ]
    rows = [
        (
            f"{line.version}{' ←' if line.is_live else ''}",
            line.status,
            line.as_of,
            _instant(line.recorded_at),
            line.input_deliveries,
            line.checks,
            line.warnings,
            line.is_kept,
            line.reason,
        )
        for line in lines
    ]
    _console().print(make_table("", columns, rows))


def show_query(settings: Settings, sql: str, *, limit: int, as_csv: bool) -> None:
    """Ask the published file and print the answer.

    Raises:
        NothingToDoError: nothing is published yet.
        MallardError: the statement does not run.
    """
    import duckdb

    from publishing.versions import current_version

    current = current_version(settings)
    if current is None:
        raise NothingToDoError(
            "There is nothing to ask yet: nothing was published.",
            where=str(settings.published),
            mend="mallard load --inbox DIR",
        )
    try:
        with duckdb.connect(str(current.path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            answer = connection.sql(sql)
            if answer is None:
                raise MallardError(
                    "That statement gives no rows.",
                    found=sql,
                    mend="ask with select, for example: select * from marts.gmv_daily",
                )
            columns = answer.columns
            if as_csv:
                answer.df().to_csv(sys.stdout, index=False)
                return
            rows = answer.limit(limit + 1).fetchall() if limit else answer.fetchall()
    except duckdb.Error as error:
        raise MallardError(
            "DuckDB cannot answer that.",
            found=str(error).strip(),
            where=str(current.path),
            mend="list the tables: mallard query 'select schema_name, table_name from duckdb_tables()'",
        ) from error
    shown = rows[:limit] if limit else rows
    console = _console()
    console.print(make_table("", columns, shown))
    if len(rows) > len(shown):
        console.print(f"[dim]the first {limit} rows; --limit 0 shows all[/]")


def show_trial(trial: Trial) -> None:
    """A model that was tried: its rows, and its tests that did not pass."""
    console = _console()
    console.print(make_table(trial.table, trial.columns, trial.rows))
    for name, message in trial.failures:
        console.print(f"[red]✗[/] {name}: {message}")
    console.print(f"{trial.tests} tests ran, {len(trial.failures)} did not pass. Nothing was published.")


def show_faults(faults: Mapping[str, str]) -> None:
    """The faults that the simulator knows."""
    _console().print(make_table("", ["fault", "what it does"], sorted(faults.items())))


def show_simulation(report: SimulationReport, out: Path) -> None:
    """How much was written where."""
    rows = sorted(report.rows.items())
    _console().print(make_table("", ["table", "rows"], rows))
    _console().print(f"Load it: mallard load --inbox {out}")
