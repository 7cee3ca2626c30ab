"""The table of `make bench`: what counts as the gate's share of a load."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks.gate_cost import Cost, show


def test_share_is_tests_and_audit_of_the_whole_load() -> None:
    costs = {"land": 10.0, "build": 60.0, "test": 8.0, "audit": 20.0, "publish": 10.0}
    # A loop takes 2 ms at best, in the landing; in the pauses of the tests twice that, of the audit 2.5 times.
    loops = {"land": 0.002, "build": 0.003, "test": 0.004, "audit": 0.005, "publish": 0.003}
    loads = {
        "full": {
            step: Cost(cpu, memory=300, loop=loops[step], fastest_loop=max(0.002, loops[step] / 2))
            for step, cpu in costs.items()
        }
    }
    shown = io.StringIO()
    console = Console(width=200, file=shown)
    console.print(show(loads, "title"))
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in shown.getvalue().splitlines()
        if "│" in line
    ]
    # dbt's tests are part of the build: counted once in the whole. Undisturbed: 8 / 2 + 20 / 2.5.
    assert rows == [
        ["land", "10.0"],
        ["build", "60.0"],
        ["of it dbt's tests", "8.0"],
        ["audit", "20.0"],
        ["publish", "10.0"],
        ["the gate: tests and audit", "28.0"],
        ["its share of the load", "28%"],
        ["a loop in its pauses took", "2.3 × its best"],
        ["undisturbed, roughly", "12.0"],
        ["memory of the audit", "300 MB"],
    ]
