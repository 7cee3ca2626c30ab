"""Is there room? Asked before a large file is written, so that a full disk is a message and not a wreck."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from mallard.errors import MallardError

# Room for manifests, receipts, reports and logs of the run beside the file itself.
MARGIN_BYTES = 64 * 1024 * 1024
# A disk with less than this is full, whatever an error on it says: one failed write leads to errors of other kinds.
FULL_BYTES = 1024 * 1024


def require_space(folder: Path, needed_bytes: int, purpose: str) -> None:
    """Make sure that ``folder``'s file system can take ``needed_bytes`` more.

    Raises:
        MallardError: it cannot; the message names what is needed and what is free.
    """
    free = free_bytes(folder)
    needed = needed_bytes + MARGIN_BYTES
    if free < needed:
        raise no_space(folder, needed, free, purpose)


def is_full(folder: Path, error: object) -> bool:
    """Whether a full disk explains an error, an exception or its text, of work in ``folder``."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return True
    # DuckDB has no kind of its own for a full disk, and dbt passes on texts only.
    return "No space left" in str(error) or free_bytes(folder) < FULL_BYTES


@contextlib.contextmanager
def told_if_full(folder: Path, purpose: str) -> Iterator[None]:
    """Turn what a full disk raises in the context into an error that says so.

    Raises:
        MallardError: the disk of ``folder`` was full; other errors pass as they are.
    """
    try:
        yield
    except MallardError:
        raise
    except Exception as error:
        if not is_full(folder, error):
            raise
        raise no_room_left(folder, purpose) from error


def no_room_left(folder: Path, purpose: str) -> MallardError:
    """The error for a disk that became full during work in ``folder``: what lies there is needed once more."""
    size = sum(path.stat().st_size for path in folder.glob("*.duckdb"))
    return no_space(folder, size + MARGIN_BYTES, free_bytes(folder), purpose)


def free_bytes(folder: Path) -> int:
    """How much room there is where ``folder`` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def no_space(folder: Path, needed: int, free: int, purpose: str) -> MallardError:
    """The error for a disk that is full, or that would be."""
    return MallardError(
        f"There is not enough disk space for {purpose}; the published version is untouched.",
        where=str(folder),
        expected=f"at least {human_bytes(needed)} free",
        found=f"{human_bytes(free)} free",
        mend="make room on that disk (old reports, other files), or move MALLARD_HOME to a larger one,"
        " and run this again",
    )


def human_bytes(count: int) -> str:
    """A byte count as a person says it: ``1.4 GB``."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
