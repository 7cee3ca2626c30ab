"""A source that changes under the reader's hands: nothing of it is landed in half, and the next load takes it whole."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import writer
from ingestion.landing import read_manifests

if TYPE_CHECKING:
    from tests.ingestion.conftest import Inbox

HEADER = "order_id,ordered_at,status,currency\n"
ROWS = [f"{number},2025-11-11T10:00:00Z,placed,USD\n" for number in range(200)]
BEFORE = HEADER + "".join(ROWS[:5])
AFTER = HEADER + "".join(ROWS)


def _grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _rewrite(path: Path) -> None:
    """The same number of bytes, and the time of the first writing put back."""
    before = path.stat()
    path.write_text(path.read_text().replace("placed", "paid  "))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _remove(path: Path) -> None:
    path.unlink()


def _become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("step", ["content_hash", "open_delivery", "stage"])
@pytest.mark.parametrize("change", [_grow, _truncate, _rewrite, _remove, _become_a_folder])
def test_a_file_that_changes_between_two_looks_is_refused(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], step: str
) -> None:
    path = inbox.write("orders/orders", BEFORE)
    first = inbox.one()
    path.write_text(AFTER)
    real = getattr(writer, step)

    def meanwhile(*arguments: object, **named: object) -> object:
        result = real(*arguments, **named)
        change(path)
        return result

    monkeypatch.setattr(writer, step, meanwhile)
    text = inbox.refusal()
    monkeypatch.undo()
    assert str(path) in text
    assert "to mend:" in text
    assert read_manifests(inbox.settings) == [first]
    if path.is_dir():
        shutil.rmtree(path)
    path.write_text(AFTER)
    assert inbox.one().rows_landed == len(ROWS)


def test_a_file_that_is_written_all_the_while_lands_whole_or_not_at_all(inbox: Inbox) -> None:
    """A copy that takes its time, as over a network: each load in between refuses it, or finds nothing to land."""
    path = inbox.write("orders/orders", "")

    def write() -> None:
        with path.open("w") as file:
            for start in range(0, len(AFTER), 97):
                file.write(AFTER[start : start + 97])
                file.flush()
                time.sleep(0.005)

    thread = threading.Thread(target=write)
    thread.start()
    refusals = 0
    while thread.is_alive():
        report = inbox.land()
        refusals += len(report.refused)
        assert all(manifest.rows_landed == manifest.rows_in for manifest in report.landed)
    thread.join()
    assert refusals > 0
    inbox.land()
    (manifest,) = read_manifests(inbox.settings)
    assert (manifest.rows_in, manifest.rows_landed) == (len(ROWS), len(ROWS))


def _as_parquet(rows: int) -> bytes:
    out = io.BytesIO()
    table = pa.table(
        {
            "order_id": [str(number) for number in range(rows)],
            "ordered_at": ["2025-11-11T10:00:00Z"] * rows,
            "status": ["placed"] * rows,
            "currency": ["USD"] * rows,
        }
    )
    pq.write_table(table, out)
    return out.getvalue()


_JSON = "".join(
    json.dumps(
        {
            "order_id": str(number),
            "ordered_at": "2025-11-11T10:00:00Z",
            "status": "placed",
            "currency": "USD",
        }
    )
    + "\n"
    for number in range(len(ROWS))
)
WHOLE = {
    "csv": AFTER.encode(),
    "csv.gz": gzip.compress(AFTER.encode()),
    "jsonl": _JSON.encode(),
    "jsonl.gz": gzip.compress(_JSON.encode()),
    "parquet": _as_parquet(len(ROWS)),
}


@pytest.mark.parametrize("ending", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_half_a_file_is_refused_and_the_whole_one_lands(inbox: Inbox, ending: str, share: float) -> None:
    whole = WHOLE[ending]
    half = whole[: int(len(whole) * share)]
    assert not half.endswith(b"\n")
    path = inbox.root / "orders" / "orders" / f"2025-11-11.{ending}"
    path.parent.mkdir(parents=True)
    path.write_bytes(half)
    text = inbox.refusal()
    assert str(path) in text
    if ending in {"csv", "jsonl"}:
        assert "ends in the middle of a row" in text
        assert f"line {half.count(10) + 1}" in text
    assert not read_manifests(inbox.settings)
    path.write_bytes(whole)
    assert inbox.one().rows_landed == len(ROWS)


def test_a_last_value_that_is_cut_is_not_taken_for_a_bad_one(inbox: Inbox) -> None:
    inbox.write("orders/orders", AFTER[:-3])
    assert "ends in the middle of a row" in inbox.refusal()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_whole_last_row_needs_no_line_break(inbox: Inbox, ending: str) -> None:
    path = inbox.root / "orders" / "orders" / f"2025-11-11.{ending}"
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE[ending].removesuffix(b"\n"))
    assert inbox.one().rows_landed == len(ROWS)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_no_file_is_refused_without_waiting_for_it(
    inbox: Inbox, make: Callable[[Path], None]
) -> None:
    path = inbox.write("orders/orders", BEFORE)
    first = inbox.one()
    path.unlink()
    make(path)
    assert "is no regular file" in inbox.refusal()
    assert read_manifests(inbox.settings) == [first]
