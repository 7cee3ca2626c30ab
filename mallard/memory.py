"""How much memory a process may take: what a container or a limit leaves it, not what the machine has."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

_CONTROL_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available_bytes() -> int:
    """The smallest of the machine's memory, this process's limit and that of its control group."""
    most = [
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        resource.getrlimit(resource.RLIMIT_AS)[0],
    ]
    for path in _CONTROL_GROUPS:
        with contextlib.suppress(OSError, ValueError):
            most.append(int(path.read_text()))
    return min(limit for limit in most if limit > 0)


def database_limit() -> str:
    """What DuckDB may take, as it reads it: MALLARD_MEMORY_LIMIT, else six tenths of what there is.

    What does not fit in there, it spills to disk.
    """
    return os.environ.get("MALLARD_MEMORY_LIMIT") or f"{max(512, available_bytes() * 6 // 10 >> 20)}MiB"
