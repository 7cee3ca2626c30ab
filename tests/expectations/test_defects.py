"""For each check a seeded defect that it finds: measured in a transaction on the built candidate, then undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import duckdb
import pytest

from expectations.landed import make_new_relations, new_manifests
from expectations.measure import Measured, measure_scans, measure_suite
from expectations.registry import Check, Suite, read_suites
from expectations.verdict import runnable
from ingestion.landing import read_manifests
from publishing.contents import connect
from tests.expectations.conftest import Built

pytestmark = pytest.mark.slow

DEFECTS = [
    # keys and duplicates
    ("insert into core.fct_orders from core.fct_orders limit 1", "facts.orders_are_unique"),
    ("insert into core.fct_order_items from core.fct_order_items limit 1", "facts.order_items_are_unique"),
    ("insert into core.fct_sessions from core.fct_sessions limit 1", "facts.sessions_are_unique"),
    ("insert into core.fct_user_days from core.fct_user_days limit 1", "facts.user_days_are_unique"),
    ("insert into core.fct_channel_spend from core.fct_channel_spend limit 1", "facts.channel_spend_is_unique"),
    ("insert into core.dim_channel from core.dim_channel limit 1", "facts.dimension_keys_are_unique"),
    ("update core.fct_orders set buyer_id = null", "facts.orders_have_their_keys"),
    ("update core.fct_sessions set channel = null", "facts.sessions_have_their_keys"),
    ("insert into marts.gmv_daily from marts.gmv_daily limit 1", "marts.gmv_daily.grain_is_unique"),
    ("update marts.retention set channel = null where day_n = 7", "marts.retention.grain_is_there"),
    # references
    ("update core.fct_order_items set product_key = 'p@nowhere'", "facts.keys_resolve"),
    ("delete from core.dim_customer where customer_key != 'unknown'", "facts.keys_resolve"),
    # ranges and days
    ("update core.fct_order_items set quantity = -1", "facts.lines_are_in_range"),
    ("update core.fct_orders set ordered_dt = date '2031-01-01'", "facts.orders_have_happened"),
    ("update core.fct_sessions set ended_at = timestamptz '2031-01-01'", "facts.sessions_have_happened"),
    ("delete from marts.gmv_daily where dt = (select min(dt) from marts.gmv_daily)", "marts.every_day_is_there"),
    ("delete from marts.active_users where dt = (select max(dt) from marts.active_users)", "marts.every_day_is_there"),
    # money and rows
    ("update core.fct_order_items set item_amount = item_amount + 0.0001", "conservation.money_of_lines"),
    ("update core.fct_orders set order_amount = order_amount - 0.01", "conservation.money_of_orders"),
    ("update marts.gmv_daily set gmv = gmv + 0.0001 where gmv > 0", "conservation.money_of_gmv"),
    ("update marts.gmv_daily set placed_gmv = 0", "conservation.money_of_placed_gmv"),
    ("update marts.gmv_daily set refund_amount = refund_amount + 1", "conservation.money_of_refunds"),
    ("update core.fct_channel_spend set spend = spend * 2", "conservation.money_of_spend"),
    ("delete from core.fct_orders where order_id = (select min(order_id) from core.fct_orders)", "conservation.orders_are_all_there"),
    ("update core.fct_sessions set events = events * 3", "conservation.events_are_not_multiplied"),
    ("update marts.gmv_daily set uv = uv + 1", "conservation.traffic_of_gmv_daily"),
    ("update ops.load_audit set rows_landed = rows_landed - 1", "deliveries.rows_add_up"),
    # marts with themselves and with each other
    ("update marts.gmv_daily set net_revenue = gmv", "marts.net_revenue_adds_up"),
    ("update marts.gmv_daily set spend_per_buyer = spend_per_buyer * 1.000001", "marts.gmv_identity"),
    ("update marts.gmv_daily set aov = aov * 1.01", "marts.rates_of_gmv_daily"),
    ("update marts.gmv_daily set cancel_rate = 1.2", "marts.gmv_daily.rates_are_shares"),
    ("update marts.gmv_daily set gmv_wow = 'nan'::double", "marts.gmv_daily.rates_are_finite"),
    ("update marts.active_users set dau = dau + 1", "marts.users_agree"),
    ("update marts.funnel_daily set visited = visited + 1", "marts.sessions_agree"),
    ("update marts.funnel_daily set paid = checked_out + 1", "marts.funnel_narrows"),
    ("update marts.retention set retained = -1", "marts.retention.counts_are_counts"),
    ("delete from marts.customer_rfm where customer_id = (select min(customer_id) from marts.customer_rfm)", "marts.rfm_has_every_buyer"),
    ("update marts.rfm_segments set customers = customers + 1", "marts.segments_agree"),
    # tables and columns
    ("delete from core.fct_sessions", "facts.facts_are_not_empty"),
    ("drop table marts.repurchase", "marts.repurchase.has_its_columns"),
    ("alter table marts.gmv_daily rename column aov to average", "marts.gmv_daily.has_its_columns"),
    ("alter table marts.gmv_daily alter column orders type integer", "marts.gmv_daily.has_its_columns"),
]  # fmt: skip


@pytest.fixture(scope="module")
def connection(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    path = tmp_path_factory.mktemp("defects") / built.candidate.path.name
    shutil.copy(built.candidate.path, path)
    with connect(path, read_only=False) as opened:
        make_new_relations(opened, new_manifests(opened, read_manifests(built.settings)))
        yield opened


def measure(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[Check, Measured]:
    suite, check = next(
        (suite, check) for suite in read_suites() for check in suite.checks if check.name == name
    )
    alone = Suite(suite.name, suite.prepare, (check,))
    return check, (measure_scans(connection, [alone]) | measure_suite(connection, alone, {}))[name]


def is_met(check: Check, measured: Measured) -> bool:
    assert measured.observed is not None
    above = check.at_least is None or measured.observed >= check.at_least
    return above and (check.at_most is None or measured.observed <= check.at_most)


@pytest.mark.parametrize(("statement", "name"), DEFECTS, ids=lambda text: text[:60])
def test_defect_is_found_by_the_check_for_it(
    connection: duckdb.DuckDBPyConnection, statement: str, name: str
) -> None:
    check, before = measure(connection, name)
    assert is_met(check, before)
    connection.execute("begin transaction")
    try:
        connection.execute(statement)
        check, after = measure(connection, name)
    finally:
        connection.execute("rollback")
    assert not after.error
    assert not is_met(check, after)


def test_queries_of_the_report_run_on_the_candidate_as_it_stands(built: Built) -> None:
    for suite in read_suites():
        for check in suite.checks:
            if check.sql:
                # A connection of its own for each: none may lean on tables that another one made.
                with connect(built.candidate.path) as connection:
                    connection.execute(runnable(check.rows_sql, suite.prepare))
