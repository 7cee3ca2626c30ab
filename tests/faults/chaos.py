"""``make chaos``: kill loads again and again, and tell what readers and the next loads made of it."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.rounds import Tally

SHOWN = 5


def main() -> int:
    """Run the rounds in a copy of the checkout.

    Returns:
        0 where readers saw whole versions only and each load after a kill worked by itself, otherwise 1.
    """
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="kills, each with the load after it")
    parser.add_argument("--seed", type=int, default=1, help="the same seed kills at the same places")
    parser.add_argument("--whole", action="store_true", help="all tables instead of a few: ten times slower")
    parser.add_argument("--in-copy", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: at least 1 is needed")
    if arguments.in_copy:
        return run(arguments.rounds, arguments.seed, Path.cwd())
    from tests.faults.small_warehouse import copy_checkout

    with tempfile.TemporaryDirectory(prefix="mallard-chaos-") as folder:
        tree = copy_checkout(Path(folder) / "checkout", whole=arguments.whole)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MALLARD_")
        } | {
            "PYTHONPATH": str(tree),
            # One key for all homes: their hashes are compared.
            "MALLARD_HASH_KEY": "chaos",
            "DO_NOT_TRACK": "1",
            # What is killed cannot give its semaphores back.
            "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
        }
        command = [sys.executable, "-m", "tests.faults.chaos", *sys.argv[1:], "--in-copy"]
        process = subprocess.Popen(command, cwd=tree, env=environment)
        # Ctrl-C ends the rounds; their table still comes.
        signal.signal(signal.SIGINT, lambda *_: None)
        return process.wait()


def run(rounds: int, seed: int, tree: Path) -> int:
    """All rounds, in this process and its forks; results as a table on standard output."""
    from tests.faults.rounds import Rounds

    # A shell that starts this in its background has Ctrl-C's signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    chaos = Rounds(tree.parent, random.Random(seed))
    with _telling(rounds, chaos.tally) as tell:
        chaos.begin()
        tally = chaos.run(rounds, tell)
    show(tally, time.monotonic() - began)
    return 0 if tally.is_good else 1


@contextmanager
def _telling(rounds: int, tally: Tally) -> Iterator[Callable[[str], None]]:
    """A bar where there is a terminal, a line per ten rounds where there is none."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(console=console) as bar:
            task = bar.add_task("the first load", total=rounds)
            yield lambda text: bar.update(task, advance=1, description=text)
        return
    began = time.monotonic()

    def tell(text: str) -> None:
        if tally.rounds % 10 == 0 or tally.rounds == rounds or len(tally.failed_recoveries) > tell.failed:
            tell.failed = len(tally.failed_recoveries)
            print(
                f"{tally.rounds} of {rounds} rounds, {time.monotonic() - began:.0f} s, "
                f"{tell.failed} failed recoveries; last: {text}",
                file=sys.stderr,
                flush=True,
            )

    tell.failed = 0
    print("the first load …", file=sys.stderr, flush=True)
    yield tell


def show(tally: Tally, seconds: float) -> None:
    """The table of results, and what went wrong."""
    from rich.console import Console
    from rich.table import Table

    from tests.faults.dials import DIALS

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    kills = Table("killed at", title=f"{tally.rounds} rounds in {seconds:.0f} s", title_justify="left")
    kills.add_column("times", justify="right")
    steps = list(dict.fromkeys(dial.step for dial in DIALS))
    for step in [*steps, *sorted(tally.kills.keys() - set(steps))]:
        if tally.kills[step]:
            kills.add_row(step, f"{tally.kills[step]}")
    middle = sorted(tally.recovery_seconds)[len(tally.recovery_seconds) // 2]
    found = Table(show_header=False)
    found.add_column()
    found.add_column(justify="right")
    for name, value in (
        ("rounds", f"{tally.rounds:,}"),
        ("answers read", f"{tally.answers:,}"),
        ("times that the link was opened", f"{tally.opens + tally.answers:,}"),
        ("versions seen by the reader", f"{tally.versions:,}"),
        ("the load after a kill, median", f"{middle:.1f} s"),
    ):
        found.add_row(name, value)
    found.add_section()
    for name, problems in (
        ("kills that missed their step", tally.missed),
        ("torn reads", tally.torn),
        ("reader errors", tally.reader_errors),
        ("failed recoveries", tally.failed_recoveries),
    ):
        found.add_row(name, f"[bold {'red' if problems else 'green'}]{len(problems)}[/]")
    console.print(kills)
    console.print(found)
    for problem in [*tally.missed, *tally.torn, *tally.reader_errors, *tally.failed_recoveries][:SHOWN]:
        console.print(problem, style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
