"""How ``mallard quarantine`` shows bad rows."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingestion.judging import Checked
    from ingestion.quarantine import BadRow, Group, Place
    from mallard.settings import Settings

_SHOWN = 60


def write_json(rows: object) -> None:
    """JSON for programs."""
    sys.stdout.write(json.dumps(rows, default=str, indent=2, ensure_ascii=False) + "\n")


def as_dict(group: Group) -> dict[str, object]:
    place, example = group.place, group.example
    return {
        "feed": place.feed,
        "table": place.table,
        "delivery": place.day,
        "source": place.source,
        "state": group.state,
        "reason": group.reason,
        "rows": group.rows,
        "rows_mended": group.pending,
        "since": group.since.isoformat(),
        "source_file": example.source_file,
        "line": example.line,
        "column": example.column or None,
        "found": example.found,
    }


def _short(text: str, most: int = _SHOWN) -> str:
    """One line of `mallard quarantine list --json`."""
    # What a file holds may steer a terminal: only what can be printed is.
    plain = "".join(sign if sign.isprintable() else "·" for sign in text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def counted(number: int, noun: str) -> str:
    """``3 rows``; ``1 row``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _age(since: datetime) -> str:
    minutes = int((datetime.now(UTC) - since).total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def _found(row: BadRow, most: int = _SHOWN) -> str:
    return _short(row.found, most)


def tell_unused(settings: Settings, places: Sequence[Place]) -> None:
    """Tell on stderr which deliveries' mends found no row when they landed last."""
    for place in places:
        manifest = place.manifest(settings)
        if manifest and manifest.mends_unmatched:
            typer.echo(
                f"{place.name}: {counted(manifest.mends_unmatched, 'mend')} not used when it landed last, as no bad row "
                "held what it held when it was mended.",
                err=True,
            )


def show_groups(groups: Sequence[Group], limit: int) -> None:
    """Bad rows by delivery and reason, the newest days first; ``limit`` lines, 0 for all."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    sources = {group.place.source for group in groups}
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("table", no_wrap=True)
    shown.add_column("delivery", no_wrap=True)
    if len(sources) > 1:
        shown.add_column("source", overflow="fold")
    shown.add_column("rows", justify="right", no_wrap=True)
    shown.add_column("what is wrong", overflow="fold", ratio=1)
    shown.add_column("for", no_wrap=True, justify="right")
    ordered = sorted(groups, key=lambda group: (-group.place.day.toordinal(), group.place))
    listed = ordered[:limit] if limit else ordered
    for group in listed:
        example = group.example
        says = f"{group.reason}\n[dim]{escape(example.where)}: {escape(_found(example))}[/]"
        if group.state != "quarantined":
            says = f"[yellow]{group.state}:[/] {says}"
        if group.pending:
            says += f"\n[green]{group.pending:,} mended, not landed yet[/]"
        cells = [f"{group.place.feed}/{group.place.table}", str(group.place.day)]
        if len(sources) > 1:
            cells.append(group.place.source)
        cells += [f"{group.rows:,}", says, _age(group.since)]
        shown.add_row(*cells)
    console.print(shown)
    rows, deliveries = sum(group.rows for group in groups), len({group.place for group in groups})
    told = f"{counted(rows, 'bad row')} of {deliveries:,} deliver{'y' if deliveries == 1 else 'ies'}"
    told += f", source {next(iter(sources))}" if len(sources) == 1 else ""
    if len(listed) < len(groups):
        told += f"; {len(listed)} of {len(groups):,} lines shown, --limit 0 shows all"
    console.print(told, style="dim")
    first = listed[0].place
    console.print("Look at the rows:", style="dim")
    console.print(f"  mallard quarantine inspect {first.feed}/{first.table} {first.day}", soft_wrap=True)
    if any(group.pending for group in groups):
        console.print("Land what is mended:", style="dim")
        console.print("  mallard quarantine replay")


def show_rows(settings: Settings, place: Place, rows: Sequence[BadRow], limit: int) -> None:
    """The bad rows of one delivery, what each holds and should hold; ``limit`` rows, 0 for all."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ingestion.quarantine import how_to_mend
    from ingestion.tables import REFUSED

    console = Console(highlight=False)
    listed = rows[:limit] if limit else rows
    console.print(f"{place.name}, source {place.source}", style="bold")
    console.print(rows[0].source_file, style="dim", soft_wrap=True)
    if place.file(settings, REFUSED).exists():
        console.print("The file was refused: nothing of it is landed.", style="yellow")
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("line", justify="right", no_wrap=True)
    shown.add_column("key", overflow="fold")
    shown.add_column("column: found", overflow="fold", ratio=1)
    shown.add_column("should be", overflow="fold", ratio=1)
    for row in listed:
        key = ", ".join(str(row.values.get(name) or "") for name in place.contract.key)
        found = f"{row.column}: {_found(row)}" if row.column else f"{row.reason}: {_found(row)}"
        wanted = escape(how_to_mend(place, row))
        if row.pending is not None:
            sets = ", ".join(f"{name}={value or ''}" for name, value in row.pending.items())
            wanted = f"[green]mended: {escape(_short(sets))}[/]"
        shown.add_row(str(row.line or f"row {row.row}"), escape(_short(key, 40)), escape(found), wanted)
    console.print(shown)
    if len(listed) < len(rows):
        console.print(f"{len(listed):,} of {len(rows):,} rows; --limit 0 shows all", style="dim")
    look = f"mallard quarantine inspect {place.feed}/{place.table} {place.day} --csv bad.csv"
    console.print("Edit them in a spreadsheet:", style="dim")
    console.print(f"  {look}", soft_wrap=True)


def show_check(place: Place, checked: Checked, *, before: int) -> None:
    """What landing a delivery would make of it; ``before`` is how many rows are bad as it is landed."""
    bad, look = checked.rows_bad, f"{place.feed}/{place.table} {place.day}"
    for row, line, reason in checked.still_bad:
        typer.echo(f"  still bad: {f'line {line}' if line else f'row {row}'}, {reason}")
    if checked.unmatched:
        typer.echo(
            f"  not used: {counted(len(checked.unmatched), 'mend')}, as no bad row holds what it held when it was "
            "mended: the file, the rules or the hash key have changed"
        )
    total = counted(checked.rows_in, "row")
    if checked.is_refused:
        typer.echo(
            f"Of {total}, {bad:,} would be bad: too many, the delivery would be refused. Mend more of them."
        )
        return
    mended = f", {checked.rows_mended:,} would land as mended" if checked.rows_mended else ""
    typer.echo(f"Of {total}, {bad:,} would be bad{mended}.")
    if not checked.rows_mended and bad >= before:
        typer.echo("So nothing would change. Mend rows, the contract or the source's entry first:")
        typer.echo(f"  mallard quarantine inspect {look} --csv bad.csv")
        return
    typer.echo(f"Land it: mallard quarantine replay {place.feed}/{place.table} --day {place.day}")
