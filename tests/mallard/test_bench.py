"""The table of `make bench`: what counts as the gate's share of a load."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks.gate_cost import Cost, show


def test_share_is_tests_and_audit_of_the_whole_load() -> None:
    costs = {"land": 10.0, "build": 60.0, "test": 8.0, "audit": 20.0, "publish": 10.0}
    loads = {"full": {step: Cost(cpu, memory=300) for step, cpu in costs.items()}}
    shown = io.StringIO()
    console = Console(width=200, file=shown)
    console.print(show(loads, "title"))
    row = next(line for line in shown.getvalue().splitlines() if "full" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    # dbt's tests are part of the build: counted once in the whole.
    assert cells == ["full", "10.0", "60.0", "8.0", "20.0", "10.0", "28.0", "28%", "300 MB"]
