"""A publish that is killed between any two steps: readers see N or N+1, and the next load succeeds."""

from __future__ import annotations

import importlib
import os
import signal
import time

import duckdb
import pytest

from mallard.settings import Settings
from publishing import records
from publishing.versions import current_link, current_version, list_publishes, recover
from tests.publishing import small_shop as shop


def publish_and_die(settings: Settings, module_name: str, function_name: str, moment: str, call: int) -> int:
    """Publish a GMV of 200 in a process of its own, killed right before or right after a step; returns how it ended."""
    # Forked: the libraries are loaded already. No connection of DuckDB is open here.
    child = os.fork()
    if child == 0:
        try:
            owner = importlib.import_module(module_name)
            *classes, name = function_name.split(".")
            for part in classes:
                owner = getattr(owner, part)
            original = getattr(owner, name)
            calls = 0

            def dying(*arguments: object, **named: object) -> object:
                nonlocal calls
                calls += 1
                if calls == call and moment == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                result = original(*arguments, **named)
                if calls == call and moment == "after":
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            setattr(owner, name, dying)
            shop.publish_one(settings, "dying", gmv="200.0000")
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


STEPS = [
    ("publishing.versions", "finish", 1),
    ("publishing.finish", "write_ops_tables", 1),
    ("publishing.finish", "verify", 1),
    ("publishing.finish", "fsync_file", 1),
    # The record of the publish to be, then the rename, then the link, then the record of the publish.
    ("publishing.records", "store_record", 1),
    ("publishing.records", "fsync_folder", 2),
    ("publishing.versions", "swap_link", 1),
    ("pathlib", "Path.symlink_to", 1),
    ("publishing.records", "store_record", 2),
    ("publishing.versions", "collect_garbage", 1),
]


def read_gmv(settings: Settings) -> float:
    with duckdb.connect(str(current_link(settings)), read_only=True) as connection:
        return float(connection.execute("select max(gmv) from marts.gmv_daily").fetchall()[0][0])


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("module", "function", "call"), STEPS)
def test_killed_publish_leaves_a_whole_version(
    settings: Settings, module: str, function: str, call: int, moment: str
) -> None:
    shop.publish_one(settings, "n", gmv="100.0000")
    ended = publish_and_die(settings, module, function, moment, call)
    assert ended == -signal.SIGKILL, "the step did not happen"
    has_swapped = (function, moment) in {
        ("swap_link", "after"),
        ("collect_garbage", "before"),
        ("collect_garbage", "after"),
    } or (function == "store_record" and call == 2)
    assert read_gmv(settings) == (200.0 if has_swapped else 100.0)
    live = current_version(settings)
    assert live is not None
    assert live.version == (2 if has_swapped else 1)

    recover(settings, lambda text: None)
    assert not [one for one in records.read_records(settings) if one.state == "publishing"]
    assert not list(settings.published.glob(".*")), "a draft of the link is left behind"
    following = shop.publish_one(settings, "next", gmv="300.0000", days=4)
    assert read_gmv(settings) == 300.0
    assert list_publishes(settings)[-1].is_live
    files = sorted(int(path.stem[-6:]) for path in settings.published.glob("warehouse-*"))
    assert files == ([1, 2, following.version] if has_swapped else [1, following.version])
    with duckdb.connect(str(current_link(settings)), read_only=True) as connection:
        runs = [
            run
            for (run,) in connection.execute("select run_id from ops.publishes order by version").fetchall()
        ]
    assert runs == (["n", "dying", "next"] if has_swapped else ["n", "next"])


def test_publish_that_is_tried_again_after_a_crash_succeeds(settings: Settings) -> None:
    """A scheduler retries the task: the candidate is still there, half finished."""
    from publishing import finish as finishing
    from publishing.versions import publish

    shop.publish_one(settings, "n")
    candidate = shop.make_candidate(settings, "n1", gmv="200.0000")
    receipt = shop.make_receipt(candidate)
    original = finishing.verify
    finishing.verify = lambda *_, **__: (_ for _ in ()).throw(RuntimeError("the machine stumbled"))
    try:
        with pytest.raises(RuntimeError):
            publish(settings, candidate, receipt)
    finally:
        finishing.verify = original
    assert read_gmv(settings) == 100.0
    assert publish(settings, candidate, receipt).version == 2
    assert read_gmv(settings) == 200.0


def test_what_a_killed_write_leaves_goes_once_it_is_old(settings: Settings) -> None:
    shop.publish_one(settings, "n")
    settings.reports.mkdir(exist_ok=True)
    for folder in (records.receipts_folder(settings), settings.work, settings.reports):
        child = os.fork()
        if child == 0:
            os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
            records.write_durably(folder / "half.json", "{}")
        os.waitpid(child, 0)
        [left] = folder.glob(".half*")
        recover(settings, lambda text: None)
        assert left.exists(), "somebody may be writing it"
        an_hour_ago = time.time() - 3601
        os.utime(left, (an_hour_ago, an_hour_ago))
        recover(settings, lambda text: None)
        assert not left.exists()
    assert len(records.read_records(settings)) == 1
