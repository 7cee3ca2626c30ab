"""What the gate costs beside the load that it judges: ``make bench``.

A simulated shop is landed but for its last day, loaded in full, then the last day on top. Each step runs in a process
of its own, so its start-up counts: Great Expectations takes seconds to import. CPU seconds are the whole process's,
on whatever this machine is; the shares are what to compare.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from mallard.candidate import Candidate

STEPS = ("land", "build", "test", "audit", "publish")


@dataclass(frozen=True)
class Cost:
    """What a step took: CPU seconds of its process and the most memory it held, in MB."""

    cpu: float
    memory: int


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
        print(json.dumps(asdict(_run_step(chosen.step, chosen.folder, chosen.until))))
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
    title = f"{events:,} events of {chosen.users:,} users in {chosen.days} days"
    console.print(show(loads, f"The gate's cost: {title} (CPU seconds)"))
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
    return Cost(**json.loads(_call(command).splitlines()[-1]))


def _call(command: list[str]) -> str:
    """What a process prints; where it fails, what it says ends this one, too."""
    done = subprocess.run(command, check=False, cwd=CHECKOUT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def _run_step(step: str, folder: Path, until: date) -> Cost:
    """One step of a load, in this process."""
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
    return Cost(_cpu() - uncounted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


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
    """The costs of each load by step, and the gate's share: dbt's tests and the audit of all but the bench itself."""
    from rich.table import Table

    table = Table(title=title)
    table.add_column("load")
    for column in (
        "land",
        "build",
        "of it dbt's tests",
        "audit",
        "publish",
        "gate",
        "share",
        "audit's memory",
    ):
        table.add_column(column, justify="right")
    for load, costs in loads.items():
        gate = costs["test"].cpu + costs["audit"].cpu
        whole = sum(cost.cpu for step, cost in costs.items() if step != "test")
        cells = [costs[step].cpu for step in STEPS] + [gate]
        table.add_row(
            load,
            *(f"{cell:,.1f}" for cell in cells),
            f"{gate / whole:.0%}",
            f"{costs['audit'].memory:,} MB",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
