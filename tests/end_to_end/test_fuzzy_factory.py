"""Maven Fuzzy Factory's three years, loaded through its registry entry, agree with the figures that are known of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from mallard import pipeline
from mallard.progress import LogProgress
from mallard.settings import Settings
from tests.end_to_end.shops import published

pytestmark = pytest.mark.slow

ORDERS, REVENUE = 32_313, Decimal("1938509.75")
FILES = ("orders", "order_items", "order_item_refunds", "products", "website_sessions", "website_pageviews")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    folder = shared_data / "fuzzy_factory"
    if not folder.is_dir():
        pytest.skip(f"Maven Fuzzy Factory is not at {folder}")
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("fuzzy"))
    pipeline.load(settings, progress=LogProgress(), source="fuzzy_factory", inbox=folder)
    return settings


def told(folder: Path, sql: str) -> list[tuple]:
    """What the files themselves say, read without any of the project's code; money is exact."""
    with duckdb.connect() as connection:
        for name in FILES:
            connection.execute(
                f"create view {name} as select * from read_csv('{folder}/{name}.csv', nullstr = 'NULL')"
            )
        return connection.execute(sql).fetchall()


def test_orders_revenue_and_refunds(settings: Settings) -> None:
    orders, revenue, customers, repeat_customers = published(
        settings,
        """
        select sum(orders), sum(revenue), count(*), count(*) filter (orders > 1)
        from (
            select buyer_id, count(*) as orders, sum(order_amount) as revenue
            from core.fct_orders where is_paid group by buyer_id
        )
        """,
    ).row(0)
    assert (orders, revenue) == (ORDERS, REVENUE)
    assert (customers, repeat_customers) == (31_696, 591)
    days = published(
        settings, "select sum(orders), sum(gmv), sum(refund_amount), max(dt) from marts.gmv_daily"
    )
    # The last refunds are two weeks younger than the last order.
    assert days.row(0) == (ORDERS, REVENUE, Decimal("85338.69"), dt.date(2015, 4, 1))
    assert published(settings, "select count(*) from core.fct_refunds").item() == 1_731


def test_refund_rates_of_products(settings: Settings) -> None:
    # No order has a product twice, so the mart's orders with a refund are the refunded items.
    mart = published(
        settings,
        """
        select product_id, round(100 * sum(refund_rate * orders) / sum(orders), 2) as percent, sum(units) as units
        from marts.product_performance group by product_id order by product_id
        """,
    )
    assert mart["percent"].to_list() == [5.11, 2.23, 6.04, 1.28]
    assert mart["units"].to_list() == [24_226, 5_796, 4_985, 5_018]
    # Goods may not have come back: nothing counts as a return.
    assert published(settings, "select max(return_rate) from marts.product_performance").item() == 0


def test_margin_is_price_less_cost_of_goods(settings: Settings, folder: Path) -> None:
    ((margin,),) = told(
        folder, "select sum(price_usd::decimal(18, 2)) - sum(cogs_usd::decimal(18, 2)) from order_items"
    )
    assert published(settings, "select sum(margin_amount) from core.fct_orders").item() == margin


def test_sessions_are_the_sources_own(settings: Settings, folder: Path) -> None:
    found = published(
        settings,
        """
        select session_id::bigint, visitor_id::bigint, timezone('UTC', started_at), utm_source, utm_campaign, device
        from core.fct_sessions order by 1
        """,
    )
    columns = "website_session_id, user_id, created_at, utm_source, utm_campaign, device_type"
    true = told(folder, f"select {columns} from website_sessions order by 1")
    assert len(true) == 5_000
    assert found.rows() == true
    before = published(
        settings,
        """
        select count(*) from core.fct_sessions
        where started_at < '2012-04-12' and utm_source = 'gsearch' and campaign_id = 'nonbrand'
        """,
    )
    assert before.item() == 3_613


