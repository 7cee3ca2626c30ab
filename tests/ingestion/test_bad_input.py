"""What bad input gets: one clear refusal per case, nothing landed, what was landed before kept."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.landing import read_manifests
from mallard.errors import DeliveryRefusedError
from tests.ingestion.conftest import Inbox, customer, item, order, query, spend

HEAD = "order_id,ordered_at,status,currency\n"
GOOD = HEAD + "1,2025-11-11,paid,USD\n"


def csv_of(number: int, bad: str = "") -> str:
    return HEAD + "".join(f"{n},2025-11-11,paid,USD\n" for n in range(number)) + bad


BROKEN = {
    "a damaged gzip": ("csv.gz", b"\x1f\x8bnonsense", "cannot be read to its end"),
    "no gzip at all": ("csv.gz", GOOD.encode(), "cannot be read to its end"),
    "half a gzip": ("csv.gz", gzip.compress(csv_of(5000).encode())[:-200], "cannot be read to its end"),
    "a gzip with a wrong checksum": ("jsonl.gz", b"", "cannot be read to its end"),
    "NUL bytes": ("csv", csv_of(300, "9,2025-11-11,pa\0id,USD\n").encode(), "holds NUL bytes"),
    "UTF-16": ("csv", GOOD.encode("utf-16"), "holds NUL bytes"),
    "Latin-1": ("csv", csv_of(300, "é,2025-11-11,paid,USD\n").encode("latin-1"), "not UTF-8"),
    "Latin-1 lines": ("jsonl", json.dumps(order(1, order_id="é"), ensure_ascii=False).encode("latin-1"), "not UTF-8"),
    "half a character": ("csv", csv_of(3).encode() + "é".encode()[:1], "middle of a character"),
    "an open quote": ("csv", csv_of(300, '9,2025-11-11,"paid,USD\n8,2025-11-11,paid,USD\n').encode(), "quote is never closed"),
    "text after a quote": ("csv", csv_of(300, '9,2025-11-11,"paid"x,USD\n').encode(), "quote is never closed"),
    "an endless row": ("csv", csv_of(3, "9,2025-11-11,paid," + "x" * 3_000_000 + "\n").encode(), "longer than"),
    "an endless header": ("csv", b"x" * 2_000_000, "longer than a header"),
    "an endless JSON line": ("jsonl", b'{"order_id": "' + b"x" * 20_000_000 + b'"}', "A line is longer"),
    "mixed line endings": ("csv", csv_of(3, "7,2025-11-11,paid,USD\r\n8,2025-11-11,paid,USD\n").encode(), "line endings"),
    "an empty csv": ("csv", b"", "does not even have a header"),
    "no rows": ("csv", HEAD.encode(), "The delivery is empty"),
    "no lines": ("jsonl", b"", "The delivery is empty"),
    "text for Parquet": ("parquet", GOOD.encode(), "no Parquet file"),
    "half a Parquet": ("parquet", b"PAR1" + b"x" * 100, "Parquet"),
    "a column twice": ("csv", b"order_id,ordered_at,status,currency,Status\n1,2025-11-11,paid,USD,paid\n", "same name"),
    "a JSON array": ("jsonl", json.dumps([order(1)], indent=1).encode(), "rows are bad"),
    "our own column": ("csv", b"order_id,ordered_at,status,currency,_delivery\n1,2025-11-11,paid,USD,x\n", "_delivery"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_and_what_was_landed_stays(
    inbox: Inbox, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    ending, data, says = BROKEN[case]
    inbox.rows("orders/orders", [order(1)])
    inbox.rows("channel_spend/channel_spend", [spend(1)])
    first = inbox.land().landed
    (inbox.root / "orders" / "orders" / "2025-11-11.csv").unlink()
    path = inbox.root / "orders" / "orders" / f"2025-11-11.{ending}"
    if case == "a gzip with a wrong checksum":
        sound = bytearray(gzip.compress(json.dumps(order(1)).encode()))
        sound[-6] ^= 255
        data = bytes(sound)
    path.write_bytes(data)
    text = inbox.refusal()
    assert says in text
    assert f"source inbox, {path}" in text
    assert "orders/orders of 2025-11-11 was refused" in text
    assert read_manifests(inbox.settings) == sorted(first, key=lambda manifest: manifest.feed)
    assert all(manifest.data_path.exists() for manifest in read_manifests(inbox.settings))
    assert not list(inbox.settings.home.rglob(".tmp-*"))
    # The next delivery is not harmed by what was left of this one.
    path.unlink()
    inbox.rows("orders/orders", [order(2), order(3)])
    assert inbox.one().rows_in == 2


def test_a_gzip_that_grows_without_end_is_refused(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.files._BOMB_BYTES", 1 << 22)
    monkeypatch.setattr("ingestion.files._MOST_GROWTH", 100)
    inbox.write("orders/orders", HEAD + "1,2025-11-11,paid,USD\n" * 1_000_000, ending="csv.gz")
    assert "unpacks to more than 100 times its size" in inbox.refusal()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_missing_required_column_is_refused_with_what_was_found(inbox: Inbox, ending: str) -> None:
    rows = [
        {("Order ID" if name == "order_id" else name): v for name, v in order(n).items()} for n in range(9)
    ]
    inbox.rows("orders/orders", rows, ending=ending)
    text = inbox.refusal()
    assert "The required column 'order_id' is missing" in text
    assert "column order_id" in text
    assert "Order ID, ordered_at, status" in text or "Order ID, currency" in text
    assert "'Order ID' is 'order_id' but for its writing" in text


def test_a_removed_required_column_is_refused_and_a_removed_optional_one_lands(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)], day="2025-11-11")
    changed = order(2)
    del changed["status"], changed["currency"]
    inbox.rows("orders/orders", [changed], day="2025-11-12")
    optional = order(3)
    del optional["discount_amount"]
    inbox.rows("orders/orders", [optional], day="2025-11-13")
    report = inbox.land()
    assert [str(manifest.delivery) for manifest in report.landed] == ["2025-11-11", "2025-11-13"]
    assert "The required columns 'status', 'currency' are missing" in str(report.refused[0])
    assert inbox.landed("orders/orders", "discount_amount")[1] == (None,)


def test_another_delimiter_is_recognised_in_the_message(inbox: Inbox) -> None:
    inbox.write("orders/orders", GOOD.replace(",", ";"))
    assert "fields seem to be separated by ';'" in inbox.refusal()


@pytest.mark.parametrize(
    ("bad", "lands"), [(0, True), (1, True), (3, True), (4, False), (150, False), (300, False)]
)
@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "parquet"])
def test_bad_rows_are_quarantined_up_to_the_allowed_share_and_refused_beyond(
    inbox: Inbox, ending: str, bad: int, lands: bool
) -> None:
    rows = [order(number) for number in range(300)]
    for number in range(bad):
        rows[7 + number if bad < 200 else number] |= {"ordered_at": "soon"}
    inbox.rows("orders/orders", rows, ending=ending)
    if lands:
        manifest = inbox.one()
        assert (manifest.rows_landed, manifest.rows_quarantined) == (300 - bad, bad)
        return
    text = inbox.refusal()
    assert f"{bad} of 300 rows are bad" in text
    assert "more than the allowed 1.0%" in text
    assert "column ordered_at" in text
    assert f"row {8 if bad < 200 else 1}" in text
    assert "'soon' (ordered_at_not_an_instant)" in text
    assert "an instant such as 2025-11-11T08:30:00Z" in text


def test_the_share_is_exact_where_a_float_would_not_be(inbox: Inbox) -> None:
    rows = [order(number, status="?" if number < 29 else "paid") for number in range(2900)]
    inbox.rows("orders/orders", rows)
    assert inbox.one().rows_quarantined == 29


def test_a_retyped_required_column_is_refused(inbox: Inbox) -> None:
    path = inbox.write("orders/order_items", b"", ending="parquet")
    pq.write_table(
        pa.table(
            {
                "order_id": ["1"],
                "line_number": [1],
                "product_id": ["p"],
                "quantity": [["two"]],
                "unit_price": ["1"],
            }
        ),
        path,
    )
    text = inbox.refusal()
    assert "quantity_not_an_integer" in text
    assert "in quantity: a whole number" in text


def test_every_message_of_a_bad_value_says_what_was_expected(inbox: Inbox) -> None:
    cases = {
        "status": ("?", "one of placed, paid, shipped"), "currency": ("usd", "a text like ^[A-Z]{3}$"),
        "discount_amount": ("1.23456", "holds without rounding"), "ordered_at": ("1900-01-01", "at least 1970-01-01"),
    }  # fmt: skip
    for column, (value, expected) in cases.items():
        inbox.rows("orders/orders", [order(1, **{column: value})])
        text = inbox.refusal()
        assert expected in text
        assert repr(value) in text
    inbox.rows("orders/orders", [order(1, order_id="")])
    assert "found: nothing (order_id_missing)" in inbox.refusal()


def test_nul_characters_that_hide_in_values_are_bad(inbox: Inbox) -> None:
    rows = [order(number) for number in range(200)]
    rows[3]["device"] = "a\0b"
    inbox.rows("orders/orders", rows, ending="jsonl", day="2025-11-11")
    inbox.rows("orders/orders", rows, ending="parquet", day="2025-11-12")
    assert [m.quarantine_reasons for m in inbox.land().landed] == [{"device_holds_nul": 1}] * 2


def test_hostile_values_and_names_are_only_text(inbox: Inbox) -> None:
    hostile = "'); drop table staged; --"
    rows = [order(1, order_id=hostile, device='=cmd|" /C calc"!A0', **{'x"; drop table staged; --': hostile})]
    inbox.rows("orders/orders", rows, ending="csv", day="2025-11-11")
    inbox.rows("orders/orders", rows, ending="jsonl", day="2025-11-12")
    inbox.rows("orders/orders", rows, ending="parquet", day="2025-11-13")
    assert len(inbox.land().landed) == 3
    assert {row[0] for row in inbox.landed("orders/orders", "order_id")} == {hostile}


def test_refusals_survive_being_pickled(inbox: Inbox) -> None:
    import pickle

    inbox.write("orders/orders", "")
    (error,) = inbox.land().refused
    assert isinstance(error, DeliveryRefusedError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert error.exit_code == 3


def leaks(home: Path, needles: list[str]) -> list[str]:
    """Where any of the needles stands under a folder: as it is, in any case, inside Parquet columns, too."""
    found = []
    for path in home.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes().lower()
        if path.suffix == ".parquet":
            content += repr(query(f"select * from '{path}'")).lower().encode()
        found += [f"{path}: {needle}" for needle in needles if needle.lower().encode() in content]
    return found


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_no_personal_data_is_written_in_clear_text(
    inbox: Inbox, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    needles = ["canary", "@example.com", "5551200", "(170)"]
    rows = [customer(number) for number in range(400)]
    rows[3] |= {"registered_at": "soon"}
    rows[4] |= {"registered_at": "Canary.4@example.com"}  # slipped into the next column
    rows[5] |= {"region": "canary.5@example.com"}
    rows[6] |= {"updated_at": "+49 (170) 5551200"}
    for row in rows:
        row |= {"backup_email": "canary@example.com", "note": "write to canary@example.com"}
    inbox.rows("orders/customers", rows, ending=ending)
    manifest = inbox.one()
    assert manifest.quarantine_reasons == {
        "registered_at_not_an_instant": 2, "region_personal": 1, "updated_at_not_an_instant": 1,
    }  # fmt: skip
    assert leaks(inbox.settings.home, needles) == []
    told = "\n".join([*inbox.said.texts, caplog.text])
    # As many bad rows as refuse the delivery: its message must not show them either.
    inbox.rows(
        "orders/customers", [customer(n, registered_at="Canary@example.com") for n in range(9)], ending=ending
    )
    told += inbox.refusal()
    assert not [needle for needle in needles if needle in told.lower()]
    assert leaks(inbox.settings.home, needles) == []


def test_broken_rows_with_personal_data_do_not_leak(inbox: Inbox) -> None:
    lines = ["customer_id,registered_at,region,email,phone"]
    lines += [f"c{n},2025-01-01,north,canary{n}@example.com,+49170555{n:04}" for n in range(400)]
    lines[7] += ",canary7@example.com"
    lines[9] = "c8,canary8@example.com"
    inbox.write("orders/customers", "\n".join(lines))
    assert inbox.one().quarantine_reasons == {"wrong_number_of_fields": 2}
    inbox.write("orders/customers", "\n".join([*lines, 'c1,,,"canary']), day="2025-11-12")
    inbox.write("orders/customers", json.dumps(customer(1)) + "\n" + '{"email": "canary@example.com', ending="jsonl",
                day="2025-11-13")  # fmt: skip
    report = inbox.land()
    assert len(report.refused) == 2
    assert "canary" not in "\n".join(str(error) for error in report.refused).lower()
    assert leaks(inbox.settings.home, ["canary", "@example.com"]) == []


def test_order_items_and_events_may_hold_what_looks_personal(inbox: Inbox) -> None:
    inbox.rows("orders/order_items", [item(1, product_id="a@b", note="1234567890")])
    inbox.one()
    assert inbox.landed("orders/order_items", "product_id, note") == [("a@b", "1234567890")]
