"""One writer at a time, by a lock that a dead run does not keep.

The lock is ``flock``'s: the kernel frees it when its process ends, however it ends. The text in the file is
for people only (who holds it, since when); whether it is held is never decided by reading it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from mallard.errors import BusyError
from mallard.settings import Settings

POLL_SECONDS = 0.1

# Locks that a thread of this process holds: a publish inside a load must not wait for its own load.
_held: set[tuple[Path, int, int]] = set()


class Holder(TypedDict):
    """Who holds a lock, as written in its file."""

    pid: int
    host: str
    since: str
    what: str


@contextlib.contextmanager
def writer_lock(settings: Settings, wait_seconds: float = 0, *, what: str = "a load") -> Iterator[None]:
    """Be the only writer of the warehouse while the context is open.

    Entering it again in the same thread is allowed and changes nothing.

    Args:
        wait_seconds: how long to wait for another run to end.
        what: what this run does, for the message that another run gets.

    Raises:
        BusyError: another run still holds the lock after ``wait_seconds``.
    """
    with exclusive(settings.locks / "warehouse.lock", wait_seconds, what=what):
        yield


@contextlib.contextmanager
def link_lock(settings: Settings) -> Iterator[None]:
    """Hold the published link still: for the milliseconds of a swap, a rollback or a clean-up.

    Apart from the writer's lock, so that a rollback never waits for a load that runs.
    """
    with exclusive(settings.locks / "link.lock", 30, what="a publish or a rollback"):
        yield


@contextlib.contextmanager
def exclusive(path: Path, wait_seconds: float, *, what: str) -> Iterator[None]:
    """Hold the lock file at ``path``; see ``writer_lock``."""
    token = (path.resolve(), os.getpid(), threading.get_ident())
    if token in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened, never replaced or removed: two processes that lock different files under one name would both
    # believe that they hold it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, wait_seconds, what)
        _held.add(token)
        try:
            yield
        finally:
            _held.discard(token)
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_seconds: float, what: str) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _busy(path, wait_seconds) from None
            time.sleep(POLL_SECONDS)
        else:
            break
    holder: Holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": what,
    }
    # A full disk must not stop a rollback: the text is a courtesy.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last; None where nobody did or the text cannot be read."""
    try:
        found = json.loads(path.read_text())
        return Holder(pid=found["pid"], host=found["host"], since=found["since"], what=found["what"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _busy(path: Path, wait_seconds: float) -> BusyError:
    holder = read_holder(path)
    who = "another process"
    if holder:
        who = f"{holder['what']}: process {holder['pid']} on {holder['host']}, since {holder['since']}"
    waited = f" after waiting {wait_seconds:g} s" if wait_seconds else ""
    return BusyError(
        f"Another run is writing this warehouse{waited}.",
        where=str(path),
        expected="no other writer",
        found=who,
        mend="wait until it ends and run this again; a run that died keeps no lock, so nothing needs removing",
    )
