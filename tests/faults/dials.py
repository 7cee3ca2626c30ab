"""Where a load is killed: right before, right after or during a step, or when so much time has passed.

A dial is set in the process of the load only, by wrapping the function that takes the step; the code itself knows
nothing of it.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Moment = Literal["before", "after", "during"]


@dataclass(frozen=True)
class Dial:
    """Kill at the ``call``-th call of a function; ``step`` is what the table of results calls it.

    ``delay`` is how many seconds after the step's beginning a kill ``during`` it happens. ``compacts`` lets the
    publish compact the file, whatever it wastes.
    """

    step: str
    module: str
    function: str
    moment: Moment
    call: int = 1
    delay: float = 0.0
    compacts: bool = False

    def __str__(self) -> str:
        return f"{self.moment} {self.module}.{self.function}" + (f" #{self.call}" if self.call > 1 else "")


def _both(step: str, module: str, function: str, call: int = 1) -> list[Dial]:
    return [Dial(step, module, function, "before", call), Dial(step, module, function, "after", call)]


# In the order of a load. Functions are named where they are looked up.
DIALS: tuple[Dial, ...] = (
    Dial("list the source", "ingestion.deliveries", "plan", "after"),
    *_both("read the source", "ingestion.writer", "content_hash"),
    Dial("read the source", "ingestion.writer", "open_delivery", "after"),
    Dial("read the source", "ingestion.writer", "Writer._count", "after"),
    *_both("write the landing file", "ingestion.writer", "Writer._copy"),
    # The draft is on disk and not renamed; then the file is there and no manifest.
    Dial("write the landing file", "ingestion.manifest", "sync", "after", 1),
    Dial("write the landing file", "ingestion.manifest", "sync", "after", 2),
    *_both("write the manifest", "ingestion.writer", "write_manifest"),
    Dial("write the manifest", "ingestion.manifest", "sync", "after", 3),
    Dial("begin the candidate", "mallard.build", "_start_file", "after"),
    Dial("begin the candidate", "mallard.prepare", "_write_load_audit", "after"),
    *_both("begin the candidate", "mallard.build", "prepare"),
    *[Dial("dbt", "tests.faults.rounds", "on_node", "after", call) for call in (1, 5, 12, 20, 28)],
    Dial("dbt", "mallard.build", "run_dbt", "during", delay=1.0),
    Dial("dbt", "mallard.build", "run_dbt", "after"),
    Dial("the candidate's note", "mallard.candidate", "Candidate.save", "after"),
    Dial("audit", "expectations.gate", "measure_scans", "after"),
    Dial("audit", "expectations.gate", "measure_suite", "after", 3),
    Dial("audit", "expectations.gate", "dbt_results", "before"),
    Dial("audit", "expectations.gate", "measure_tables", "after"),
    Dial("the receipt", "expectations.gate", "write_durably", "before"),
    Dial("the receipt", "expectations.gate", "write_durably", "after"),
    Dial("the gate's report", "expectations.verdict", "write_report", "before"),
    Dial("the gate's report", "expectations.judge", "Judge.write_data_docs", "during", delay=0.2),
    *_both("finish", "publishing.versions", "finish"),
    Dial("finish", "publishing.finish", "_drop_scaffolding", "after"),
    Dial("finish", "publishing.finish", "write_ops_tables", "after"),
    Dial("finish", "publishing.finish", "verify", "before"),
    Dial("finish", "publishing.finish", "fsync_file", "before"),
    Dial("compact", "publishing.finish", "compact", "before", compacts=True),
    Dial("compact", "publishing.finish", "compact", "during", delay=0.05, compacts=True),
    Dial("compact", "publishing.finish", "compact", "after", compacts=True),
    Dial("record the publish", "publishing.records", "store_record", "before"),
    Dial("before the rename", "publishing.records", "store_record", "after"),
    Dial("after the rename", "publishing.versions", "swap_link", "before"),
    # Before: a swap that takes the link away to make it anew would leave none.
    *_both("before the link's swap", "pathlib", "Path.symlink_to"),
    Dial("after the link's swap", "publishing.versions", "swap_link", "after"),
    Dial("the record's last word", "publishing.records", "change_state", "before"),
    Dial("the record's last word", "publishing.records", "change_state", "after"),
    *_both("remove old versions", "publishing.versions", "collect_garbage"),
    Dial("remove old landing files", "ingestion.landing", "collect_garbage", "before"),
)
AT_RANDOM = "at random"


def set_dial(dial: Dial, act: Callable[[], None] | None = None) -> None:
    """Have this process killed where the dial says, or have something else happen there."""
    act = act or die
    if dial.compacts:
        importlib.import_module("publishing.finish").COMPACTED_FROM = -1.0  # type: ignore[attr-defined]
    owner: object = importlib.import_module(dial.module)
    *classes, name = dial.function.split(".")
    for part in classes:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def deadly(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        is_it = calls == dial.call
        if is_it and dial.moment == "before":
            act()
        if is_it and dial.moment == "during":
            die_later(dial.delay)
        result = original(*arguments, **named)
        if is_it and dial.moment == "after":
            act()
        return result

    setattr(owner, name, deadly)


def die() -> None:
    """End without a last word."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def die_later(delay: float) -> None:
    """End so many seconds from now, whatever is going on then."""
    timer = threading.Timer(delay, die)
    timer.daemon = True
    timer.start()


def make_plan(rounds: int, dice: random.Random) -> list[Dial]:
    """One dial per round: each step once before any comes twice, every fifth round at a random moment.

    A dial of a random moment has no function; its ``delay`` is the share of a load's usual time.
    """
    plan: list[Dial] = []
    steps: list[Dial] = []
    while len(plan) < rounds:
        if len(plan) % 5 == 4:
            plan.append(Dial(AT_RANDOM, "", "", "during", delay=dice.random()))
            continue
        if not steps:
            steps = _spread(dice)
        dial = steps.pop()
        plan.append(replace(dial, delay=dice.uniform(0, 2 * dial.delay)))
    return plan


def _spread(dice: random.Random) -> list[Dial]:
    """All dials in a random order in which the first ones are of different steps, so that few rounds hit many."""
    by_step: dict[str, list[Dial]] = {}
    for dial in dice.sample(DIALS, len(DIALS)):
        by_step.setdefault(dial.step, []).append(dial)
    ordered: list[Dial] = []
    while any(by_step.values()):
        layer = [dials.pop() for dials in by_step.values() if dials]
        ordered += dice.sample(layer, len(layer))
    return ordered[::-1]
