"""Kill loads at chosen steps and at random, while a reader polls: what readers saw, and whether the next load works.

Each load runs in a fork of this process, which has imported everything and parsed the dbt project already: a round
costs seconds, and SIGKILL leaves nothing for the load to tidy up with.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.shops import Shop

STEPS = ("Landing", "Computing the warehouse", "Auditing", "Publishing")
QUESTIONS = {
    "run": "select version from ops.run",
    "gmv_daily": "select count(*), sum(gmv)::varchar, sum(uv)::varchar from marts.gmv_daily",
    "retention": "select count(*), sum(retained)::varchar from marts.retention",
    "customer_rfm": "select count(*), sum(monetary)::varchar from marts.customer_rfm",
    "fct_sessions": "select count(*), sum(page_views)::varchar from core.fct_sessions",
}


@dataclass
class Tally:
    """What happened in all rounds."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    torn: list[str] = field(default_factory=list)
    reader_errors: list[str] = field(default_factory=list)
    failed_recoveries: list[str] = field(default_factory=list)


class PipeProgress:
    """Tells the parent which step has begun."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
        os.write(self.descriptor, f"{name}\n".encode())
        yield lambda text: None

    def say(self, text: str) -> None:
        """Nobody listens."""


def fork_load(settings: Settings, shop: Shop, first, last, *, full_refresh: bool) -> tuple[int, int]:
    """Begin a load in a fork.

    Returns:
        Its process id, and a descriptor from which the names of its steps can be read.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child:
        os.close(writes)
        return child, reads
    code = 1
    try:
        os.close(reads)
        from mallard import pipeline

        pipeline.load(
            settings, first, last, progress=PipeProgress(writes), inbox=shop.inbox, full_refresh=full_refresh
        )
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
        (settings.home / "last_error.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def fork_reader(settings: Settings, seen: Path) -> int:
    """Poll the published file as a BI tool does, a new connection each time; what was seen goes to ``seen``."""
    child = os.fork()
    if child:
        return child
    import duckdb

    link = str(settings.published / "current.duckdb")
    try:
        with seen.open("w", buffering=1) as file:
            while True:
                try:
                    with duckdb.connect(link, read_only=True) as connection:
                        answer = {
                            name: [str(part) for part in connection.execute(sql).fetchone()]
                            for name, sql in QUESTIONS.items()
                        }
                    file.write(json.dumps(answer) + "\n")
                except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is counted
                    file.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
                time.sleep(0.02)
    finally:
        os._exit(0)


def kill_at(child: int, reads: int, step: str, delay: float) -> str:
    """Wait until the load has begun the step, wait a little, kill it.

    Returns:
        The last step that it had begun; ``ended`` where it was over before.
    """
    last = "start"
    with os.fdopen(reads) as steps:
        for line in steps:
            last = line.strip()
            if last == step:
                break
        else:
            os.waitpid(child, 0)
            return "ended"
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return last


def run_rounds(settings: Settings, shop: Shop, plan: list[tuple[str, float]], tally: Tally) -> Tally:
    """One kill and one undisturbed load per entry of ``plan``, a step and how long after its beginning to kill.

    The shop's first days are published already.
    """
    seen = settings.home / "seen.jsonl"
    reader = fork_reader(settings, seen)
    try:
        for step, delay in plan:
            tally.rounds += 1
            child, reads = fork_load(settings, shop, None, None, full_refresh=True)
            tally.kills[kill_at(child, reads, step, delay)] += 1
            child, reads = fork_load(settings, shop, None, None, full_refresh=True)
            with os.fdopen(reads) as steps:
                steps.read()
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status):
                tally.failed_recoveries.append((settings.home / "last_error.txt").read_text())
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)
    judge(seen, tally)
    return tally


def judge(seen: Path, tally: Tally) -> None:
    """Every answer is of one version: all that a version was ever seen to say is the same."""
    known: dict[str, dict] = {}
    last = 0
    for line in seen.read_text().splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # the reader was killed while it wrote
        tally.answers += 1
        if "error" in answer:
            tally.reader_errors.append(answer["error"])
            continue
        version = answer["run"][0]
        if known.setdefault(version, answer) != answer:
            tally.torn.append(f"version {version}: {known[version]} and {answer}")
        if int(version) < last:
            tally.torn.append(f"version {version} after {last}")
        last = int(version)


def random_plan(rounds: int, seed: int) -> list[tuple[str, float]]:
    """Each step in turn, at a random moment of it."""
    dice = random.Random(seed)
    longest = {"Landing": 0.4, "Computing the warehouse": 7.0, "Auditing": 3.0, "Publishing": 0.6}
    return [
        (STEPS[number % len(STEPS)], dice.uniform(0, longest[STEPS[number % len(STEPS)]]))
        for number in range(rounds)
    ]
