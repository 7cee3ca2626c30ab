"""One writer at a time; a dead one keeps nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mallard.errors import BusyError
from mallard.settings import Settings
from publishing.lock import link_lock, read_holder, writer_lock

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


def test_unreadable_lock_text_is_no_hindrance(settings: Settings) -> None:
    path: Path = settings.locks / "warehouse.lock"
    path.parent.mkdir(parents=True)
    path.write_text("{not json")
    with writer_lock(settings):
        pass
