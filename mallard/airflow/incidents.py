"""Incidents that outlive a run: a feed that does not come for a week is one alert, not seven.

An incident is a file under ``MALLARD_HOME/work/incidents``: made when it is told, removed when it is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mallard.settings import Settings


def open_incident(settings: Settings, name: str, day: str) -> str:
    """Note that an incident began on ``day``; the days after join it.

    Returns:
        Empty where it is new and is to be told; else the day since which it is known.
    """
    path = _path(settings, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Exclusive: of two runs that fail in the same moment, one tells.
        with path.open("x") as file:
            file.write(day)
    except FileExistsError:
        return path.read_text() or day
    return ""


def close_incident(settings: Settings, name: str) -> str:
    """Note that an incident is over.

    Returns:
        The day since which it was known; empty where there was none.
    """
    path = _path(settings, name)
    try:
        since = path.read_text()
    except FileNotFoundError:
        return ""
    path.unlink(missing_ok=True)
    return since


def _path(settings: Settings, name: str) -> Path:
    return settings.work / "incidents" / name
