"""A source that changes under the reader's hands: nothing of it is landed in half, and the next load takes it whole."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import files, writer
from ingestion.landing import land, read_manifests
from ingestion.registry import choose_sources
from ingestion.whole import whole_deliveries
from mallard.errors import NothingToDoError
from tests.ingestion.conftest import order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from mallard.errors import DeliveryRefusedError
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


@pytest.fixture
def waits(inbox: Inbox) -> Iterator[list[Path]]:
    """The pipes of the inbox that somebody has waited for; who does is let go, so that a hang is a red test."""
    waited: list[Path] = []
    is_over = threading.Event()

    def let_go() -> None:
        while not is_over.wait(0.1):
            for path in [path for path in inbox.root.rglob("*") if path.is_fifo()]:
                # Without a reader, one that waits included, there is no way to open it so.
                with suppress(OSError):
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                    waited.append(path)

    thread = threading.Thread(target=let_go)
    thread.start()
    yield waited
    is_over.set()
    thread.join()


def _become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize(
    "make",
    [lambda path: path.mkdir(), os.mkfifo, _make_a_socket],
    ids=["a folder", "a named pipe", "a socket"],
)
def test_what_is_no_file_is_refused_without_waiting_for_it(
    inbox: Inbox, waits: list[Path], make: Callable[[Path], None], request: pytest.FixtureRequest
) -> None:
    path = inbox.write("orders/orders", BEFORE)
    first = inbox.one()
    path.unlink()
    make(path)
    text = inbox.refusal()
    assert f"is no regular file but {request.node.callspec.id}" in text
    assert str(path) in text
    assert not waits
    assert read_manifests(inbox.settings) == [first]


@pytest.mark.parametrize("ending", WHOLE)
@pytest.mark.parametrize("step", ["plan", "content_hash", "open_delivery", "stage"])
def test_a_file_that_becomes_a_pipe_is_refused_without_waiting_for_it(
    inbox: Inbox, waits: list[Path], monkeypatch: pytest.MonkeyPatch, ending: str, step: str
) -> None:
    path = inbox.root / "orders" / "orders" / f"2025-11-11.{ending}"
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE[ending])
    deliveries = inbox.plan()
    if step == "plan":
        _become_a_pipe(path)
    else:
        _change_after(monkeypatch, writer, step, path)
    (refused,) = land(inbox.settings, deliveries, inbox.said).refused
    _tells_of_a_pipe(refused, path)
    assert not waits
    assert not read_manifests(inbox.settings)
    monkeypatch.undo()
    path.unlink()
    path.write_bytes(WHOLE[ending])
    assert inbox.one().rows_landed == len(ROWS)


def test_a_landed_file_that_becomes_a_pipe_is_refused_and_stays_landed(
    inbox: Inbox, waits: list[Path]
) -> None:
    path = inbox.write("orders/orders", BEFORE)
    first = inbox.one()
    deliveries = inbox.plan()
    _become_a_pipe(path)
    (refused,) = land(inbox.settings, deliveries, inbox.said).refused
    _tells_of_a_pipe(refused, path)
    assert not waits
    assert read_manifests(inbox.settings) == [first]


def test_a_file_that_becomes_a_pipe_before_its_lines_are_counted_is_refused(
    inbox: Inbox, waits: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inbox.rows("orders/orders", [order(number) for number in range(30)] + [order(30, status="a\nb")])
    _change_after(monkeypatch, writer, "fill_staged", path)
    (refused,) = inbox.land().refused
    _tells_of_a_pipe(refused, path)
    assert not waits


def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused(
    inbox: Inbox, waits: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inbox.write("orders/orders", BEFORE)
    _change_after(monkeypatch, files, "check_regular", path)
    with pytest.raises(files.UnsoundError) as refused:
        files.open_regular(path)
    assert refused.value.found == "a named pipe"
    assert not waits


@pytest.mark.parametrize("is_named", [True, False], ids=["the file", "its folder"])
def test_a_source_that_is_delivered_whole_through_a_pipe_is_refused(
    inbox: Inbox, waits: list[Path], *, is_named: bool
) -> None:
    path = inbox.root / "online_retail.parquet"
    os.mkfifo(path)
    (source,) = choose_sources(inbox.settings, "online_retail")
    with pytest.raises(NothingToDoError, match=f"found: +a named pipe at {path}"):
        whole_deliveries(inbox.settings, source, ["orders"], path if is_named else inbox.root)
    assert not waits


def _change_after(monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, path: Path) -> None:
    """Have the file become a pipe when that function has looked at it for the first time."""
    real = getattr(module, function)

    def meanwhile(*arguments: object, **named: object) -> object:
        result = real(*arguments, **named)
        if not path.is_fifo():
            _become_a_pipe(path)
        return result

    monkeypatch.setattr(module, function, meanwhile)


def _tells_of_a_pipe(refused: DeliveryRefusedError, path: Path) -> None:
    assert "no regular file" in refused.summary
    assert (refused.expected, refused.found) == ("a regular file", "a named pipe")
    assert str(path) in refused.where
    assert refused.mend
