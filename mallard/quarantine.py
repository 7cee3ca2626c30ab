"""``mallard quarantine``: see the bad rows, mend them, land their deliveries again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mallard.errors import MallardError, NothingToDoError, SettingsError
from mallard.options import parse_day
from mallard.settings import from_environment
from mallard.show_quarantine import (
    as_dict,
    counted,
    show_check,
    show_groups,
    show_rows,
    tell_unused,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ingestion.quarantine import Place
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
    places = _places(settings, table, parse_day(first, "--from"), parse_day(last, "--to"), source)
    groups = summarise(settings, places, reason)
    tell_unused(settings, places)
    if as_json:
        write_json([as_dict(group) for group in groups])
        return
    if not groups:
        everything = summarise(settings, find_places(settings)) if places != find_places(settings) else []
        typer.echo(
            "No bad rows match; `mallard quarantine list` shows all." if everything else "No bad rows."
        )
        return
    show_groups(groups, limit)


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
            f"{counted(len(rows), 'bad row')} of {place.name} in {csv}. Edit the columns after _text, then:"
        )
        typer.echo(f"  mallard quarantine mend {table} {day} {csv}")
        if place.contract.pii:
            typer.echo(
                f"  {', '.join(place.contract.pii)}: keyed hashes. Leave them, or write the clear value: "
                "it is hashed before it is kept."
            )
        return
    show_rows(settings, place, rows, limit)


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
    from ingestion.mend_notes import forget, mend_rows
    from ingestion.quarantine import check, read_rows

    settings = from_environment()
    place = _place(settings, table, day, source)
    if sum((file is not None, bool(sets), is_forgotten)) > 1:
        raise SettingsError("A file, --set and --forget say different things.", mend="give one of them")
    if (wheres or reason) and not sets:
        raise SettingsError("--where and --reason choose rows for --set.", mend="add --set column=value")
    if is_forgotten:
        typer.echo(f"Forgotten: {counted(forget(settings, place), 'mend')} of {place.name}.")
        typer.echo(f"What they landed goes with: mallard quarantine replay {table} --day {day}")
        return
    if file or sets:
        wanted = import_rows(file) if file else _wanted(settings, place, sets or [], wheres or [], reason)
        done = mend_rows(settings, place, wanted)
        changes = ", ".join(f"{name} in {rows:,}" for name, rows in done.columns.items())
        typer.echo(
            f"Mended: {counted(done.rows, 'row')} of {place.name}"
            + (f" (changed: {changes})." if changes else ".")
        )
        if done.unchanged:
            typer.echo(f"Left as they are, in the quarantine: {counted(done.unchanged, 'row')}.")
    show_check(
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
    only = parse_day(day, "--day")
    places = _places(settings, table, only, only, source)
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
    settings: Settings, table: str | None, first: date | None, last: date | None, source: str | None
) -> list[Place]:
    from ingestion.quarantine import find_places

    feed, name = _parse_table(table)
    return find_places(settings, feed, name, source=source, first=first, last=last)


def _place(settings: Settings, table: str, day: str, source: str | None) -> Place:
    feed, name = _parse_table(table)
    if name is None:
        raise SettingsError(f"{feed} is a feed.", expected="a table as feed/table", mend=f"{feed}/{feed}")
    only = parse_day(day, "DAY")
    found = _places(settings, table, only, only, source)
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
