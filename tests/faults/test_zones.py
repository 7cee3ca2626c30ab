"""Where a machine stands and what its clock says change nothing that is published."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from mallard.settings import Settings
from publishing.versions import current_version, list_publishes
from tests.faults.rounds import ask_everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.lab import Lab

pytestmark = pytest.mark.slow
# The first and one of the last places of the world to begin a day.
ZONES = ("Pacific/Kiritimati", "America/Los_Angeles")


@pytest.mark.parametrize("zone", ZONES)
def test_a_machine_elsewhere_publishes_the_same(lab: Lab, tmp_path: Path, zone: str) -> None:
    """The files of its inbox are of tomorrow, too."""
    inbox = tmp_path / "inbox"
    shutil.copytree(lab.inbox, inbox)
    tomorrow = time.time() + 24 * 3600
    for path in inbox.rglob("*.csv"):
        os.utime(path, (tomorrow, tomorrow))
    settings = Settings(home=tmp_path / "home")
    assert lab.run(settings.home, "load", "--inbox", str(inbox), TZ=zone).code == 0
    assert ask_everything(settings) == ask_everything(Settings(home=lab.home))


def test_loads_from_several_zones_follow_each_other(lab: Lab, restated: Path, tmp_path: Path) -> None:
    """Versions and days are told in UTC and the shop's zone, whatever zone the machine is in."""
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(lab.home, settings.home, symlinks=True)
    assert lab.run(settings.home, "load", "--inbox", str(restated), TZ=ZONES[0]).code == 0
    assert lab.run(settings.home, "load", "--inbox", str(lab.inbox), TZ=ZONES[1]).code == 0
    assert ask_everything(settings) == ask_everything(Settings(home=lab.home))
    version = current_version(settings)
    assert version is not None
    assert version.version == 3
    lines = list_publishes(settings)
    assert [line.version for line in lines] == [1, 2, 3]
    assert sorted(line.recorded_at for line in lines) == [line.recorded_at for line in lines]
    assert all(line.recorded_at.endswith("+00:00") for line in lines)
