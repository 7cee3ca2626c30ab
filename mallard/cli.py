"""The command line: thin over the functions that the DAGs call. Heavy libraries load with the command that needs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mallard.errors import MallardError, NothingToDoError, SettingsError
from mallard.options import parse_day
from mallard.quarantine import app as quarantine
from mallard.settings import from_environment

if TYPE_CHECKING:
    from mallard.progress import Progress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Load a shop's feeds into an audited, published warehouse and look at it.\n\n"
    "Example: mallard load --inbox ./inbox && mallard query 'select * from marts.gmv_daily'",
)
app.add_typer(quarantine, name="quarantine")


class _State:
    """What the options before the command say."""

    verbose = False


@app.callback()
def options(*, verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False) -> None:
    _State.verbose = verbose


def _progress() -> Progress:
    from mallard.progress import TerminalProgress

    return TerminalProgress()


@app.command()
def load(
    *,
    inbox: Annotated[
        Path | None, typer.Option(help="Folder of <feed>/<table>/<day>.<ext>  [default: MALLARD_HOME/inbox]")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First delivery day, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last delivery day, included.")] = None,
    source: Annotated[
        str | None, typer.Option(help="A source of the registry, such as online_retail.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Where that source's file lies.")] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Compute everything anew from landing.")
    ] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another run to end.")] = 0,
) -> None:
    """Land what the inbox (or another source) holds, build, check, and publish once.

    Examples: [bold]mallard load --inbox ./inbox[/], [bold]mallard load --from 2025-11-01 --to 2025-11-30[/],
    [bold]mallard load --source online_retail --path online_retail.parquet[/]
    """
    from mallard.pipeline import load as run_load
    from mallard.show import show_landing, show_receipt

    settings = from_environment()
    first_day, last_day = parse_day(first, "--from"), parse_day(last, "--to")
    if first_day and last_day and first_day > last_day:
        raise SettingsError(
            "--from is after --to.",
            expected="the earlier day first",
            found=f"--from {first_day} --to {last_day}",
            mend=f"mallard load --from {last_day} --to {first_day}",
        )
    if inbox is not None and path is not None:
        raise SettingsError("--inbox and --path say two things.", mend="give one of them")
    place = inbox or path
    report, receipt = run_load(
        settings,
        first_day,
        last_day,
        progress=_progress(),
        source=source,
        inbox=place.resolve() if place else None,
        full_refresh=full_refresh,
        wait_seconds=wait,
    )
    show_landing(report)
    show_receipt(settings, receipt)


@app.command()
def simulate(
    *,
    out: Annotated[Path, typer.Option(help="The folder to write: an inbox, and _truth/ beside the feeds.")],
    days: Annotated[int, typer.Option(min=1, help="How many business days.")] = 42,
    users: Annotated[int, typer.Option(min=1, help="How many people may come by.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    first_day: Annotated[str, typer.Option(help="The first business day.")] = "2025-10-01",
    faults: Annotated[str, typer.Option(help="Faults by name, with commas; 'help' lists them.")] = "",
    file_format: Annotated[str, typer.Option("--format", help="mixed, csv, jsonl or parquet.")] = "mixed",
    currencies: Annotated[str, typer.Option(help="Currencies of orders, with commas.")] = "",
) -> None:
    """Write the feeds of a shop that never was, of any size, and the figures that it knows to be true.

    Example: [bold]mallard simulate --out ./inbox --days 42 --users 2000 --seed 1 --faults late,bad_rows[/]
    """
    from mallard.show import show_faults, show_simulation
    from simulator.shop import FAULTS
    from simulator.shop import simulate as run_simulation

    if faults == "help":
        show_faults(FAULTS)
        return
    day = parse_day(first_day, "--first-day")
    assert day is not None  # noqa: S101 - the option has a default
    settings = from_environment()
    chosen = tuple(name for name in currencies.split(",") if name) or (settings.currency,)
    report = run_simulation(
        out.resolve(),
        days=days,
        users=users,
        seed=seed,
        first_day=day,
        faults=[name for name in faults.split(",") if name],
        format=file_format,
        currencies=chosen,
        progress=_progress(),
    )
    show_simulation(report, out)


@app.command()
def status() -> None:
    """What is published, how fresh it is, and what waits to be published."""
    from mallard.show import show_status

    show_status(from_environment())


@app.command()
def publishes(
    *, as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False
) -> None:
    """Every version that was published or refused, the newest first."""
    from mallard.show import show_publishes

    show_publishes(from_environment(), as_json=as_json)


@app.command()
def publish(
    *,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="A check that failed and that you let pass.")
    ] = None,
    because: Annotated[str, typer.Option(help="Why: kept with the version, for those who read it.")] = "",
    by: Annotated[
        str, typer.Option(envvar="MALLARD_USER", help="Who decides (default: who is logged in).")
    ] = "",
) -> None:
    """Publish the audited candidate that waits, letting pass what a person knows to be right this once.

    Checks that protect rows, money or contracts cannot be accepted.

    Example: [bold]mallard publish --accept deliveries.volume_is_there --because "a bank holiday"[/]
    """
    from mallard.pipeline import publish_waiting
    from mallard.show import show_receipt

    settings = from_environment()
    receipt = publish_waiting(settings, accept or (), because, by or _user(), _progress())
    show_receipt(settings, receipt)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        raise SettingsError(
            "Who decides?", expected="a name, kept with the version", mend="--by NAME, or MALLARD_USER"
        ) from None


@app.command()
def rollback(
    version: Annotated[int | None, typer.Argument(help="The version to serve; none: the one before.")] = None,
) -> None:
    """Serve an earlier version again, at once. The next load builds on it and publishes a new one.

    Example: [bold]mallard rollback 12[/]
    """
    from publishing.versions import rollback as roll_back

    served = roll_back(from_environment(), version)
    typer.echo(f"Readers now see version {served.version}, up to {served.as_of}.")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement; tables as marts.gmv_daily.")],
    *,
    limit: Annotated[int, typer.Option(help="Rows to show; 0 for all.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for programs.")] = False,
) -> None:
    """Ask the published warehouse. It is opened read-only: nothing can be broken.

    Example: [bold]mallard query "select dt, gmv, uv from marts.gmv_daily order by dt desc limit 7"[/]
    """
    from mallard.show import show_query

    show_query(from_environment(), sql, limit=limit, as_csv=as_csv)


@app.command("try")
def try_model(
    model: Annotated[str, typer.Argument(help="A model of dbt_project/models, such as gmv_daily.")],
    *,
    limit: Annotated[int, typer.Option(help="Rows to show.")] = 20,
) -> None:
    """Compute one model on a copy of the published data, run its tests, and show its rows. Nothing is published.

    Example: [bold]mallard try gmv_daily[/]
    """
    from mallard.show import show_trial
    from mallard.trial import try_model as run_trial

    show_trial(run_trial(from_environment(), model, limit=limit, progress=_progress()))


@app.command()
def up() -> None:
    """Start Airflow (UI and scheduler) on this machine's loopback; Ctrl-C stops it."""
    from mallard.airflow.standalone import up as start

    start(from_environment())


