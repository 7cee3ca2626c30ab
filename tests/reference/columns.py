"""The columns of every mart, in order, with kinds: ``*`` marks the grain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from .values import Row

KINDS: dict[str, pl.DataType] = {
    "date": pl.Date(),
    "money": pl.Decimal(18, 4),
    "count": pl.Int64(),
    "rate": pl.Float64(),
    "text": pl.String(),
    "flag": pl.Boolean(),
}

_MARTS = {
    "gmv_daily": """
        dt:date* gmv:money placed_gmv:money gmv_excl_suspicious:money discount_amount:money
        refund_amount:money net_revenue:money gross_margin:money orders:count units:count buyers:count
        new_buyers:count uv:count pv:count sessions:count cost_coverage:rate conversion_rate:rate
        spend_per_buyer:rate aov:rate cancel_rate:rate refund_rate:rate gmv_wow:rate gmv_yoy:rate
    """,
    "gmv_by_dimension": """
        dt:date* dimension:text* member:text* gmv:money placed_gmv:money gmv_excl_suspicious:money
        discount_amount:money refund_amount:money net_revenue:money gross_margin:money units:count
        orders:count
    """,
    "gmv_drivers": """
        dt:date* compare_to:text* channel:text* gmv:money gmv_before:money uv_effect:money
        conversion_effect:money spend_effect:money
    """,
    "active_users": """
        dt:date* dau:count wau:count mau:count new_users:count returning_users:count stickiness:rate
        sessions_per_user:rate active_seconds_per_user:rate bounce_rate:rate payer_rate:rate
    """,
    "retention": """
        cohort_dt:date* channel:text* day_n:count* cohort_size:count retained:count retention_rate:rate
        is_mature:flag
    """,
    "retention_weekly": """
        cohort_week:date* channel:text* week_n:count* cohort_size:count retained:count retention_rate:rate
        is_mature:flag
    """,
    "repurchase": """
        dt:date* window_days:count* buyers:count repurchase_users:count repurchase_amount:money
        repurchase_rate:rate repurchase_amount_share:rate median_days_between_orders:rate
        is_full_window:flag
    """,
    "repurchase_cohort": """
        cohort_month:date* month_n:count* cohort_size:count buyers:count orders:count buyer_rate:rate
        cumulative_gmv_per_customer:rate gmv:money is_mature:flag
    """,
    "customer_rfm": """
        customer_id:text* segment:text tier:text previous_segment:text recency_days:count frequency:count
        r_score:count f_score:count m_score:count monetary:money
    """,
    "rfm_segments": """
        dt:date* segment:text* customers:count moved_in:count moved_out:count gmv:money gmv_share:rate
    """,
    "customer_ltv": """
        cohort_month:date* channel:text* month_n:count* customers:count payback_month:count
        cumulative_gmv:money cumulative_margin:money ltv:rate cac:rate ltv_to_cac:rate is_mature:flag
    """,
    "funnel_daily": """
        dt:date* channel:text* device:text* visited:count viewed:count carted:count checked_out:count
        paid:count any_viewed:count any_carted:count any_checked_out:count any_paid:count
        abandoned_carts:count abandoned_value:money view_rate:rate cart_rate:rate checkout_rate:rate
        payment_rate:rate overall_rate:rate
    """,
    "conversion_paths": """
        dt:date* path:text* sessions:count orders:count conversion_rate:rate gmv:money
    """,
    "slot_performance": """
        dt:date* hour:count* impressions:count clicks:count orders:count page_type:text* slot_id:text*
        click_rate:rate gmv:money
    """,
    "product_performance": """
        dt:date* product_id:text* impressions:count detail_views:count viewers:count carts:count
        buyers:count orders:count units:count on_hand:count gmv:money gross_margin:money margin_rate:rate
        conversion_rate:rate refund_rate:rate return_rate:rate rating:rate days_of_stock:rate
    """,
    "category_roles": """
        as_of:date* category_l1:text* category_l2:text* role:text exposure:count units:count
        conversion_rate:rate margin_rate:rate
    """,
    "product_selection": """
        as_of:date* product_id:text* product_role:text demand:count competition:count margin_rate:rate
        return_rate:rate is_demand:flag is_margin_rate:flag is_competition:flag is_return_rate:flag
        passes:flag
    """,
    "channel_roi": """
        dt:date* channel:text* campaign_id:text* model:text* impressions:count clicks:count sessions:count
        new_users:count spend:money gmv:money margin:money orders:rate new_buyers:rate cpc:rate
        click_rate:rate cac:rate roas:rate roi:rate
    """,
    "promotion_effect": """
        promotion_id:text* phase:text* days:count orders:count new_buyers:count promotion_orders:count
        stockout_products:count gmv:money gross_margin:money promotion_gmv:money discount_amount:money
        gmv_per_day:rate lift:rate roi:rate is_mature:flag
    """,
    "merchant_performance": """
        month:date* merchant_id:text* gmv:money orders:count buyers:count active_products:count
        gmv_rank:count refund_rate:rate rating:rate is_new:flag is_churned:flag is_mature:flag
    """,
    "fulfilment_daily": """
        dt:date* orders:count hours_to_ship_median:rate hours_to_ship_p90:rate hours_to_deliver_median:rate
        hours_to_deliver_p90:rate on_time_rate:rate return_rate:rate
    """,
    "referral": """
        month:date* referrers:count referred:count referred_buyers:count referred_gmv:money k_factor:rate
    """,
    "experiment_results": """
        experiment_id:text* variant:text* verdict:text users:count buyers:count conversion_rate:rate
        lift:rate p_value:rate confidence_low:rate confidence_high:rate srm_p_value:rate
    """,
    "health_quadrant": """
        dt:date* uv:count conversion_rate:rate spend_per_buyer:rate repurchase_rate:rate uv_median:rate
        uv_deviation:rate conversion_rate_median:rate conversion_rate_deviation:rate
        spend_per_buyer_median:rate spend_per_buyer_deviation:rate repurchase_rate_median:rate
        repurchase_rate_deviation:rate uv_state:text conversion_rate_state:text spend_per_buyer_state:text
        repurchase_rate_state:text
    """,
    "alerts": """
        dt:date* rule_id:text* scope:text* metric:text value:rate benchmark:rate severity:text message:text
        worst_channel:text worst_product:text
    """,
}


def _parse(text: str) -> dict[str, tuple[str, bool]]:
    columns = {}
    for word in text.split():
        name, kind = word.split(":")
        columns[name] = (kind.rstrip("*"), kind.endswith("*"))
    return columns


#: mart -> column -> (kind, whether it is of the grain).
MARTS: dict[str, dict[str, tuple[str, bool]]] = {name: _parse(text) for name, text in _MARTS.items()}


def grain_of(mart: str) -> list[str]:
    """The columns that identify a row."""
    return [name for name, (_, is_grain) in MARTS[mart].items() if is_grain]


def schema_of(mart: str) -> dict[str, pl.DataType]:
    """The columns and their types, in order."""
    return {name: KINDS[kind] for name, (kind, _) in MARTS[mart].items()}


def frame(mart: str, rows: list[Row]) -> pl.DataFrame:
    """``rows`` as the mart's table, sorted by its grain.

    Raises:
        KeyError: a row lacks a column, or has one that the mart does not have.
    """
    schema = schema_of(mart)
    values: list[tuple[Any, ...]] = []
    for row in rows:
        if row.keys() != schema.keys():
            message = f"{mart}: the columns {sorted(row.keys() ^ schema.keys())} are missing or too many"
            raise KeyError(message)
        values.append(tuple(row[name] for name in schema))
    return pl.DataFrame(values, schema=schema, orient="row").sort(grain_of(mart))
