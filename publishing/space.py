"""Is there room? Asked before a large file is written, so that a full disk is a message and not a wreck."""

from __future__ import annotations

import shutil
from pathlib import Path

from mallard.errors import MallardError

# Room for manifests, receipts, reports and logs of the run beside the file itself.
MARGIN_BYTES = 64 * 1024 * 1024


def require_space(folder: Path, needed_bytes: int, purpose: str) -> None:
    """Make sure that ``folder``'s file system can take ``needed_bytes`` more.

    Raises:
        MallardError: it cannot; the message names what is needed and what is free.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    needed = needed_bytes + MARGIN_BYTES
    if free < needed:
        raise no_space(folder, needed, free, purpose)


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
