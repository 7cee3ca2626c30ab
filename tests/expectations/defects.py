"""A seeded defect for every check that blocks: written ones by the check's name, the others by its kind.

A defect is a list of SQL statements on the candidate. What it changes is undone after it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from expectations.dbt_words import arguments_of, kind_of
from expectations.generated import is_share
from expectations.registry import Check
from ingestion.contract import Column, read_contracts
from publishing.promised import mart_columns

# Rows that a table needs before it can be spoilt; a shop of a few days leaves some empty.
SAMPLES = {
    "VARCHAR": "'sample'",
    "DATE": "(select as_of from ops.run)",
    "TIMESTAMP WITH TIME ZONE": "timestamptz '2025-11-02 12:00:00+00'",
    "BOOLEAN": "false",
}

DEFECTS: dict[str, str] = {
    # deliveries
    "deliveries.rows_add_up": "update ops.load_audit set rows_landed = rows_landed - 1",
    "deliveries.quarantined_rows_are_kept": "update ops.load_audit set rows_quarantined = rows_quarantined + 1, rows_in = rows_in + 1",
    "deliveries.volume_is_there": """
        delete from ops.load_audit where table_name = 'orders';
        insert into ops.load_audit by name
        select
            'orders' as feed, 'orders' as table_name, 'inbox' as source, date '2025-11-09' - 7 * week::integer as delivery,
            if(week = 0, 600, 1000) as rows_in, if(week = 0, 600, 1000) as rows_landed, 0 as rows_quarantined,
            0 as rows_duplicate, week = 0 as is_new
        from range(5) as weeks (week)
    """,
    # no row and no money vanishes
    "conservation.every_currency_has_its_rate": "update ops.run set currency = 'CHF'",
    "conservation.orders_are_all_there": "delete from core.fct_orders where order_id = (select min(order_id) from core.fct_orders)",
    "conservation.money_of_lines": "update core.fct_order_items set item_amount = item_amount + 0.0001",
    "conservation.money_of_orders": "update core.fct_orders set order_amount = order_amount - 0.01",
    "conservation.money_of_gmv": "update marts.gmv_daily set gmv = gmv + 0.0001 where gmv > 0",
    "conservation.money_of_placed_gmv": "update marts.gmv_daily set placed_gmv = placed_gmv - 0.0001",
    "conservation.money_of_refunds": "update marts.gmv_daily set refund_amount = refund_amount + 0.0001",
    "conservation.refunds_are_all_there": "insert into core.fct_refunds by name select 'r-nobody' as refund_id",
    "conservation.money_of_spend": "update core.fct_channel_spend set spend = spend + 0.0001",
    "conservation.events_are_not_multiplied": "update core.fct_sessions set events = events * 3",
    "conservation.visitors_have_sessions": "update core.fct_sessions set visitor_id = visitor_id || '?'",
    "conservation.traffic_of_gmv_daily": "update marts.gmv_daily set uv = uv + 1",
    # the star schema
    "facts.sessions_have_their_keys": "update core.fct_sessions set channel = null",
    "facts.user_days_have_their_keys": "update core.fct_user_days set is_bot = null",
    "facts.keys_resolve": "update core.fct_order_items set order_id = 'nowhere'",
    "facts.history_has_no_gaps": "update core.dim_customer set valid_to = valid_from",
    "facts.orders_have_happened": "update core.fct_orders set ordered_dt = date '2031-01-01'",
    "facts.refunds_have_happened": "insert into core.fct_refunds by name select 'r1' as refund_id, date '2031-01-01' as refunded_dt",
    "facts.sessions_have_happened": "update core.fct_sessions set ended_at = timestamptz '2031-01-01 00:00:00+00'",
    "facts.spend_has_happened": "update core.fct_channel_spend set dt = date '2031-01-01'",
    "facts.paid_orders_have_a_day": "update core.fct_orders set paid_dt = null where is_paid",
    "facts.lines_are_in_range": "update core.fct_order_items set quantity = -1",
    "facts.refunds_are_in_range": "insert into core.fct_refunds by name select 'r1' as refund_id, -1 as amount",
    "facts.facts_are_not_empty": "delete from core.fct_sessions",
    # marts with themselves and with each other
    "marts.every_day_is_there": "delete from marts.active_users where dt = (select max(dt) - 1 from marts.active_users)",
    "marts.net_revenue_adds_up": "update marts.gmv_daily set net_revenue = net_revenue - 0.0001",
    "marts.rates_of_gmv_daily": "update marts.gmv_daily set aov = aov * 1.01",
    "marts.buyers_are_within_orders": "update marts.gmv_daily set new_buyers = buyers + 1",
    "marts.orders_of_gmv_daily": "update marts.gmv_daily set units = units + 1",
    "marts.user_windows_are_ordered": "update marts.active_users set returning_users = returning_users + 1",
    "marts.cohorts_agree": "update marts.retention set cohort_size = cohort_size + 1 where channel != 'all'",
    "marts.retained_are_of_the_cohort": "update marts.retention set retained = cohort_size + 1 where is_mature",
    "marts.segments_agree": "update marts.rfm_segments set customers = customers + 1",
    # dbt's queries of their own
    "dbt.attribution_adds_up_to_sales": "update marts.channel_roi set gmv = gmv + 0.0001 where gmv > 0 and model = 'markov'",
    "dbt.cohorts_hold_every_buyer_once": "update marts.repurchase_cohort set cohort_size = cohort_size + 1",
    "dbt.credits_of_an_order_add_up_to_one": "update core.fct_touchpoints set markov_credit = markov_credit / 2",
    "dbt.customer_ltv_agrees_with_repurchase_cohort": "update marts.repurchase_cohort set gmv = 1, is_mature = true",
    "dbt.funnel_is_monotone": "update marts.funnel_daily set viewed = any_viewed + 1",
    "dbt.gmv_by_dimension_adds_up_to_gmv_daily": "update marts.gmv_by_dimension set gmv = gmv + 0.0001 where dimension = 'brand'",
    "dbt.gmv_drivers_add_up_to_the_change": "update marts.gmv_drivers set spend_effect = spend_effect + 0.0001",
    "dbt.gmv_drivers_channels_add_up_to_all": "update marts.gmv_drivers set gmv = gmv + 0.0001 where channel = 'all'",
    "dbt.gmv_is_uv_times_conversion_times_spend": "update marts.gmv_daily set conversion_rate = conversion_rate * 1.000001",
    "dbt.order_amounts_have_rates": "update intermediate.int_currency_days set rate_to_reporting = null",
    "dbt.products_add_up_to_gmv_daily": "update marts.product_performance set gmv = gmv + 0.0001 where gmv > 0",
    "dbt.repurchasers_are_buyers": "update marts.repurchase set repurchase_users = buyers + 1",
    "dbt.retention_cohorts_hold_every_user_once": "update marts.retention set cohort_size = cohort_size + 1 where channel = 'all'",
    "dbt.rfm_holds_the_buyers_of_its_window": "delete from marts.customer_rfm where customer_id = (select max(customer_id) from marts.customer_rfm)",
    "dbt.sessions_add_up_to_gmv_daily": "update marts.conversion_paths set sessions = sessions + 1",
    "dbt.slots_sell_no_more_than_the_shop": "update marts.slot_performance set gmv = gmv + 1000000",
    "dbt.user_days_hold_every_session_once": "update core.fct_user_days set sessions = sessions + 1",
}  # fmt: skip


def defects_of(connection: duckdb.DuckDBPyConnection, check: Check, node: dict[str, Any] | None) -> list[str]:
    """The defects that a check must find, each on its own; none: nobody wrote one.

    Args:
        connection: to the candidate, with all rows of landing as ``new_<feed>__<table>`` tables.
        check: the check.
        node: dbt's node, where it is one of dbt's tests.
    """
    if check.name in DEFECTS:
        return [DEFECTS[check.name]]
    if node is not None:
        return _of_dbt_test(connection, node)
    if check.suite == "contracts":
        return _of_contract(connection, check)
    if check.suite == "marts":
        return _of_mart(connection, check)
    return []


def _of_contract(connection: duckdb.DuckDBPyConnection, check: Check) -> list[str]:
    table = check.name.split(".")[1]
    relation = f"new_{table}"
    feed, _, name = table.partition("__")
    contract = read_contracts()[feed, name]
    if check.name.endswith(".has_its_columns"):
        return [
            f'alter table {relation} drop column "{contract.columns[0].name}"',
            f'alter table {relation} alter column "{contract.columns[-1].name}" set data type blob using null',
        ]
    column = next(one for one in contract.columns if one.name == check.columns)
    return [_set(connection, relation, column.name, value) for value in _forbidden(check, column)]


def _forbidden(check: Check, column: Column) -> list[str]:
    if check.name.endswith("_is_there"):
        return ["null"]
    if check.name.endswith("_is_allowed"):
        return ["'nobody allowed this'"]
    values = []
    step = "interval 1 day" if column.sql_type in {"DATE", "TIMESTAMPTZ"} else "1"
    if column.minimum is not None:
        below = "" if column.is_minimum_exclusive else f" - {step}"
        values.append(f"'{column.minimum}'::{column.sql_type}{below}")
    if column.maximum is not None:
        values.append(f"'{column.maximum}'::{column.sql_type} + {step}")
    return values


def _of_mart(connection: duckdb.DuckDBPyConnection, check: Check) -> list[str]:
    _, mart, kind = check.name.split(".")
    figures = [column for column in mart_columns()[mart] if not column.is_grain]
    doubles = [column.name for column in figures if column.sql_type == "DOUBLE"]
    counts = [column.name for column in figures if column.sql_type == "BIGINT"]
    table = check.table
    if kind == "has_its_columns":
        return [
            f'alter table {table} rename column "{column.name}" to renamed' for column in figures[-1:]
        ] + [f'alter table {table} alter column "{name}" set data type integer' for name in counts[:1]]
    values = {
        "rates_are_finite": (doubles, "'infinity'::double"),
        "rates_are_shares": ([name for name in doubles if is_share(name)], "1.5"),
        "counts_are_counts": (counts, "-1"),
    }
    columns, value = values.get(kind, ([], ""))
    return [_set(connection, table, column, value) for column in columns]


def _of_dbt_test(connection: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> list[str]:
    arguments = arguments_of(node)
    tested = node["attached"]
    table = f'"{tested["database"]}"."{tested["schema"]}"."{tested["alias"]}"'
    kind = kind_of(node)
    column = arguments.get("column_name") or ""
    judged = "true"
    if node["config"].get("where") == "written by this run":
        judged = "visitor_id in (select visitor_id from scratch.clickstream.int_touched_visitors)"
    if kind == "one_row_per":
        return [
            _twice(connection, table, judged),
            *[_set(connection, table, one, "null", judged) for one in arguments.get("never_null", [])],
        ]
    if kind == "never_null":
        return [_set(connection, table, one, "null") for one in arguments["columns"]]
    if kind == "relationships":
        return [_set(connection, table, column, "{stranger}")]
    if kind == "accepted_values":
        return [_set(connection, table, column, "{stranger}")]
    if kind == "shares":
        return [_set(connection, table, one, "1.5") for one in arguments["columns"]]
    if kind == "in_range":
        outside = [
            f"{arguments[bound]} {step}"
            for bound, step in (("at_least", "- 1"), ("at_most", "+ 1"))
            if arguments.get(bound) is not None
        ]
        return [_set(connection, table, column, value) for value in outside]
    return []


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute(f"describe {table}").fetchall()}


def _is_empty(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return not connection.execute(f"select 1 from {table} limit 1").fetchall()


def sample_row(connection: duckdb.DuckDBPyConnection, table: str) -> Sequence[str]:
    """A statement that gives an empty table a plain row; nothing where it has some."""
    if not _is_empty(connection, table):
        return ()
    values = [
        f'{SAMPLES.get(kind, f"0::{kind}")}::{kind} as "{name}"'
        for name, kind in _columns(connection, table).items()
    ]
    return (f"insert into {table} by name select {', '.join(values)}",)


def _set(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, value: str, judged: str = "true"
) -> str:
    """One of the judged rows gets another value; ``{stranger}`` is one of the column's type that nobody knows."""
    kind = _columns(connection, table)[column]
    strangers = {"DATE": "date '1871-01-01'", "VARCHAR": "'nobody'"}
    said = value.replace("{stranger}", strangers.get(kind, "987654321"))
    return ";".join(
        [
            *sample_row(connection, table),
            f'update {table} set "{column}" = {said} where rowid = (select min(rowid) from {table} where {judged})',
        ]
    )


def _twice(connection: duckdb.DuckDBPyConnection, table: str, judged: str = "true") -> str:
    """A row comes again, of those that the test judges."""
    again = f"insert into {table} from {table} where {judged} limit 1"
    return ";".join([*sample_row(connection, table), again])
