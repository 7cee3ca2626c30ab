"""``mallard quarantine``: see the bad rows, mend them, land their deliveries again."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mallard.errors import MallardError, NothingToDoError, SettingsError
from mallard.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingestion.quarantine import BadRow, Group, Place
    from ingestion.writer import Checked
    from mallard.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Bad rows: see them, mend them, land their deliveries again.\n\n"
    "A bad row is kept out of the warehouse with its reason, file and line. It is mended in three steps: "
    "[bold]inspect[/] shows it, [bold]mend[/] takes what it should have held (or a rule is mended in its contract "
    "or the source registry), [bold]replay[/] lands its delivery again and publishes. The source's file is never "
    "written to.",
)

_Table = Annotated[str, typer.Argument(help="A table as feed/table, such as orders/orders.")]
_Day = Annotated[str, typer.Argument(help="The delivery day, YYYY-MM-DD.")]
_Source = Annotated[str | None, typer.Option(help="A source, where several deliver the table.")]
_Reason = Annotated[str | None, typer.Option(help="Only rows of this reason.")]
_First = Annotated[str | None, typer.Option("--from", help="First delivery day.")]
_Last = Annotated[str | None, typer.Option("--to", help="Last delivery day.")]
_SHOWN = 60


@app.command("list")
def list_bad(
    table: Annotated[str | None, typer.Argument(help="A feed, or a table as feed/table.")] = None,
    *,
    first: _First = None,
    last: _Last = None,
    source: _Source = None,
    reason: _Reason = None,
    limit: Annotated[int, typer.Option(min=0, help="Lines to show, the newest days; 0 for all.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """What lies in the quarantine: by delivery and reason, with an example.

    Examples: [bold]mallard quarantine list[/], [bold]mallard quarantine list orders --from 2025-11-01[/]
    """
    from ingestion.quarantine import find_places, summarise

    settings = from_environment()
    places = _places(settings, table, first, last, source)
    groups = summarise(settings, places, reason)
    _tell_unused(settings, places)
    if as_json:
        _write_json([_as_dict(group) for group in groups])
        return
    if not groups:
        everything = summarise(settings, find_places(settings)) if places != find_places(settings) else []
        typer.echo(
            "No bad rows match; `mallard quarantine list` shows all." if everything else "No bad rows."
        )
        return
    _show_groups(groups, limit)


@app.command()
def inspect(
    table: _Table,
    day: _Day,
    *,
    source: _Source = None,
    reason: _Reason = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows to show; 0 for all.")] = 20,
    csv: Annotated[
        Path | None, typer.Option(help="Write the rows to this file instead, to edit them there.")
    ] = None,
) -> None:
    """The bad rows of one delivery: where each stands, what it holds, what it should hold.

    Examples: [bold]mallard quarantine inspect orders/orders 2025-11-11[/],
    [bold]mallard quarantine inspect orders/orders 2025-11-11 --csv bad.csv[/]
    """
    from ingestion.mend_files import export_rows
    from ingestion.quarantine import read_rows

    settings = from_environment()
    place = _place(settings, table, day, source)
    rows = [row for row in read_rows(settings, place) if reason in {None, row.reason}]
    if not rows:
        raise NothingToDoError(
            f"{place.name} has no bad rows{f' of the reason {reason}' if reason else ''}.",
            mend="mallard quarantine list shows which have",
        )
    if csv:
        rows = [row for row in rows if not row.is_set_aside]
        export_rows(place, rows, csv)
        typer.echo(
            f"{_count(len(rows), 'bad row')} of {place.name} in {csv}. Edit the columns after _text, then:"
        )
        typer.echo(f"  mallard quarantine mend {table} {day} {csv}")
        if place.contract.pii:
            typer.echo(
                f"  {', '.join(place.contract.pii)}: keyed hashes. Leave them, or write the clear value: "
                "it is hashed before it is kept."
            )
        return
    _show_rows(settings, place, rows, limit)


@app.command()
def mend(
    table: _Table,
    day: _Day,
    file: Annotated[Path | None, typer.Argument(help="The file of `inspect --csv`, edited.")] = None,
    *,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="column=value; column= empties it. Can be repeated.")
    ] = None,
    wheres: Annotated[
        list[str] | None,
        typer.Option("--where", help="Only bad rows with column=value (also _row, _line). Can be repeated."),
    ] = None,
    reason: _Reason = None,
    source: _Source = None,
    is_forgotten: Annotated[
        bool, typer.Option("--forget", help="Drop the delivery's mends (and what is kept of a refused file).")
    ] = False,
) -> None:
    """Say what bad rows of one delivery should have held, and see whether that would land. Nothing lands yet.

    Without a file or --set it tells what today's rules would make of the delivery, as after a contract or the
    source registry was mended.

    Examples: [bold]mallard quarantine mend orders/orders 2025-11-11 bad.csv[/],
    [bold]mallard quarantine mend orders/orders 2025-11-11 --set status=shipped --where status=shiped[/],
    [bold]mallard quarantine mend orders/orders 2025-11-11[/]
    """
    from ingestion.mend_files import import_rows
    from ingestion.quarantine import check, forget, mend_rows, read_rows

    settings = from_environment()
    place = _place(settings, table, day, source)
    if sum((file is not None, bool(sets), is_forgotten)) > 1:
        raise SettingsError("A file, --set and --forget say different things.", mend="give one of them")
    if (wheres or reason) and not sets:
        raise SettingsError("--where and --reason choose rows for --set.", mend="add --set column=value")
    if is_forgotten:
        typer.echo(f"Forgotten: {_count(forget(settings, place), 'mend')} of {place.name}.")
        typer.echo(f"What they landed goes with: mallard quarantine replay {table} --day {day}")
        return
    if file or sets:
        wanted = import_rows(file) if file else _wanted(settings, place, sets or [], wheres or [], reason)
        done = mend_rows(settings, place, wanted)
        changes = ", ".join(f"{name} in {rows:,}" for name, rows in done.columns.items())
        typer.echo(
            f"Mended: {_count(done.rows, 'row')} of {place.name}"
            + (f" (changed: {changes})." if changes else ".")
        )
        if done.unchanged:
            typer.echo(f"Left as they are, in the quarantine: {_count(done.unchanged, 'row')}.")
    _show_check(
        place, check(settings, place), before=sum(not row.is_set_aside for row in read_rows(settings, place))
    )


@app.command()
def replay(
    table: Annotated[str | None, typer.Argument(help="A feed, or a table as feed/table; none: all.")] = None,
    *,
    day: Annotated[str | None, typer.Option(help="Only this delivery day.")] = None,
    source: _Source = None,
    publish: Annotated[bool, typer.Option(help="Publish like a load, or leave that to the next.")] = True,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another run to end.")] = 0,
) -> None:
    """Land the deliveries with bad rows again, by today's rules and mends, and publish. Twice is once.

    A delivery is read from its source's file; where that is gone, from what was landed and quarantined of it.

    Examples: [bold]mallard quarantine replay[/], [bold]mallard quarantine replay orders/orders --day 2025-11-11[/]
    """
    from mallard.pipeline import replay as run_replay
    from mallard.progress import TerminalProgress
    from mallard.show import show_landing, show_receipt

    settings = from_environment()
    places = _places(settings, table, day, day, source)
    if not places:
        raise NothingToDoError("There are no bad rows to replay.", mend="mallard quarantine list")
    report, receipt = run_replay(
        settings, places, progress=TerminalProgress(), publishes=publish, wait_seconds=wait
    )
    show_landing(report)
    if publish:
        show_receipt(settings, receipt)
    else:
        typer.echo("Nothing was published: the next load or replay publishes what is landed.")


def _parse_day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        raise SettingsError(
            "That is no delivery day.", expected="a day as YYYY-MM-DD, such as 2025-11-11", found=text
        ) from None


def _parse_table(text: str | None) -> tuple[str | None, str | None]:
    from ingestion.contract import read_contracts

    if text is None:
        return None, None
    feed, _, table = text.partition("/")
    known = list(read_contracts())
    if feed not in {one for one, _ in known} or (table and (feed, table) not in known):
        raise SettingsError(
            f"There is no table {text!r}.",
            expected="one of " + ", ".join("/".join(key) for key in known),
            found=text,
        )
    return feed, table or None


def _places(
    settings: Settings, table: str | None, first: str | None, last: str | None, source: str | None
) -> list[Place]:
    from ingestion.quarantine import find_places

    feed, name = _parse_table(table)
    return find_places(settings, feed, name, source=source, first=_parse_day(first), last=_parse_day(last))


def _place(settings: Settings, table: str, day: str, source: str | None) -> Place:
    feed, name = _parse_table(table)
    if name is None:
        raise SettingsError(f"{feed} is a feed.", expected="a table as feed/table", mend=f"{feed}/{feed}")
    found = _places(settings, table, day, day, source)
    if not found:
        days = sorted({str(place.day) for place in _places(settings, table, None, None, source)})
        raise NothingToDoError(
            f"{feed}/{name} of {day} has no bad rows.",
            found=f"bad rows of {', '.join(days[-5:])}" if days else "no bad rows of this table",
            where=str(settings.quarantine),
            mend="mallard quarantine list",
        )
    if len(found) > 1:
        raise SettingsError(
            f"Several sources have bad rows of {feed}/{name} of {day}.",
            found=", ".join(place.source for place in found),
            mend=f"--source {found[0].source}",
        )
    return found[0]


def _pairs(texts: Sequence[str], option: str) -> dict[str, str | None]:
    pairs: dict[str, str | None] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise SettingsError(f"{option} wants column=value.", found=text, mend=f"{option} status=paid")
        pairs[name.strip()] = value or None
    return pairs


def _wanted(
    settings: Settings, place: Place, sets: Sequence[str], wheres: Sequence[str], reason: str | None
) -> dict[tuple[str, int], dict[str, str | None]]:
    """The rows that --where and --reason choose, with what --set makes of them."""
    from ingestion.quarantine import read_rows

    chosen, values = _pairs(wheres, "--where"), _pairs(sets, "--set")
    if not chosen and not reason:
        raise SettingsError(
            "Which rows are to be set?",
            expected="--where column=value or --reason",
            mend="--where status=shiped",
        )
    wanted = {}
    for row in read_rows(settings, place):
        held = row.wanted | {"_row": str(row.row), "_line": str(row.line)}
        if reason in {None, row.reason} and all(held.get(name) == value for name, value in chosen.items()):
            if not row.is_split:
                raise MallardError(
                    f"{row.where.capitalize()} of {place.name} has no columns to set.",
                    found=row.reason,
                    mend="give the whole row: mallard quarantine inspect "
                    f"{place.feed}/{place.table} {place.day} --csv FILE",
                )
            # Told apart from what the row holds by what it was to become already.
            wanted[row.fingerprint or "", row.row] = values | {"_mend": json.dumps(row.pending or {})}
    if not wanted:
        raise NothingToDoError(
            f"No bad row of {place.name} is like that.",
            expected=" and ".join([*wheres, *([f"reason {reason}"] if reason else [])]),
            mend=f"mallard quarantine inspect {place.feed}/{place.table} {place.day}",
        )
    return wanted


def _write_json(rows: object) -> None:
    sys.stdout.write(json.dumps(rows, default=str, indent=2, ensure_ascii=False) + "\n")


def _as_dict(group: Group) -> dict[str, object]:
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
    # What a file holds may steer a terminal: only what can be printed is.
    plain = "".join(sign if sign.isprintable() else "·" for sign in text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _age(since: datetime) -> str:
    minutes = int((datetime.now(UTC) - since).total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def _found(row: BadRow, most: int = _SHOWN) -> str:
    return _short(row.found, most)


def _tell_unused(settings: Settings, places: Sequence[Place]) -> None:
    for place in places:
        manifest = place.manifest(settings)
        if manifest and manifest.mends_unmatched:
            typer.echo(
                f"{place.name}: {_count(manifest.mends_unmatched, 'mend')} not used when it landed last, as no bad row "
                "held what it held when it was mended.",
                err=True,
            )


def _show_groups(groups: Sequence[Group], limit: int) -> None:
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
    told = f"{_count(rows, 'bad row')} of {deliveries:,} deliver{'y' if deliveries == 1 else 'ies'}"
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


def _show_rows(settings: Settings, place: Place, rows: Sequence[BadRow], limit: int) -> None:
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


def _show_check(place: Place, checked: Checked, *, before: int) -> None:
    bad, look = checked.rows_bad, f"{place.feed}/{place.table} {place.day}"
    for row, line, reason in checked.still_bad:
        typer.echo(f"  still bad: {f'line {line}' if line else f'row {row}'}, {reason}")
    if checked.unmatched:
        typer.echo(
            f"  not used: {_count(len(checked.unmatched), 'mend')}, as no bad row holds what it held when it was "
            "mended: the file, the rules or the hash key have changed"
        )
    total = _count(checked.rows_in, "row")
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
