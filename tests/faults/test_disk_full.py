"""Promise 20: a disk that is full in the middle of a load is a clear message, and readers keep what they have."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ingestion.landing import read_manifests
from mallard.settings import Settings
from publishing.versions import current_version
from tests.faults.dials import Dial
from tests.faults.lab import Fault, Lab, fill_disk
from tests.faults.rounds import ask_everything

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
MEGABYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 300 MB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Where the disk fills up, and the words for it. Each load comes further than the one before, since room was made.
MOMENTS = (
    ("nothing can be landed", "", "", "", "could not be landed"),
    ("while rows are landed", "ingestion.writer", "open_delivery", "after", "could not be landed"),
    ("while dbt runs", "mallard.build", "prepare", "after", "building the candidate"),
    ("while dbt ends", "mallard.build", "run_dbt", "after", "building the candidate"),
    ("in the audit", "expectations.gate", "measure_scans", "after", "auditing the candidate"),
    ("before it is finished", "publishing.versions", "finish", "before", "finishing the candidate"),
    ("while it is finished", "publishing.finish", "_drop_scaffolding", "after", "finishing the candidate"),
    ("before the record", "publishing.records", "store_record", "before", "publishing"),
)


def test_a_full_disk_is_told_and_readers_keep_what_they_have(lab: Lab, disk: Path, restated: Path) -> None:
    settings = Settings(home=disk / "home")
    shutil.copytree(lab.home, settings.home, symlinks=True)
    published, landed = ask_everything(settings), read_manifests(settings)
    ballast = disk / "ballast"
    for moment, module, function, when, words in MOMENTS:
        fault = Fault(Dial(moment, module, function, when), "fill", str(ballast)) if module else None
        if not fault:
            fill_disk(ballast)
        ran = lab.run(settings.home, "load", "--inbox", str(restated), fault=fault)
        assert ran.code == 1, f"{moment}: {ran}"
        assert words in ran.text, f"{moment}: {ran.text}"
        assert str(disk) in ran.text, f"{moment} does not say where: {ran.text}"
        assert re.search(
            r"expected: at least [\d.]+ [kMG]B free found: [\d.]+ (bytes|kB|MB) free", ran.text
        ), ran
        assert "to mend:" in ran.text, f"{moment}: {ran.text}"
        assert ballast.stat().st_size > 100 * MEGABYTE, "the disk was not filled"
        ballast.unlink()
        version = current_version(settings)
        assert version is not None
        assert version.version == 1, moment
        assert ask_everything(settings) == published, moment
        if not module:
            assert read_manifests(settings) == landed, moment
    assert lab.run(settings.home, "load", "--inbox", str(restated)).code == 0
    clean = Settings(home=lab.folder / "restated-home")
    assert ask_everything(settings) == ask_everything(clean)


def test_what_a_load_needs_is_asked_for_before_it_is_written(lab: Lab, disk: Path, restated: Path) -> None:
    settings = Settings(home=disk / "home")
    shutil.copytree(lab.home, settings.home, symlinks=True)
    published = ask_everything(settings)
    fill_disk(disk / "ballast", leave=40 * MEGABYTE)
    ran = lab.run(settings.home, "load", "--inbox", str(restated))
    assert ran.code == 1
    assert "not enough disk space for the candidate" in ran.text
    assert "expected: at least" in ran.text
    assert "MB free" in ran.text
    assert ask_everything(settings) == published


def test_a_version_that_readers_see_is_said_to_be_published(lab: Lab, disk: Path, restated: Path) -> None:
    """The disk fills up between the link's swap and the record's last word."""
    settings = Settings(home=disk / "home")
    shutil.copytree(lab.home, settings.home, symlinks=True)
    dial = Dial("after the swap", "publishing.versions", "swap_link", "after")
    fault = Fault(dial, "fill", str(disk / "ballast"))
    ran = lab.run(settings.home, "load", "--inbox", str(restated), fault=fault)
    assert ran.code == 1
    assert "Version 2 is published" in ran.text
    (disk / "ballast").unlink()
    version = current_version(settings)
    assert version is not None
    assert version.version == 2
    assert lab.run(settings.home, "load", "--inbox", str(restated)).code == 0
    assert ask_everything(settings) == ask_everything(Settings(home=lab.folder / "restated-home"))
