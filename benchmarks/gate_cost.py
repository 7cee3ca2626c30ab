"""What the gate costs beside the load that it judges: ``make bench``.

A simulated shop is landed but for its last day, loaded in full, then the last day on top. Each step runs in a process
of its own, so its start-up counts: Great Expectations takes seconds to import. CPU seconds are the whole process's.
On a machine that is shared they grow with what its other tenants do: a fixed loop, timed in short pauses of each step,
says by how much.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean
from threading import Event, Thread
from typing import TYPE_CHECKING

from mallard.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from mallard.candidate import Candidate

STEPS = ("land", "build", "test", "audit", "publish")


@dataclass(frozen=True)
class Cost:
    """What a step took: CPU seconds of its process and the most memory it held, in MB.

    ``loop`` and ``fastest_loop`` are the CPU seconds of a fixed loop in its pauses, on average and at best.
    """

    cpu: float
    memory: int
    loop: float
    fastest_loop: float


def main(arguments: list[str] | None = None) -> int:
    """Simulate, load in full and by day, and show the table."""
    from rich.console import Console

    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=date.fromisoformat, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.step:
        print(json.dumps(_run_step(chosen.step, chosen.folder, chosen.until)))
        return 0
    if chosen.days < 2:
        parser.error(f"--days: expected 2 or more (all but the last, then the last), found {chosen.days}")
    console = Console()
    with tempfile.TemporaryDirectory(prefix="mallard-bench-") as temporary:
        folder = Path(temporary)
        with console.status(f"Simulating {chosen.days} days of {chosen.users:,} users"):
            events, last_day = _simulate(folder, chosen.days, chosen.users, chosen.seed)
        loads: dict[str, dict[str, Cost]] = {}
        for load, until in (("full", last_day - timedelta(days=1)), ("daily", last_day)):
            loads[load] = {}
            for step in STEPS:
                with console.status(f"{load} load: {step}"):
                    loads[load][step] = _measure(step, folder, until)
    console.print(
        show(loads, f"{events:,} events of {chosen.users:,} users, {chosen.days} days: CPU seconds")
    )
    return 0


def _simulate(folder: Path, days: int, users: int, seed: int) -> tuple[int, date]:
    """Write an inbox; how many events it holds and its last delivery day."""
    import duckdb

    command = [sys.executable, "-m", "mallard.cli", "simulate", "--format", "parquet"]
    command += ["--out", str(folder / "inbox")]
    command += ["--days", str(days), "--users", str(users), "--seed", str(seed)]
    _call(command)
    files = sorted((folder / "inbox" / "clickstream" / "events").glob("*.parquet"))
    row = duckdb.sql(f"select count(*) from read_parquet({[str(file) for file in files]})").fetchone()
    return int(row[0]) if row else 0, date.fromisoformat(files[-1].stem)


def _measure(step: str, folder: Path, until: date) -> Cost:
    command = [sys.executable, "-m", "benchmarks.gate_cost", "--step", step]
    command += ["--folder", str(folder), "--until", until.isoformat()]
    printed, loops = _call(command)
    return Cost(**json.loads(printed.splitlines()[-1]), loop=fmean(loops), fastest_loop=min(loops))


def _call(command: list[str]) -> tuple[str, list[float]]:
    """Run a program with its arguments; where it fails, what it says ends this one, too.

    Returns:
        What it prints, and the CPU seconds of a fixed loop, timed every 50 ms while it stands still.
    """
    pipe = subprocess.PIPE
    loops: list[float] = []
    ended = Event()
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=pipe, stderr=pipe, text=True) as process:
        sampler = Thread(target=_time_loops, args=(process, loops, ended), daemon=True)
        sampler.start()
        printed, said = process.communicate()
        ended.set()
        sampler.join()
    if process.returncode:
        sys.exit(said.strip() or f"{' '.join(command)} ended with {process.returncode}")
    return printed, loops


def _time_loops(process: subprocess.Popen[str], loops: list[float], ended: Event) -> None:
    while not loops or not ended.wait(0.05):
        # Two cores may be two threads of one: beside a process that computes, the loop would time that process.
        process.send_signal(signal.SIGSTOP)
        try:
            # The first comes out of a sleep and is slower than the work of a process that was awake.
            for _ in range(3):
                began = time.thread_time()
                for _ in range(50_000):
                    pass
                took = time.thread_time() - began
            loops.append(took)
        finally:
            process.send_signal(signal.SIGCONT)


def _run_step(step: str, folder: Path, until: date) -> dict[str, float]:
    """One step of a load, in this process: its CPU seconds and memory."""
    from mallard import pipeline
    from mallard.airflow.handover import take_receipt
    from mallard.candidate import Candidate
    from mallard.progress import LogProgress

    settings, progress = Settings(home=folder / "home"), LogProgress()
    uncounted = 0.0
    if step == "land":
        pipeline.ingest(settings, None, None, until, progress=progress, inbox=folder / "inbox")
    elif step == "build":
        pipeline.build(settings, progress)
    elif step == "test":
        uncounted = _run_tests(settings, Candidate.load(settings))
    elif step == "audit":
        pipeline.audit(settings, Candidate.load(settings), progress)
    else:
        candidate = Candidate.load(settings)
        pipeline.publish(settings, candidate, take_receipt(settings, candidate.run_id), progress)
    return {"cpu": _cpu() - uncounted, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def _run_tests(settings: Settings, candidate: Candidate) -> float:
    """Run the tests that the build has run once more, by themselves.

    Returns:
        CPU seconds that are not theirs: what dbt takes to start, the build has paid. A run of one test tells it.
    """
    from mallard.dbt_run import invoke_dbt
    from mallard.pipeline import shop_settings

    settings = shop_settings(settings)
    target = settings.work / "bench"
    tests = ["test", "--exclude-resource-type", "unit_test"]

    def run(*selected: str) -> float:
        began = _cpu()
        invoke_dbt(settings, candidate.path, target, [*tests, *selected], lambda _: None)
        return _cpu() - began

    run("--select", "keys_of_gmv_daily")
    start_up = run("--select", "keys_of_gmv_daily")
    before = _cpu()
    run()
    return before + start_up


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def show(loads: dict[str, dict[str, Cost]], title: str) -> Table:
    """The costs of each load by step, and the gate's: dbt's tests and the audit.

    The share is of all but the bench itself. "Undisturbed" divides each of the two by how much longer than at its best
    the loop in its pauses took: an estimate, for a program of known cost it came out 5 to 27 % too low.
    """
    from rich.table import Table

    fastest = min(cost.fastest_loop for costs in loads.values() for cost in costs.values())
    columns = [_cells(costs, fastest) for costs in loads.values()]
    table = Table(title=title)
    table.add_column()
    for load in loads:
        table.add_column(f"{load} load", justify="right")
    for row in columns[0]:
        table.add_row(row, *(cells[row] for cells in columns))
    return table


def _cells(costs: dict[str, Cost], fastest_loop: float) -> dict[str, str]:
    gate = [costs["test"], costs["audit"]]
    total = sum(cost.cpu for cost in gate)
    whole = sum(cost.cpu for step, cost in costs.items() if step != "test")
    undisturbed = sum(cost.cpu * fastest_loop / cost.loop for cost in gate)
    return {
        "land": f"{costs['land'].cpu:,.1f}",
        "build": f"{costs['build'].cpu:,.1f}",
        "  of it dbt's tests": f"{costs['test'].cpu:,.1f}",
        "audit": f"{costs['audit'].cpu:,.1f}",
        "publish": f"{costs['publish'].cpu:,.1f}",
        "the gate: tests and audit": f"{total:,.1f}",
        "  its share of the load": f"{total / whole:.0%}",
        "  a loop in its pauses took": f"{total / undisturbed:.1f} × its best",
        "  undisturbed, roughly": f"{undisturbed:,.1f}",
        "  memory of the audit": f"{costs['audit'].memory:,} MB",
    }


if __name__ == "__main__":
    sys.exit(main())
