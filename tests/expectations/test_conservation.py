"""The suite that counts a second time what was landed: what it reads off manifests is what the files hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from expectations.registry import read_suites
from tests.expectations.conftest import Built

(PREPARE,) = [suite.prepare for suite in read_suites() if suite.name == "conservation"]


def test_events_counted_by_manifests_are_those_before_the_limit(built: Built, tmp_path: Path) -> None:
    """Wherever the last day ends: before all deliveries, within one, after all of them."""
    path = tmp_path / "candidate.duckdb"
    shutil.copy(built.candidate.path, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        # As with an event that came late in each delivery: its first day says nothing of where it ends.
        connection.execute("update ops.load_audit set first_day = first_day - 3")
        limits = connection.execute(
            """
            select distinct time_bucket(interval 7 hours, event_at) as instant
            from landing.clickstream__events
            union
            select max(event_at) + interval 1 day from landing.clickstream__events
            order by instant
            """
        ).fetchall()
        counted, found = [], []
        for (limit,) in limits:
            connection.execute("update ops.run set as_of_end = ?", [limit])
            connection.execute(PREPARE)
            counted += connection.execute("select landed from gate_events").fetchall()
            found += connection.execute(
                "select count(*) from landing.clickstream__events where event_at < ?", [limit]
            ).fetchall()
    assert counted == found
    assert len(set(found)) > 9, "the limits lie within the deliveries, too"
