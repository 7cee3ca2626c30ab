"""Work and memory grow with what is simulated only where they must."""

from __future__ import annotations

import sys

import numpy as np

from simulator.arrays import NONE
from simulator.outbox import Outbox
from simulator.shop import simulate


def python_calls(tmp_path, users: int) -> int:
    """How many Python functions a simulation calls, whatever they take."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        simulate(tmp_path / str(users), days=3, users=users, seed=1, format="parquet", products=50)
    finally:
        sys.setprofile(None)
    return calls


def test_no_python_runs_per_user_or_event(tmp_path):
    python_calls(tmp_path, 50)  # imports
    few, many = python_calls(tmp_path, 100), python_calls(tmp_path, 5_000)
    assert many < few * 1.5


def test_a_big_day_is_made_in_parts(tmp_path, monkeypatch):
    """The same people come, and all that is true stays true, if memory allows for a few at a time only."""
    from simulator import traffic

    monkeypatch.setattr(traffic, "_CHUNK", 40)
    most = 0
    count = np.argsort

    def watch(values, *arguments, **options):
        nonlocal most
        most = max(most, len(values))
        return count(values, *arguments, **options)

    monkeypatch.setattr("simulator.shop.np.argsort", watch)
    report = simulate(tmp_path, days=3, users=600, seed=1, format="parquet")
    assert report.events > 3_000
    assert most < 2_000


def test_the_outbox_holds_only_what_is_to_come():
    outbox = Outbox(3)
    outbox.put("orders", np.array([0, 2, 1, 2, 9]), {"order": np.arange(5)})
    assert [part["order"].tolist() for part in outbox.collect("orders", 0)] == [[0]]
    assert outbox.collect("orders", 0) == []
    assert [part["order"].tolist() for part in outbox.collect("orders", 2)] == [[1, 3]]
    assert [part["order"].tolist() for part in outbox.collect("orders", 1)] == [[2]]
    assert outbox.collect("orders", 9) == []
    assert NONE == -1
