"""Casts are exact: what a column may hold, in every format, and what is a bad value instead."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.ingestion.conftest import Inbox, item, order, query, spend

TEXT_FORMATS = ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]
UTC = dt.UTC


def try_values(
    inbox: Inbox, table: str, row: Any, column: str, values: list[Any], ending: str
) -> dict[Any, Any]:
    """Land one row per value among 200 sound ones each; what every value became, or its quarantine reason."""
    rows = [row(number) for number in range(200 * len(values))]
    for number, value in enumerate(values):
        rows[number * 200] |= {column: value}
    inbox.rows(table, rows, ending=ending)
    inbox.one()
    became = dict(inbox.landed(table, f"_row, {column}"))
    reasons = {line - (ending.startswith("csv")): reason for reason, _, line in inbox.quarantine(table)}
    return {
        value: became.get(number * 200 + 1, reasons.get(number * 200 + 1))
        for number, value in enumerate(values)
    }


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_money_is_exact_or_bad_and_never_rounded(inbox: Inbox, ending: str) -> None:
    became = try_values(
        inbox, "orders/order_items", item, "unit_price",
        ["0", "0.1", ".5", "7.", "12345678901234.1234", "1.230000", "+2", " 3.5 ", "1.00001", "1e3", "1,50", "12.50 USD",
         "-1", "NaN", "inf", "99999999999999999999", "--1"],
        ending,
    )  # fmt: skip
    bad = {
        "1.00001": "unit_price_not_exact", "1e3": "unit_price_not_exact", "1,50": "unit_price_not_a_number",
        "12.50 USD": "unit_price_not_a_number", "-1": "unit_price_out_of_range", "NaN": "unit_price_not_exact",
        "inf": "unit_price_not_exact", "99999999999999999999": "unit_price_not_exact",
        "--1": "unit_price_not_a_number",
    }  # fmt: skip
    assert became == {text: bad.get(text) or Decimal(text) for text in became}


def test_json_numbers_keep_every_digit(inbox: Inbox) -> None:
    digits = ["12345678901234.1234", "0.1", "19.90", "99999999999999.9999", "3", "1E2"]
    lines = [json.dumps(item(number)).replace('"9.99"', text) for number, text in enumerate(digits)]
    # The same name inside a text and in a nested value must not be taken for the number.
    lines.append(json.dumps(item(6, note='"unit_price": 5', more={"unit_price": 7}) | {"unit_price": "8.25"}))
    lines.append(json.dumps({"more": {"unit_price": 7}} | item(7)).replace('"9.99"', "8.5"))
    inbox.write("orders/order_items", "\n".join(lines), ending="jsonl")
    inbox.one()
    got = [row[0] for row in inbox.landed("orders/order_items", "unit_price")]
    assert got == [Decimal(text) for text in digits] + [Decimal("8.25"), Decimal("8.5")]


def test_a_json_number_with_too_many_places_is_bad_even_where_a_double_would_hide_it(inbox: Inbox) -> None:
    lines = [json.dumps(item(number)) for number in range(200)]
    lines[7] = json.dumps(item(7)).replace('"9.99"', "9.99000000000000000001")
    inbox.write("orders/order_items", "\n".join(lines), ending="jsonl")
    assert inbox.one().quarantine_reasons == {"unit_price_not_exact": 1}


def test_parquet_doubles_are_money_only_where_their_shortest_text_is_exact(inbox: Inbox) -> None:
    prices = [2.55, 0.1, 4.0, 0.1 + 0.2, 1e17, None, float("nan")] + [1.0] * 700
    table = pa.table({
        "order_id": [f"o{n}" for n in range(len(prices))],
        "line_number": pa.array([1.0] * len(prices), pa.float64()),
        "product_id": pa.array([17850.0] * len(prices), pa.float64()),
        "quantity": pa.array([2] * len(prices), pa.int16()),
        "unit_price": pa.array(prices, pa.float64()),
    })  # fmt: skip
    path = inbox.write("orders/order_items", b"", ending="parquet")
    pq.write_table(table, path)
    assert inbox.one().quarantine_reasons == {"unit_price_not_exact": 2, "unit_price_missing": 2}
    landed = inbox.landed("orders/order_items", "product_id, line_number, quantity, unit_price")
    assert landed[:3] == [
        ("17850", 1, 2, Decimal("2.55")),
        ("17850", 1, 2, Decimal("0.1")),
        ("17850", 1, 2, 4),
    ]


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_whole_numbers_may_be_written_with_a_zero_fraction(inbox: Inbox, ending: str) -> None:
    became = try_values(
        inbox, "orders/order_items", item, "quantity",
        ["3", "3.0", "+4", " 5 ", "007", "3.5", "1_000", "0x10", "1e2", "two", "0", "-1", "9223372036854775808"], ending,
    )  # fmt: skip
    assert became == {
        "3": 3, "3.0": 3, "+4": 4, " 5 ": 5, "007": 7, "3.5": "quantity_not_an_integer",
        "1_000": "quantity_not_an_integer", "0x10": "quantity_not_an_integer", "1e2": "quantity_not_an_integer",
        "two": "quantity_not_an_integer", "0": "quantity_out_of_range", "-1": "quantity_out_of_range",
        "9223372036854775808": "quantity_not_an_integer",
    }  # fmt: skip


INSTANTS = {
    "2025-11-11T08:30:00Z": dt.datetime(2025, 11, 11, 8, 30, tzinfo=UTC),
    "2025-11-11T08:30Z": dt.datetime(2025, 11, 11, 8, 30, tzinfo=UTC),
    "2025-11-11T08:30:00.123456+02:00": dt.datetime(2025, 11, 11, 6, 30, 0, 123456, tzinfo=UTC),
    "2025-11-11T08:30:00-0530": dt.datetime(2025, 11, 11, 14, 0, tzinfo=UTC),
    "2025-11-11 08:30:00+01": dt.datetime(2025, 11, 11, 7, 30, tzinfo=UTC),
    "2025-11-11T08:30:00": dt.datetime(2025, 11, 11, 8, 30, tzinfo=UTC),
    "2025-11-11 08:30": dt.datetime(2025, 11, 11, 8, 30, tzinfo=UTC),
    "2025-11-11": dt.datetime(2025, 11, 11, tzinfo=UTC),
    "2025-02-30T08:00:00Z": "ordered_at_not_an_instant",
    "11/11/2025": "ordered_at_not_an_instant",
    "infinity": "ordered_at_not_an_instant",
    "epoch": "ordered_at_not_an_instant",
    "1731312000": "ordered_at_not_an_instant",
    "2025-11-11 08:30:00 Europe/Berlin": "ordered_at_not_an_instant",
    "0001-01-01T00:00:00Z": "ordered_at_out_of_range",
}


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_instants_are_iso_8601_and_naive_ones_utc_in_the_inbox(inbox: Inbox, ending: str) -> None:
    assert try_values(inbox, "orders/orders", order, "ordered_at", list(INSTANTS), ending) == INSTANTS


def with_zone(inbox: Inbox, zone: str, tmp_path: Path) -> Inbox:
    sources = inbox.settings.sources_file.read_text().replace(
        "time_zone: UTC\n    feeds", f"time_zone: {zone}\n    feeds", 1
    )
    path = tmp_path / "sources.yml"
    path.write_text(sources)
    return replace(inbox, settings=replace(inbox.settings, sources_file=path))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_naive_instants_are_in_the_sources_zone_summer_time_included(
    inbox: Inbox, tmp_path: Path, ending: str
) -> None:
    became = try_values(
        with_zone(inbox, "America/New_York", tmp_path), "orders/orders", order, "ordered_at",
        ["2025-07-01T08:30:00", "2025-12-01 08:30:00", "2025-12-01", "2025-07-01T08:30:00Z", "2025-07-01T08:30-04:00"],
        ending,
    )  # fmt: skip
    assert list(became.values()) == [
        dt.datetime(2025, 7, 1, 12, 30, tzinfo=UTC), dt.datetime(2025, 12, 1, 13, 30, tzinfo=UTC),
        dt.datetime(2025, 12, 1, 5, 0, tzinfo=UTC), dt.datetime(2025, 7, 1, 8, 30, tzinfo=UTC),
        dt.datetime(2025, 7, 1, 12, 30, tzinfo=UTC),
    ]  # fmt: skip


def test_parquet_instants_keep_their_type(inbox: Inbox, tmp_path: Path) -> None:
    inbox = with_zone(inbox, "Europe/London", tmp_path)
    naive = dt.datetime(2025, 7, 1, 8, 30)
    path = inbox.write("orders/orders", b"", ending="parquet")
    pq.write_table(
        pa.table({
            "order_id": ["1"], "status": ["paid"], "currency": ["GBP"],
            "ordered_at": pa.array([naive], pa.timestamp("us")),
            "paid_at": pa.array([naive], pa.timestamp("us", tz="UTC")),
            "shipped_at": pa.array([naive], pa.timestamp("ns")),
            "delivered_at": pa.array([dt.date(2025, 7, 1)], pa.date32()),
        }),
        path,
    )  # fmt: skip
    inbox.one()
    (row,) = inbox.landed("orders/orders", "ordered_at, paid_at, shipped_at, delivered_at")
    summer, exact = dt.datetime(2025, 7, 1, 7, 30, tzinfo=UTC), dt.datetime(2025, 7, 1, 8, 30, tzinfo=UTC)
    assert row == (summer, exact, summer, dt.datetime(2025, 6, 30, 23, 0, tzinfo=UTC))


def test_the_machines_own_zone_does_not_matter(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        inbox.rows("orders/orders", [order(1, ordered_at="2025-11-11 23:30:00")])
        manifest = inbox.one()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert str(manifest.first_day) == "2025-11-11"
    assert inbox.landed("orders/orders", "ordered_at") == [(dt.datetime(2025, 11, 11, 23, 30, tzinfo=UTC),)]


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_dates_are_dates(inbox: Inbox, ending: str) -> None:
    became = try_values(
        inbox, "channel_spend/channel_spend", spend, "spend_date",
        ["2025-11-11", "2025-11-11 00:00:00", "2025-11-11T00:00:00.000", "2025-11-11T08:00:00", "2025-02-29", "11.11.2025"],
        ending,
    )  # fmt: skip
    day, bad = dt.date(2025, 11, 11), "spend_date_not_a_date"
    assert list(became.values()) == [day, day, day, bad, bad, bad]


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_allowed_values_patterns_and_required_texts(inbox: Inbox, ending: str) -> None:
    bad = [
        {"status": "shiped"}, {"status": "Paid"}, {"currency": "XXX1"}, {"currency": "usd"}, {"order_id": ""},
        {"order_id": "   "}, {"status": None},
    ]  # fmt: skip
    rows = [order(number) for number in range(1000)]
    for number, change in enumerate(bad):
        rows[number] |= change
    inbox.rows("orders/orders", rows, ending=ending)
    assert inbox.one().quarantine_reasons == {
        "currency_malformed": 2, "order_id_missing": 2, "status_not_allowed": 2, "status_missing": 1,
    }  # fmt: skip


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_ids_keep_leading_zeros_and_what_is_empty_is_missing(inbox: Inbox, ending: str) -> None:
    inbox.rows("orders/orders", [order(7, customer_id="007", paid_at="", device="")], ending=ending)
    inbox.one()
    assert inbox.landed("orders/orders", "order_id, customer_id, paid_at, device") == [
        ("0007", "007", None, None)
    ]


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_landed_columns_are_the_contracts_in_order_and_type(inbox: Inbox, ending: str) -> None:
    from ingestion.contract import read_contracts

    inbox.rows("orders/orders", [order(1, zeta="z", alpha="a")], ending=ending)
    manifest = inbox.one()
    with duckdb.connect() as connection:
        described = connection.execute(f"describe select * from '{manifest.data_path}'").fetchall()
    found = [(row[0], row[1].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")) for row in described]
    expected = [(column.name, column.sql_type) for column in read_contracts()["orders", "orders"].columns]
    extras = [(name, "VARCHAR") for name in manifest.new_columns]
    technical = [
        ("_delivery", "DATE"),
        ("_row", "BIGINT"),
        ("_is_incomplete", "BOOLEAN"),
        ("_source", "VARCHAR"),
    ]
    assert found == expected + extras + technical
    assert sorted(manifest.new_columns) == ["alpha", "zeta"]
    (codec,) = query(f"select distinct compression from parquet_metadata('{manifest.data_path}')")
    assert codec == ("ZSTD",)


def test_a_source_without_paid_at_is_paid_by_its_declared_statuses(inbox: Inbox, tmp_path: Path) -> None:
    text = inbox.settings.sources_file.read_text().replace(
        "    feeds: [orders, clickstream, channel_spend]\n",
        "    feeds: [orders, clickstream, channel_spend]\n    missing_values: ['NULL']\n"
        "    tables: {orders/orders: {paid_statuses: [paid, shipped]}}\n",
        1,
    )
    path = tmp_path / "sources.yml"
    path.write_text(text)
    inbox = replace(inbox, settings=replace(inbox.settings, sources_file=path))
    inbox.rows(
        "orders/orders", [order(1), order(2, status="placed"), order(3, status="shipped", device="NULL")]
    )
    inbox.one()
    paid = inbox.landed("orders/orders", "paid_at = ordered_at, device")
    assert paid == [(True, None), (None, None), (True, None)]
    # A file that has the column says itself what was paid.
    inbox.rows("orders/orders", [order(1, paid_at="")])
    inbox.one()
    assert query(f"select count(paid_at) from '{inbox.land().unchanged[0].data_path}'") == [(0,)]
