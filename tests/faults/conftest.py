"""One small warehouse for all tests of a session that load one many times."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """``mallard`` in a small warehouse; see ``Lab``."""
    from tests.faults.lab import make_lab

    one = make_lab()
    yield one
    one.close()
    shutil.rmtree(one.folder)


@pytest.fixture(scope="session")
def restated(lab: Lab) -> Path:
    """The lab's inbox with spend and products of the last day restated; published in ``restated-home``."""
    from tests.faults.rounds import Source, State

    folder = lab.folder / "restated"
    shutil.copytree(lab.inbox, folder / "inbox")
    Source(folder).deliver(State(restated=True))
    ran = lab.run(lab.folder / "restated-home", "load", "--inbox", str(folder / "inbox"))
    assert ran.code == 0, ran
    return folder / "inbox"
