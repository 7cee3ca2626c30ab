"""Promise 13: two loads at once end like one after the other; a killed one keeps nothing."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from mallard.settings import Settings
from publishing.versions import current_version
from tests.faults.dials import Dial
from tests.faults.lab import Fault, Lab
from tests.faults.rounds import ask_everything

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_a_second_load_leaves_or_waits_and_a_killed_one_keeps_nothing(
    lab: Lab, restated: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(lab.home, settings.home, symlinks=True)
    load = (settings.home, "load", "--inbox", str(restated))
    gate = tmp_path / "go"
    held = Fault(Dial("while it lands", "ingestion.writer", "open_delivery", "before"), "wait", str(gate))

    first = lab.start(*load, fault=held)
    deadline = time.monotonic() + 120
    while not gate.with_suffix(".reached").exists():
        assert time.monotonic() < deadline, "the first load never began"
        time.sleep(0.05)
    busy = lab.run(*load)
    assert busy.code == 5
    assert "Another run is writing this warehouse" in busy.text
    assert re.search(rf"a load: process {first} on \S+, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d", busy.text)
    impatient = lab.run(*load, "--wait", "1")
    assert impatient.code == 5
    assert "after waiting 1 s" in impatient.text
    waiting = lab.start(*load, "--wait", "300")
    gate.touch()
    assert lab.wait(first).code == 0
    assert lab.wait(waiting).code == 0
    published = ask_everything(settings)
    assert published == ask_everything(Settings(home=lab.folder / "restated-home"))
    # The second found nothing new: one version was published, not two.
    version = current_version(settings)
    assert version is not None
    assert version.version == 2

    killed = Fault(Dial("while it lands", "ingestion.writer", "open_delivery", "before"), "die")
    back = (settings.home, "load", "--inbox", str(lab.inbox))
    assert lab.run(*back, fault=killed).code == -9
    assert lab.run(*back).code == 0
    assert ask_everything(settings) == ask_everything(Settings(home=lab.home))
