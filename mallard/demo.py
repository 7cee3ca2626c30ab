"""The demo: a simulated shop's weeks through the real DAGs, and what was published of them."""

from __future__ import annotations

import os
import shutil
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

from mallard.errors import MallardError
from mallard.settings import Settings, from_environment

if TYPE_CHECKING:
    from mallard.progress import Progress

FIRST_DAY = date(2025, 10, 13)
# A few late events, duplicates and bad rows: a shop's ordinary week.
FAULTS = ("late", "duplicates", "bad_rows", "restated_spend", "bots")


# Of a home: that a demo made all that lies in it, so that the next demo may clear it.
MARK = "made-by-demo"
FOLDERS = ("inbox", "landing", "published", "quarantine", "reports", "work", "airflow")


def demo_settings() -> Settings:
    """The settings of the demo's warehouse: the default home, or a folder in it where a shop lives there already."""
    settings = from_environment()
    if not os.environ.get("MALLARD_HOME") and _is_taken(settings):
        os.environ["MALLARD_HOME"] = str(settings.home / "demo")
        settings = from_environment()
    return settings


def _is_taken(settings: Settings) -> bool:
    made_here = (settings.home / MARK).exists()
    return not made_here and any((settings.home / folder).exists() for folder in FOLDERS)


def clear_home(settings: Settings) -> None:
    """Clear what an earlier demo left, and nothing else.

    Raises:
        MallardError: there is data that no demo made.
    """
    mark = settings.home / MARK
    if _is_taken(settings):
        raise MallardError(
            "The demo does not touch data that it did not make.",
            expected="an empty MALLARD_HOME, or one of an earlier demo",
            found="an inbox, a landing zone or published versions of another origin",
            where=str(settings.home),
            mend="MALLARD_HOME=/tmp/mallard-demo make demo",
        )
    for folder in FOLDERS:
        shutil.rmtree(settings.home / folder, ignore_errors=True)
    settings.home.mkdir(parents=True, exist_ok=True)
    mark.touch()


def run_demo(*, days: int, users: int, seed: int, progress: Progress) -> None:
    """Simulate, run the DAGs, show. Starts from an empty home each time."""
    from mallard.airflow.demo import run_dags
    from mallard.closing import show_closing
    from simulator.shop import simulate

    began = time.monotonic()
    settings = demo_settings()
    clear_home(settings)
    progress.say(f"A shop of {users:,} users, {days} days from {FIRST_DAY}, in {settings.home}")
    simulate(
        settings.inbox,
        days=days,
        users=users,
        seed=seed,
        first_day=FIRST_DAY,
        faults=FAULTS,
        progress=progress,
    )
    run_dags(settings, FIRST_DAY, FIRST_DAY + timedelta(days=days - 1), settings.inbox, progress)
    show_closing(settings, time.monotonic() - began)
