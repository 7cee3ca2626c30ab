"""Readers poll all the time while versions are published: each answer is one whole version, never an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mallard.settings import Settings
from publishing.versions import current_link, rollback
from tests.publishing import small_shop as shop

READERS = 4
PUBLISHES = 20

# Reads three tables in one connection: all must be of one publish (the k-th has a GMV of k everywhere).
POLL = """
import json, sys, time
import duckdb

link, stop = sys.argv[1], sys.argv[2]
polls, torn, errors, seen = 0, 0, [], set()
print("polling", flush=True)
while True:
    try:
        open(stop).close()
        last = True
    except FileNotFoundError:
        last = False
    try:
        with duckdb.connect(link, read_only=True) as connection:
            mart = connection.execute("select min(gmv), max(gmv) from marts.gmv_daily").fetchall()[0]
            funnel = connection.execute("select min(gmv), max(gmv) from marts.funnel_daily").fetchall()[0]
            fact = connection.execute("select min(gmv), max(gmv) from core.fct_orders").fetchall()[0]
            told = connection.execute("select max(version) from ops.publishes").fetchall()[0][0]
        polls += 1
        figures = {float(value) for pair in (mart, funnel, fact) for value in pair}
        torn += len(figures) != 1 or figures != {float(told)}
        seen |= figures
        # A query takes long, opening does not: a link that is gone for a moment is found by opening often.
        for _ in range(500):
            open(link, "rb").close()
    except Exception as error:
        errors.append(str(error))
    if last:
        break
print(json.dumps({"polls": polls, "torn": torn, "errors": errors[:3], "versions": len(seen)}))
"""


@pytest.mark.slow
def test_polling_readers_see_whole_versions_only(settings: Settings, tmp_path: Path) -> None:
    shop.publish_one(settings, "run1", gmv="1.0000")
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", POLL, str(current_link(settings)), str(stop)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(READERS)
    ]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "polling\n"
    try:
        for number in range(2, PUBLISHES + 1):
            shop.publish_one(settings, f"run{number}", gmv=f"{number}.0000", days=3 + number % 5)
        rollback(settings)
        rollback(settings, PUBLISHES)
    finally:
        stop.touch()
    found = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    assert [reader.returncode for reader in readers] == [0] * READERS
    assert [one["errors"] for one in found] == [[]] * READERS
    assert [one["torn"] for one in found] == [0] * READERS
    assert all(one["polls"] >= PUBLISHES for one in found), "readers were starved"
    assert all(one["versions"] > PUBLISHES / 2 for one in found), "readers did not follow"