@app.command()
def demo(
    *,
    days: Annotated[int, typer.Option(min=1, help="How many business days.")] = 42,
    users: Annotated[int, typer.Option(min=1, help="How many people may come by.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 1,
) -> None:
    """Simulate a shop, run the Airflow DAGs over its weeks, and show what was published."""
    from mallard.demo import run_demo

    run_demo(days=days, users=users, seed=seed, progress=_progress())


def main() -> None:
    """Run the command line; what a person can mend is told without a traceback."""
    # Nothing that a command starts may phone home.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    try:
        app()
    except MallardError as error:
        if _State.verbose:
            raise
        _tell(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if _State.verbose or error.filename is None:
            raise
        _tell(
            MallardError(
                f"The operating system said no: {error.strerror}.",
                where=str(error.filename),
                mend="let this user read and write there, or name another place (MALLARD_HOME, --inbox, --out)",
            )
        )
        sys.exit(MallardError.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What is published stays as it was; run the command again to go on.\n")
        sys.exit(130)


def _tell(error: MallardError) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    style = "yellow" if isinstance(error, NothingToDoError) else "red"
    headline, *more = error.summary.split("\n")
    console.print(Text("✗ ", style=f"bold {style}") + Text(headline, style="bold"), soft_wrap=True)
    for line in more:
        console.print(Text(line), soft_wrap=True)
    for label, text in error.parts:
        console.print(Text(f"  {label}: ", style="dim") + Text(text), soft_wrap=True)


if __name__ == "__main__":
    main()
