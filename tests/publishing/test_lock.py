"""One writer at a time; a dead one keeps nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mallard import pipeline
from mallard.errors import BusyError
from mallard.settings import Settings
from publishing.lock import link_lock, read_holder, writer_lock
from publishing.versions import publish

# A candidate and its receipt that nobody may look at.
NOTHING: tuple[Any, Any] = (None, None)
HOLD = """
import sys, time
from pathlib import Path
from mallard.settings import Settings
from publishing.lock import writer_lock
with writer_lock(Settings(home=Path(sys.argv[1])), what="a long load"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold(settings: Settings, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.home), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_second_writer_is_told_who_holds_the_lock(settings: Settings) -> None:
    process = hold(settings, 60)
    try:
        with pytest.raises(BusyError) as refusal, writer_lock(settings):
            pytest.fail("two writers at once")
        assert refusal.value.exit_code == 5
        assert "a long load" in refusal.value.found
        assert str(process.pid) in refusal.value.found
        assert str(settings.locks) in refusal.value.where
    finally:
        process.kill()
        process.wait()


def test_lock_of_a_killed_run_is_free_at_once(settings: Settings) -> None:
    process = hold(settings, 60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_holder(settings.locks / "warehouse.lock") is not None, "the text stays, the lock does not"
    with writer_lock(settings):
        pass


def test_second_writer_waits_if_asked_to(settings: Settings) -> None:
    process = hold(settings, 1.0)
    began = time.monotonic()
    with writer_lock(settings, wait_seconds=30):
        assert time.monotonic() - began > 0.2
    process.wait()


def test_publish_inside_a_load_enters_its_own_lock(settings: Settings) -> None:
    with writer_lock(settings), writer_lock(settings), link_lock(settings):
        holder = read_holder(settings.locks / "warehouse.lock")
        assert holder is not None
        assert holder["pid"] == os.getpid()
    with writer_lock(settings):
        pass


def test_another_thread_is_another_writer(settings: Settings) -> None:
    found: list[str] = []

    def write() -> None:
        try:
            with writer_lock(settings):
                found.append("entered")
        except BusyError:
            found.append("busy")

    with writer_lock(settings):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert found == ["busy"]


class NobodyHears:
    """A progress that nothing may be told: what is busy has not begun."""

    def say(self, text: str) -> None:
        pytest.fail(f"it has begun: {text}")

    def stage(self, name: str, total: int | None = None) -> NoReturn:
        pytest.fail(f"it has begun: {name}")


@pytest.mark.parametrize(
    "step",
    [
        lambda settings: pipeline.load(settings, progress=NobodyHears()),
        lambda settings: pipeline.replay(settings, [], progress=NobodyHears(), publishes=False),
        lambda settings: pipeline.build(settings, NobodyHears()),
        lambda settings: pipeline.publish(settings, *NOTHING, NobodyHears()),
        lambda settings: pipeline.publish_waiting(settings, [], "", "", NobodyHears()),
        lambda settings: publish(settings, *NOTHING),
    ],
    ids=["load", "replay", "build", "publish", "publish what waits", "publish alone"],
)
def test_each_step_that_writes_takes_the_lock_before_anything(
    settings: Settings, step: Callable[[Settings], object]
) -> None:
    with writer_lock(settings), ThreadPoolExecutor(1) as another, pytest.raises(BusyError):
        another.submit(step, settings).result()
    assert {path.name for path in settings.home.iterdir()} == {settings.locks.name}


def test_unreadable_lock_text_is_no_hindrance(settings: Settings) -> None:
    path: Path = settings.locks / "warehouse.lock"
    path.parent.mkdir(parents=True)
    path.write_text("{not json")
    with writer_lock(settings):
        pass