def test_search_engines_that_only_this_shop_has(settings: Settings) -> None:
    channels = published(
        settings, "select channel, count(*) as sessions from core.fct_sessions group by channel"
    )
    assert dict(channels.rows()) == {"paid_search": 4_869, "organic_search": 66, "direct": 65}


def test_funnel_is_that_of_the_pages(settings: Settings, folder: Path) -> None:
    (true,) = told(
        folder,
        """
        select
            count(distinct website_session_id) filter (pageview_url = '/the-original-mr-fuzzy'),
            count(distinct website_session_id) filter (pageview_url = '/cart'),
            count(distinct website_session_id) filter (pageview_url = '/shipping'),
            count(distinct website_session_id) filter (pageview_url = '/thank-you-for-your-order')
        from website_pageviews
        """,
    )
    assert true == (705, 303, 205, 79)
    funnel = published(
        settings,
        "select sum(viewed), sum(carted), sum(checked_out), sum(paid), sum(any_paid) from marts.funnel_daily",
    )
    # Seventy sessions with an order began after the last page view of the file.
    assert funnel.row(0) == (*true, 149)
    products = published(
        settings,
        "select product_id, sum(detail_views), sum(carts) from marts.product_performance where carts > 0 group by 1",
    )
    assert products.rows() == [("1", 705, 303)]


def test_orders_have_their_own_session_or_none(settings: Settings, folder: Path) -> None:
    found = published(
        settings,
        """
        select order_id::bigint, session_id::bigint
        from core.fct_orders inner join core.fct_sessions using (session_key) order by 1
        """,
    ).rows()
    true = told(
        folder,
        "select order_id, website_session_id from orders semi join website_sessions using (website_session_id) order by 1",
    )
    assert len(true) == 149
    assert found == true


def test_orders_without_a_known_session_are_unattributed_day_by_day(settings: Settings, folder: Path) -> None:
    true = told(
        folder,
        """
        select created_at::date as dt, count(*)::double, sum(price_usd::decimal(18, 4))
        from orders
        where not exists (
            select 1 from website_sessions as sessions
            where sessions.user_id = orders.user_id
                and sessions.created_at between orders.created_at - interval 30 days and orders.created_at
        )
        group by dt order by dt
        """,
    )
    assert sum(orders for _, orders, _ in true) == 32_160
    models = published(settings, "select distinct model from marts.channel_roi")["model"].to_list()
    assert len(models) == 6
    for model in models:
        rows = published(
            settings,
            f"""
            select dt, orders, gmv from marts.channel_roi
            where channel = 'unattributed' and model = '{model}' order by dt
            """,
        ).rows()
        assert rows == true, model


def test_credit_of_each_model_adds_up_to_each_day(settings: Settings) -> None:
    rows = published(
        settings,
        """
        select daily.dt, model, sum(roi.gmv) - any_value(daily.gmv) as gmv_off, sum(roi.orders) - any_value(daily.orders) as orders_off
        from marts.gmv_daily as daily inner join marts.channel_roi as roi using (dt)
        group by daily.dt, model
        """,
    )
    assert rows.height > 6 * 1_000
    assert rows["gmv_off"].abs().max() == 0
    assert rows["orders_off"].abs().max() < 1e-9


def test_every_row_is_accounted_for(settings: Settings, folder: Path) -> None:
    audit = published(
        settings,
        "select table_name, rows_in, rows_landed, rows_quarantined, rows_duplicate from ops.load_audit",
    )
    rows = {name: counts for name, *counts in audit.rows()}
    ((orders, items, refunds, products),) = told(
        folder,
        """
        select (select count(*) from orders), (select count(*) from order_items),
            (select count(*) from order_item_refunds), (select count(*) from products)
        """,
    )
    # Each session's first page view, the 2,452 further ones of 2,548 sessions, carts and purchases.
    events = 5_000 + (5_000 - 2_548) + 303 + 149
    expected = {
        "orders": orders, "order_items": items, "refunds": refunds, "products": products, "customers": 31_696,
        "events": events,
    }  # fmt: skip
    assert rows == {name: [count, count, 0, 0] for name, count in expected.items()}
