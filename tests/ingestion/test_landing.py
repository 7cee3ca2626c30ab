"""Landing: positions, duplicates, replaced deliveries, quarantine, manifests, and what survives a crash."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ingestion.landing
from ingestion.landing import collect_garbage, land, read_manifests
from mallard.errors import BusyError, MallardError
from tests.ingestion.conftest import DAY, Inbox, Said, customer, item, order, query, spend

FORMATS = ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_delivery_lands_with_its_account(inbox: Inbox, ending: str) -> None:
    rows = [order(number) for number in range(300)]
    rows[10] |= {"status": "shiped"}
    rows.append(order(5))
    path = inbox.rows("orders/orders", rows, ending=ending)
    manifest = inbox.one()
    assert (manifest.rows_in, manifest.rows_landed, manifest.rows_quarantined, manifest.rows_duplicate) == (
        301,
        299,
        1,
        1,
    )
    assert (manifest.feed, manifest.table, manifest.source, manifest.delivery) == (
        "orders",
        "orders",
        "inbox",
        DAY,
    )
    assert (manifest.first_day, manifest.last_day) == (DAY, DAY)
    assert manifest.source_file == str(path)
    assert manifest.content_hash == __import__("hashlib").sha256(path.read_bytes()).hexdigest()
    assert dt.datetime.fromisoformat(manifest.delivered_at).tzinfo is not None
    assert read_manifests(inbox.settings) == [manifest]
    offset = 1 if ending.startswith("csv") else 0
    assert inbox.quarantine("orders/orders") == [("status_not_allowed", "status", 11 + offset)]
    ((shown, file),) = inbox.quarantine("orders/orders", "row_json, source_file")
    assert json.loads(shown)["order_id"] == "0010"
    assert file == str(path)
    # The last of two equal rows is the one that stays.
    positions = [row[0] for row in inbox.landed("orders/orders", "_row")]
    assert positions == [n for n in range(1, 302) if n not in {6, 11}]


@pytest.mark.parametrize("ending", FORMATS)
def test_positions_are_those_of_the_file_beyond_one_row_group(inbox: Inbox, ending: str) -> None:
    rows = 300_000
    folder = inbox.root / "clickstream" / "events"
    folder.mkdir(parents=True)
    form = {"csv": "csv, header", "jsonl": "json", "parquet": "parquet"}[ending.split(".", maxsplit=1)[0]]
    packed = ", compression gzip" if ending.endswith(".gz") else ""
    query(
        f"""copy (
            select 'e' || i as event_id, timestamptz '2025-11-11 00:00:00Z' + to_milliseconds(i) as event_at,
                'v' || hash(i) % 1000 as visitor_id, case when i % 1000 = 7 then 'tap' else 'click' end as event_type
            from range({rows}) t(i) order by i
        ) to '{folder}/2025-11-11.{ending}' (format {form}{packed})"""
    )
    manifest = inbox.one()
    assert manifest.rows_quarantined == 300
    data = str(manifest.data_path)
    assert query(f"select count(*), count(*) filter (event_id <> 'e' || _row - 1) from '{data}'") == [
        (299_700, 0)
    ]
    # Written in file order, so that later scans find neighbours together.
    assert query(
        f"select count(*) from (select _row < lag(_row) over () as back from '{data}') where back"
    ) == [(0,)]


def test_a_csv_row_of_the_wrong_length_is_quarantined_with_its_true_line(inbox: Inbox) -> None:
    lines = ["order_id,ordered_at,status,currency,device"]
    lines += [f'{n:03},2025-11-11T08:00:00Z,paid,USD,"a ""b"", c"' for n in range(400)]
    lines[10] = '009,2025-11-11T08:00:00Z,paid,USD,"two\nlines"'
    lines[20] = "019,2025-11-11T08:00:00Z,paid"
    lines[30] = "029,2025-11-11T08:00:00Z,paid,USD,web,more,more"
    lines[35] = "034,soon,paid,USD,web"
    lines.insert(25, "")
    path = inbox.write("orders/orders", "\n".join(lines) + "\n\n")
    manifest = inbox.one()
    assert (manifest.rows_in, manifest.rows_quarantined, manifest.rows_landed) == (400, 3, 397)
    numbered = path.read_text().split("\n")
    found = inbox.quarantine("orders/orders", "reason, line, row_json")
    assert [(reason, numbered[line - 1][:3]) for reason, line, _ in found] == [
        ("wrong_number_of_fields", "019"), ("wrong_number_of_fields", "029"), ("ordered_at_not_an_instant", "034"),
    ]  # fmt: skip
    assert json.loads(found[1][2])["_line"] == "029,2025-11-11T08:00:00Z,paid,USD,web,more,more"
    # A row's position is its record's number, whatever stands between the records.
    assert all(int(name) + 1 == row for name, row in inbox.landed("orders/orders", "order_id, _row"))
    assert inbox.landed("orders/orders", "device")[9] == ("two\nlines",)


def test_where_lines_cannot_be_told_the_rows_still_add_up(inbox: Inbox) -> None:
    lines = ["order_id,ordered_at,status,currency,device"]
    lines += [f"{n:03},2025-11-11T08:00:00Z,paid,USD,web" for n in range(400)]
    lines[5] = '004,2025-11-11T08:00:00Z,paid,USD,5" phone'
    lines[20] = "019,2025-11-11T08:00:00Z,paid"
    lines[30] = "029,soon,paid,USD,web"
    lines.insert(40, "")
    inbox.write("orders/orders", "\n".join(lines))
    manifest = inbox.one()
    assert (manifest.rows_in, manifest.rows_quarantined, manifest.rows_landed) == (400, 2, 398)
    found = inbox.quarantine("orders/orders", "reason, line")
    assert ("wrong_number_of_fields", 21) in found
    assert ("ordered_at_not_an_instant", None) in found


def test_json_lines_that_are_no_objects_are_quarantined_with_their_line(inbox: Inbox) -> None:
    lines = [json.dumps(order(number)) for number in range(500)]
    lines[3], lines[5], lines[7], lines[9] = '{"order_id": "x"', "[1, 2]", "not json", "{}"
    lines.insert(6, "   ")
    inbox.write("orders/orders", "\n".join(lines) + "\n\n", ending="jsonl")
    manifest = inbox.one()
    assert (manifest.rows_in, manifest.quarantine_reasons) == (500, {"unreadable_line": 4})
    found = inbox.quarantine("orders/orders", "line, row_json")
    assert [line for line, _ in found] == [4, 6, 9, 11]
    assert json.loads(found[2][1]) == {"_line": "not json"}
    assert [row[0] for row in inbox.landed("orders/orders", "_row")][-1] == 500


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_and_byte_order_marks_are_read(inbox: Inbox, newline: str, mark: str) -> None:
    lines = ["order_id,ordered_at,status,currency", *(f"{n},2025-11-11,paid,USD" for n in range(200))]
    lines[50] = "49,2025-11-11,paid"
    inbox.write("orders/orders", mark + newline.join(lines))
    manifest = inbox.one()
    assert (manifest.rows_in, manifest.rows_landed, manifest.new_columns) == (200, 199, [])
    assert inbox.quarantine("orders/orders") == [("wrong_number_of_fields", None, 51)]
    assert inbox.landed("orders/orders", "currency")[-1] == ("USD",)


def test_bad_lines_make_their_orders_and_days_incomplete(inbox: Inbox) -> None:
    rows = [item(number) for number in range(600)]
    rows[10] |= {"quantity": 0}
    inbox.rows("orders/order_items", rows)
    text = inbox.write("orders/order_items", "", day="2025-11-12")
    inbox.rows("orders/order_items", [item(number) for number in range(600)], day="2025-11-12")
    text.write_text(text.read_text().replace("0007,2,007,2,9.99\n", "0007,2,007\n"))
    lines = [json.dumps(item(number)) for number in range(600)]
    lines[40] = lines[40][:-20]
    inbox.write("orders/order_items", "\n".join(lines), ending="jsonl", day="2025-11-13")
    rows = [spend(n, spend_date=f"2025-11-{n % 20 + 1:02}") for n in range(600)]
    rows[3] |= {"clicks": "many"}
    inbox.rows("channel_spend/channel_spend", rows)
    assert not inbox.land().refused
    items = inbox.landed("orders/order_items", "_delivery, order_id, line_number, _is_incomplete")
    assert [(str(day), key, line) for day, key, line, incomplete in items if incomplete] == [
        ("2025-11-11", "0005", 2), ("2025-11-12", "0007", 1), ("2025-11-13", "0020", 2),
    ]  # fmt: skip
    days = {
        str(day)
        for day, bad in inbox.landed("channel_spend/channel_spend", "spend_date, _is_incomplete")
        if bad
    }
    assert days == {"2025-11-04"}


def test_the_same_delivery_again_changes_nothing(inbox: Inbox) -> None:
    path = inbox.rows("orders/orders", [order(number) for number in range(10)])
    first = inbox.one()
    report = inbox.land()
    assert (report.landed, report.unchanged) == ([], [first])
    path.touch()  # other times, same bytes
    assert inbox.land().unchanged == [first]
    assert len(list(inbox.settings.landing.rglob("*.parquet"))) == 1


def test_a_delivery_that_comes_again_replaces_the_first_as_a_whole(inbox: Inbox) -> None:
    rows = [order(number) for number in range(300)]
    inbox.rows("orders/orders", [*rows, order(999, status="?")])
    first = inbox.one()
    assert inbox.quarantine("orders/orders")
    path = inbox.rows("orders/orders", rows[:200], ending="csv")
    second = inbox.one()
    assert second.file != first.file
    assert read_manifests(inbox.settings) == [second]
    assert not inbox.quarantine("orders/orders")
    # A reader of the first set of manifests still finds its file until garbage is collected.
    assert first.path.with_name(first.file).exists()
    assert [p.name for p in collect_garbage(inbox.settings)] == [first.file]
    assert collect_garbage(inbox.settings) == []
    path.unlink()
    inbox.rows("orders/orders", [order(number) for number in range(5)], ending="jsonl")
    assert inbox.one().rows_landed == 5
    assert [manifest.rows_landed for manifest in read_manifests(inbox.settings)] == [5]


def test_a_refused_delivery_leaves_what_was_landed_before(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(number) for number in range(10)])
    first = inbox.one()
    inbox.rows("orders/orders", [order(number, status="?") for number in range(10)])
    assert "10 of 10 rows are bad" in inbox.refusal()
    assert read_manifests(inbox.settings) == [first]
    assert not inbox.quarantine("orders/orders")
    assert collect_garbage(inbox.settings) == []


def test_a_changed_contract_entry_or_key_lands_again(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.rows("orders/customers", [customer(1)])
    inbox.rows("orders/products", [{"product_id": "1", "product_name": "p", "category_l1": "c"}])
    monkeypatch.setenv("MALLARD_HASH_KEY", "one")
    assert len(inbox.land().landed) == 2
    object.__getattribute__(inbox.settings, "__dict__").pop("hash_key", None)
    monkeypatch.setenv("MALLARD_HASH_KEY", "two")
    report = inbox.land()
    assert [manifest.table for manifest in report.landed] == ["customers"]
    assert [manifest.table for manifest in report.unchanged] == ["products"]


def test_a_data_file_that_is_gone_is_landed_again(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)])
    inbox.one().data_path.unlink()
    assert inbox.one().data_path.exists()


def test_new_columns_land_as_text_and_are_told_once(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)], day="2025-11-10")
    inbox.rows("orders/orders", [order(2, gift_wrap="yes", **{'odd "name': 1})], day="2025-11-11")
    inbox.rows("orders/orders", [order(3, gift_wrap="no")], day="2025-11-12")
    report = inbox.land()
    assert [manifest.new_columns for manifest in report.landed] == [
        [],
        ["gift_wrap", 'odd "name'],
        ["gift_wrap"],
    ]
    told = [text for text in inbox.said.texts if "new columns" in text]
    assert len(told) == 1
    assert "gift_wrap" in told[0]
    assert query(f'select gift_wrap, "odd ""name" from \'{report.landed[1].data_path}\'') == [("yes", "1")]


def test_tables_that_may_be_empty_land_empty(inbox: Inbox) -> None:
    inbox.write("orders/refunds", "refund_id,order_id,refunded_at,amount\n")
    inbox.write("orders/promotions", "", ending="jsonl")
    report = inbox.land()
    assert [(m.rows_in, m.rows_landed, m.first_day) for m in report.landed] == [(0, 0, None)] * 2
    assert query(f"select count(*) from '{report.landed[0].data_path}'") == [(0,)]


def test_a_run_that_dies_before_the_manifest_has_landed_nothing(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.rows("orders/orders", [order(number) for number in range(10)])
    first = inbox.one()
    inbox.rows("orders/orders", [order(number) for number in range(20)])

    def die(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ingestion.writer.write_manifest", die)
    with pytest.raises(KeyboardInterrupt):
        inbox.land()
    assert read_manifests(inbox.settings) == [first]
    monkeypatch.undo()
    assert inbox.one().rows_landed == 20
    collect_garbage(inbox.settings)
    assert len(list(inbox.settings.landing.rglob("*.parquet"))) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import ingestion.{module} as module
real = module.{name}
calls = 0
def killed(*a, **k):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*a, **k)
module.{name} = killed
from ingestion.deliveries import plan
from ingestion.landing import land
from ingestion.registry import choose_sources
from mallard.progress import LogProgress
from mallard.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
land(settings, plan(settings, choose_sources(settings)[0], inbox=Path(sys.argv[2])), LogProgress())
"""


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [("writer", "landed_sql", 1), ("manifest", "sync", 1), ("manifest", "sync", 2), ("writer", "quarantine_sql", 1),
     ("manifest", "sync", 3), ("manifest", "sync", 5), ("manifest", "sync", 6)],
)  # fmt: skip
def test_a_killed_landing_ends_like_a_clean_one_when_run_again(
    inbox: Inbox, module: str, name: str, call: int
) -> None:
    rows = [order(number) for number in range(200)]
    inbox.rows("orders/orders", rows)
    first = inbox.one()
    inbox.rows("orders/orders", [*rows[:150], order(151, status="?")])
    script = KILLED.format(module=module, name=name, call=call)
    done = subprocess.run(
        [sys.executable, "-c", script, str(inbox.settings.home), str(inbox.root)],
        check=False, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    (seen,) = read_manifests(inbox.settings)
    assert seen.data_path.exists()
    assert seen.rows_landed in {first.rows_landed, 150}
    inbox.land()  # the dead process's lock is free
    collect_garbage(inbox.settings)
    (after,) = read_manifests(inbox.settings)
    assert (after.rows_in, after.rows_landed, after.rows_quarantined) == (151, 150, 1)
    assert inbox.quarantine("orders/orders") == [("status_not_allowed", "status", 152)]
    left = [path.name for path in inbox.settings.landing.rglob("*") if path.is_file()]
    assert sorted(left) == sorted([after.file, "2025-11-11.json"])


def test_a_feed_is_landed_by_one_run_at_a_time(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.rows("orders/orders", [order(1)])
    inbox.settings.locks.mkdir(parents=True)
    with (inbox.settings.locks / "landing-orders.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 1 since then")
        held.flush()
        monkeypatch.setattr(ingestion.landing, "_PATIENCE_SECONDS", 0.3)
        began = time.monotonic()
        with pytest.raises(BusyError, match="Another run is landing orders") as caught:
            inbox.land()
        assert time.monotonic() - began >= 0.3
        assert "process 1" in caught.value.found
        assert collect_garbage(inbox.settings) == []
    assert inbox.one().rows_landed == 1
    assert any("Waiting" in text for text in inbox.said.texts)


def test_a_full_disk_is_told_and_nothing_is_lost(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.rows("orders/orders", [order(1)])
    first = inbox.one()
    inbox.rows("orders/orders", [order(1), order(2)])

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("ingestion.manifest.sync", full)
    with pytest.raises(MallardError, match="no space left") as caught:
        inbox.land()
    assert "free some space" in caught.value.mend
    assert read_manifests(inbox.settings) == [first]
    assert not list(inbox.settings.landing.rglob(".tmp-*"))


def test_garbage_of_dead_runs_is_collected_and_running_ones_are_left(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)])
    folder = inbox.one().path.parent
    (folder / ".tmp-99999999-2025-11-11.json").write_text("{")
    for process in ("99999999", str(os.getpid())):
        (inbox.settings.work / f"landing-{process}").mkdir(parents=True)
    removed = {path.name for path in collect_garbage(inbox.settings)}
    assert removed == {".tmp-99999999-2025-11-11.json", "landing-99999999"}


def test_a_file_that_changes_while_it_is_read_is_refused(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inbox.rows("orders/orders", [order(1)])
    deliveries = inbox.plan()
    from ingestion import writer

    real = writer.open_delivery

    def meanwhile(*args: object) -> object:
        opened = real(*args)  # type: ignore[arg-type]
        path.write_text(path.read_text() + "2,2025-11-11,paid,USD,\n")
        return opened

    monkeypatch.setattr(writer, "open_delivery", meanwhile)
    report = land(inbox.settings, deliveries, Said())
    assert "changed while it was read" in str(report.refused[0])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_contract_is_staged_by_a_plan_that_keeps_the_order(tmp_path: Path, ending: str) -> None:
    import duckdb

    from ingestion.conform import Dialect, stage
    from ingestion.contract import read_contracts
    from ingestion.files import csv_relation, json_relation, parquet_relation
    from ingestion.staged import is_straight

    with duckdb.connect() as connection:
        for contract in read_contracts().values():
            names = [column.name for column in contract.columns if column.name != "paid_at"]
            path = tmp_path / f"{contract.table}.{ending}"
            form = {"csv": "csv, header", "jsonl": "json", "parquet": "parquet"}[ending]
            row = ", ".join(f"'1' as {name}" for name in [*names, "more"])
            connection.execute(f"copy (select {row}) to '{path}' (format {form})")
            if ending == "csv":
                relation = csv_relation(path, ending)
            elif ending == "jsonl":
                relation = json_relation(connection, path, ending, decimals=names)
            else:
                relation = parquet_relation(connection, path)
            dialect = Dialect("Europe/London", missing_values=("NULL",), paid_statuses=("paid", "shipped"))
            sql = stage(contract, relation, dialect, may_hold_nul=True).sql
            plan = json.loads(connection.execute(f"explain (format json) {sql}").fetchall()[0][1])
            assert all(map(is_straight, plan)), contract.name
        listed = "explain (format json) select i in (1, 2, 3, 4, 5, 6, 7, 8, 9) from range(10) t(i)"
        assert not all(map(is_straight, json.loads(connection.execute(listed).fetchall()[0][1])))


def test_a_plan_that_loses_the_order_is_run_by_one_thread(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ingestion.conform.one_of_sql",
        lambda value, words: f"{value} in ({', '.join(repr(word) for word in words)})",
    )
    folder = inbox.root / "clickstream" / "events"
    folder.mkdir(parents=True)
    query(
        f"""copy (
            select 'e' || i as event_id, timestamp '2025-11-11' as event_at, 'v' as visitor_id, 'click' as event_type,
                'home' as page_type
            from range(300000) t(i) order by i
        ) to '{folder}/2025-11-11.parquet'"""
    )
    path = inbox.one().data_path
    assert query(f"select count(*) from '{path}' where event_id <> 'e' || _row - 1") == [(0,)]


def test_a_file_that_is_gone_when_its_turn_comes_is_refused_and_the_rest_lands(inbox: Inbox) -> None:
    path = inbox.rows("orders/orders", [order(1)])
    inbox.rows("channel_spend/channel_spend", [spend(1)])
    deliveries = inbox.plan()
    path.unlink()
    report = land(inbox.settings, deliveries, Said())
    assert [manifest.table for manifest in report.landed] == ["channel_spend"]
    assert "its file cannot be opened" in str(report.refused[0])
    assert str(path) in report.refused[0].where


@pytest.mark.slow
def test_what_does_not_fit_into_the_memory_spills_and_lands(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.writer._MOST_MEMORY", 128 << 20)
    folder = inbox.root / "clickstream" / "events"
    folder.mkdir(parents=True)
    query(
        f"""copy (
            select 'e' || i as event_id, timestamp '2025-11-11' as event_at, md5('v' || i) as visitor_id,
                'click' as event_type, md5('u' || i) || md5('w' || i) as page_url, md5('x' || i) as user_agent
            from range(400000) t(i) order by i
        ) to '{folder}/2025-11-11.csv.gz' (format csv, header, compression gzip)"""
    )
    manifest = inbox.one()
    assert manifest.rows_landed == 400_000
    assert query(f"select count(*) from '{manifest.data_path}' where event_id <> 'e' || _row - 1") == [(0,)]
    assert not list(inbox.settings.work.glob("*"))
