"""Which deliveries an inbox holds, and what is wrong with names, folders and ranges."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from ingestion.deliveries import gaps
from mallard.errors import NothingToDoError, SettingsError
from tests.ingestion.conftest import DAY, Inbox, order, spend


def test_deliveries_come_oldest_first_and_by_range(inbox: Inbox) -> None:
    for day in ("2025-11-13", "2025-11-11", "2025-11-12"):
        inbox.rows("orders/orders", [order(1)], day=day)
    inbox.rows("channel_spend/channel_spend", [spend(1)], day="2025-11-12")
    assert [(str(d.day), d.table) for d in inbox.plan()] == [
        ("2025-11-11", "orders"), ("2025-11-12", "channel_spend"), ("2025-11-12", "orders"), ("2025-11-13", "orders"),
    ]  # fmt: skip
    chosen = inbox.plan(first=dt.date(2025, 11, 12), last=dt.date(2025, 11, 12), feeds=["orders"])
    assert [(d.feed, str(d.day)) for d in chosen] == [("orders", "2025-11-12")]


def test_a_day_without_a_delivery_is_told_with_the_nearest_days(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)], day="2025-11-10")
    inbox.rows("orders/orders", [order(1)], day="2025-11-14")
    with pytest.raises(NothingToDoError, match="no delivery for 2025-11-12") as caught:
        inbox.plan(first=dt.date(2025, 11, 12), last=dt.date(2025, 11, 12))
    assert "2025-11-10 and 2025-11-14" in caught.value.found


def test_an_empty_or_absent_inbox_is_told(inbox: Inbox, tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="no delivery at all"):
        inbox.plan()
    inbox.root = tmp_path / "nowhere"
    with pytest.raises(NothingToDoError, match="no inbox at"):
        inbox.plan()


@pytest.mark.parametrize("place", ["", "shop/inbox/orders", "shop/inbox/orders/orders"])
def test_a_folder_beside_the_inbox_is_told_where_the_inbox_is(
    inbox: Inbox, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "shop" / "inbox" / "orders" / "orders"
    folder.mkdir(parents=True)
    (folder / "2025-11-11.csv").touch()
    inbox.root = tmp_path / "shop" if not place else tmp_path / place
    with pytest.raises(SettingsError, match="is no inbox") as caught:
        inbox.plan()
    assert caught.value.mend == f"mallard load --inbox {tmp_path / 'shop' / 'inbox'}"


def test_a_range_that_ends_before_it_begins_is_refused(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)])
    with pytest.raises(SettingsError, match="ends before it begins"):
        inbox.plan(first=dt.date(2025, 11, 12), last=dt.date(2025, 11, 11))


def test_a_feed_that_the_source_does_not_declare_is_refused(inbox: Inbox) -> None:
    with pytest.raises(SettingsError, match="does not deliver weather"):
        inbox.plan(feeds=["weather"])


def test_gaps_in_a_range_are_told_for_main_tables_and_refuse_nothing(inbox: Inbox) -> None:
    for day in ("2025-11-10", "2025-11-12"):
        inbox.rows("orders/orders", [order(1)], day=day)
    inbox.rows("orders/promotions", [], day="2025-11-10")
    deliveries = inbox.plan()
    assert gaps(deliveries) == {("orders", "orders"): [DAY]}
    assert gaps(deliveries, last=dt.date(2025, 11, 13)) == {
        ("orders", "orders"): [DAY, dt.date(2025, 11, 13)]
    }


@pytest.mark.parametrize(
    ("path", "says", "mend"),
    [
        ("order/orders/2025-11-11.csv", "'order' where a feed's folder is expected", "rename it to orders"),
        ("notes.txt", "'notes.txt' where a feed's folder is expected", "begin its name with _"),
        ("orders/order_item/2025-11-11.csv", "no table 'order_item'", "rename the folder to order_items"),
        ("orders/orders.csv", "no table 'orders.csv'", "rename the folder to orders"),
        ("orders/orders/2025-13-01.csv", "named for no day", "rename it"),
        ("orders/orders/11.11.2025.csv", "named for no day", "rename it"),
        ("orders/orders/2025-11-11-2.csv", "named for no day", "rename it"),
        ("orders/orders/2025-11-11.xlsx", "named for no ending", "rename it"),
        ("orders/orders/2025-11-11.csv.zip", "named for no ending", "rename it"),
    ],
)
def test_what_is_misnamed_is_refused_and_the_rest_lands(
    inbox: Inbox, path: str, says: str, mend: str
) -> None:
    inbox.rows("channel_spend/channel_spend", [spend(1)])
    (inbox.root / path).parent.mkdir(parents=True, exist_ok=True)
    (inbox.root / path).write_text("x\n")
    report = inbox.land()
    assert [manifest.table for manifest in report.landed] == ["channel_spend"]
    (error,) = report.refused
    assert says in error.summary
    assert mend in error.mend
    assert str(inbox.root / path.split("/", maxsplit=1)[0]) in error.where


def test_two_files_for_one_table_and_day_are_refused(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)], ending="csv")
    inbox.rows("orders/orders", [order(1)], ending="jsonl.gz")
    text = inbox.refusal()
    assert "2 files for orders/orders of 2025-11-11" in text
    assert "2025-11-11.csv, 2025-11-11.jsonl.gz" in text


def test_names_that_begin_with_a_dot_or_underscore_and_unfinished_files_are_left_alone(inbox: Inbox) -> None:
    inbox.rows("orders/orders", [order(1)])
    for path in ("_truth/gmv.csv", ".DS_Store", "orders/_old/x.csv", "orders/orders/_2025-11-12.csv",
                 "orders/orders/2025-11-12.csv.part", "orders/orders/2025-11-12.csv.tmp"):  # fmt: skip
        (inbox.root / path).parent.mkdir(parents=True, exist_ok=True)
        (inbox.root / path).write_text("x")
    assert [delivery.problem for delivery in inbox.plan()] == [None]


def test_links_that_lead_out_of_the_inbox_are_refused(inbox: Inbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("order_id,ordered_at,status,currency\n1,2025-11-11,paid,USD\n")
    folder = inbox.root / "orders" / "orders"
    folder.mkdir(parents=True)
    (folder / "2025-11-11.csv").symlink_to(secret)
    (folder / "2025-11-12.csv").symlink_to(tmp_path / "gone.csv")
    (folder / "2025-11-13.csv").symlink_to("../../../secret.csv")
    os.mkfifo(folder / "2025-11-14.csv")
    (folder / "2025-11-15.csv").mkdir()
    problems = [delivery.problem.summary for delivery in inbox.plan() if delivery.problem]
    assert ["outside" in p or "nowhere" in p or "no regular file" in p for p in problems] == [True] * 5
    linked = inbox.root / "channel_spend"
    linked.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2025-11-11.csv").write_text("x")
    (linked / "channel_spend").symlink_to(tmp_path / "elsewhere")
    assert "outside the inbox" in str(next(d for d in inbox.plan() if d.table == "channel_spend").problem)
    assert not inbox.land().landed


def test_a_link_inside_the_inbox_and_an_inbox_that_is_a_link_are_read(inbox: Inbox, tmp_path: Path) -> None:
    path = inbox.rows("orders/orders", [order(1)])
    (path.parent / "2025-11-12.csv").symlink_to("2025-11-11.csv")
    link = tmp_path / "link"
    link.symlink_to(inbox.root)
    inbox.root = link
    assert len(inbox.land().landed) == 2


def test_a_folder_whose_name_looks_like_a_pattern_is_meant_as_it_is(inbox: Inbox, tmp_path: Path) -> None:
    inbox.root = tmp_path / "in[1]*? day=2025-01-01"
    for ending in ("csv", "jsonl", "parquet"):
        inbox.rows("orders/orders", [order(1)], ending=ending)
        assert inbox.one().rows_landed == 1
        (inbox.root / "orders" / "orders" / f"2025-11-11.{ending}").unlink()
