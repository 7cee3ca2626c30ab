"""Copies of warehouse files, and the room for them."""

from __future__ import annotations

import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest

from mallard.errors import MallardError
from publishing import copy as copying
from publishing.copy import copy_file
from publishing.space import human_bytes, require_space

Usage = namedtuple("Usage", "total used free")


def test_copy_is_equal_and_writable(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(os.urandom(3_000_000))
    source.chmod(0o444)
    assert copy_file(source, target) in {"reflink", "copy_file_range", "copy"}
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o200


def test_copy_falls_back_where_the_kernel_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"duck" * 100_000)

    def refuse(*args: object) -> int:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(copying.os, "copy_file_range", refuse)
    monkeypatch.setattr(copying.fcntl, "ioctl", refuse)
    assert copy_file(source, target) == "copy"
    assert target.read_bytes() == source.read_bytes()


def test_copy_replaces_the_file_and_leaves_its_readers_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old, longer")
    log = tmp_path / "target.wal"
    log.write_text("of the old one")
    with target.open() as reader:
        copy_file(source, target)
        assert reader.read() == "old, longer"
    assert target.read_text() == "new"
    assert not log.exists(), "a killed run's log would be replayed into the copy"


def test_full_disk_is_a_message_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 10_000)

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copying, "_copy", full)
    with pytest.raises(MallardError) as refusal:
        copy_file(source, target)
    assert "disk space" in refusal.value.summary
    assert not target.exists()


def test_too_little_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(10**12, 10**12, 5_000_000))
    with pytest.raises(MallardError) as refusal:
        require_space(tmp_path / "not" / "there" / "yet", 2_000_000_000, "the candidate")
    assert "the candidate" in refusal.value.summary
    assert refusal.value.found == "5.0 MB free"
    assert refusal.value.expected.startswith("at least 2.1 GB")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_000_000_000_000, "2.0 TB")]
)
def test_bytes_are_said_as_a_person_does(count: int, said: str) -> None:
    assert human_bytes(count) == said
