"""Each dial shows in the files, and only when it is on."""

from __future__ import annotations

import duckdb
import pytest

from simulator.faults import FAULTS

from .reading import files_of, read

SHOP = {"days": 12, "users": 500, "seed": 4, "currencies": ("USD", "EUR")}
# Each counts what its fault brings.
SIGNS = {
    "late": "select * from events where event_at::date < delivery",
    "duplicates": """
        select event_id from events group by all having count(*) > 1
        union all
        select order_id from order_items group by order_id, line_number having count(*) > count(distinct delivery)""",
    "restated_spend": "select * from channel_spend where spend_date < delivery",
    "bots": r"select * from events where regexp_matches(user_agent, 'bot|python-requests|curl|Headless|spider')",
    "lost_session_ids": "select * from events where session_id is null",
    "no_session_ids": """
        select 1 where not exists (from events where session_id is not null)
            and not exists (from orders where session_id is not null)""",
    "session_ids_per_visitor": "select session_id from events group by all having count(distinct visitor_id) > 1",
    "brushing": """
        select customer_id from orders inner join order_items using (order_id) where sales_channel = 'web'
        group by customer_id, product_id having count(distinct order_id) > 5""",
    "amended_orders": "select order_id from order_items group by order_id having count(distinct delivery) > 1",
    "new_columns": "select 1 from duckdb_columns() where column_name = 'shop_note'",
    "fx_gaps": """
        select day from (select unnest(generate_series(min(rate_date), max(rate_date), interval 1 day)) as day from fx_rates)
        where day not in (select rate_date from fx_rates)""",
    "no_optional_tables": "select 1 where not exists (from duckdb_tables() where table_name = 'promotions')",
}


@pytest.fixture(scope="module")
def untouched(shop):
    return read(shop(**SHOP).out)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "bad_rows"])
def test_a_fault_shows_only_where_it_is_asked_for(shop, untouched, fault):
    assert not untouched.execute(SIGNS[fault]).fetchall()
    assert read(shop(**SHOP, faults=(fault,)).out).execute(SIGNS[fault]).fetchall()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_bad_rows_are_additional_and_few(shop, untouched, ending):
    report = shop(**{**SHOP, "faults": ("bad_rows",), "format": ending})
    files = read(report.out)
    assert report.summary["bad_rows"]["events"]
    for table in ("events", "orders", "order_items", "customers", "products"):
        good = f"select count(*) from {table}"
        assert files.execute(good).fetchone() == untouched.execute(good).fetchone(), table
    for table, reasons in report.summary["bad_rows"].items():
        share = f"select max(bad) from (select avg((columns(0) like 'bad-%')::int) as bad from raw_{table} group by delivery)"
        key = files.execute(f"describe raw_{table}").fetchone()[0]
        worst = files.execute(share.replace("columns(0)", f"coalesce({key}, 'bad-')")).fetchone()[0]
        assert worst < 0.01, table
        small = f"select delivery from raw_{table} group by delivery having count(*) <= 200 and count(*) filter ({key} like 'bad-%') > 0"
        assert not files.execute(small).fetchall(), table
        assert sum(reasons.values()) > 0


def test_what_a_type_cannot_hold_is_only_in_text_files(shop):
    text = shop(**{**SHOP, "faults": ("bad_rows",), "format": "csv"}).summary["bad_rows"]["events"]
    typed = shop(**{**SHOP, "faults": ("bad_rows",), "format": "parquet"}).summary["bad_rows"]["events"]
    assert "event_at_not_an_instant" in text
    assert "event_at_not_an_instant" not in typed
    assert "event_type_not_allowed" in typed


def test_late_events_come_at_most_three_days_late_and_never_after_the_end(shop):
    files = read(shop(**SHOP, faults=("late",)).out)
    worst = files.execute(
        "select max(date_diff('day', event_at::date, delivery)), max(delivery) from events"
    ).fetchone()
    assert worst[0] == 3
    assert str(worst[1]) == "2025-10-12"
    late_order = "select order_id from orders group by all having min(ordered_at)::date < min(delivery)"
    assert files.execute(late_order).fetchall()


def test_without_late_events_each_comes_on_its_day(untouched):
    assert not untouched.execute("select * from events where event_at::date <> delivery").fetchall()


def test_a_visitor_with_exactly_500_events_is_among_the_bots(shop):
    files = read(shop(**SHOP, faults=("bots",)).out)
    counts = files.execute(
        "select count(*) as n from events group by visitor_id, event_at::date order by n desc"
    ).fetchall()
    assert counts[0][0] > 500
    assert (500,) in counts


def test_restated_spend_replaces_whole_channels(shop):
    files = read(shop(**SHOP, faults=("restated_spend",)).out)
    dropped = """
        select spend_date, channel from channel_spend where channel = 'display'
        group by all having min_by(c, delivery) > max_by(c, delivery)
    """
    per_delivery = "select spend_date, channel, delivery, count(*) as c from channel_spend group by all"
    assert files.execute(dropped.replace("channel_spend where", f"({per_delivery}) where")).fetchall()
    final = """
        select spend_date, channel, campaign_id, spend from channel_spend
        qualify delivery = max(delivery) over (partition by spend_date, channel) order by all
    """
    truth = "select spend_date, channel, campaign_id, spend from truth_spend order by all"
    assert files.execute(final).fetchall() == files.execute(truth).fetchall()


def test_a_shop_without_optional_tables_is_the_same_otherwise(shop, untouched):
    files = read(shop(**SHOP, faults=("no_optional_tables",)).out)
    tables = {row[0] for row in files.execute("select table_name from duckdb_tables()").fetchall()}
    assert not tables & {"promotions", "merchants", "reviews", "inventory", "fx_rates"}
    for table in ("orders", "events"):
        everything = f"select bit_xor(hash({table})) from {table}"
        assert files.execute(everything).fetchone() == untouched.execute(everything).fetchone()


def test_new_columns_come_half_way(shop):
    report = shop(**{**SHOP, "faults": ("new_columns",), "format": "csv"})
    headers = [path.read_text().splitlines()[0] for path in files_of(report.out, "channel_spend")]
    assert ["shop_note" in header for header in headers] == [False] * 6 + [True] * 6


def test_every_fault_has_a_description():
    assert all(text and len(text) < 110 for text in FAULTS.values())
    assert duckdb.__version__
