"""A second, independent implementation of the marts: small data, plain Python, nothing clever.

The marts that dbt builds are compared with these, cell by cell. It reads what has landed and shares no code
with the warehouse. Where a definition leaves a choice, ``CHOICES.md`` beside this file says what was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from . import (
    marts_channels,
    marts_conversion,
    marts_customers,
    marts_experiments,
    marts_health,
    marts_operations,
    marts_products,
    marts_sales,
    marts_users,
)
from .columns import MARTS, frame, grain_of
from .compare import compare
from .days import Clock
from .facts import Facts, gather, orders_frame, sessions_frame
from .landing import read_landing
from .published import differences, read_marts
from .seeds import ChannelRule, Seeds
from .versions import Landing, as_of_day

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from .values import Row

__all__ = [
    "MARTS",
    "ChannelRule",
    "Facts",
    "Reference",
    "Seeds",
    "compare",
    "differences",
    "grain_of",
    "read_landing",
    "read_marts",
    "warehouse",
]

BUILDERS: dict[str, Callable[[Facts], list[Row]]] = {
    "gmv_daily": marts_sales.gmv_daily,
    "gmv_by_dimension": marts_sales.gmv_by_dimension,
    "gmv_drivers": marts_sales.gmv_drivers,
    "active_users": marts_users.active_users,
    "retention": marts_users.retention,
    "retention_weekly": marts_users.retention_weekly,
    "repurchase": marts_customers.repurchase,
    "repurchase_cohort": marts_customers.repurchase_cohort,
    "customer_rfm": marts_customers.customer_rfm,
    "rfm_segments": marts_customers.rfm_segments,
    "customer_ltv": marts_channels.customer_ltv,
    "funnel_daily": marts_conversion.funnel_daily,
    "conversion_paths": marts_conversion.conversion_paths,
    "slot_performance": marts_conversion.slot_performance,
    "product_performance": marts_products.product_performance,
    "category_roles": marts_products.category_roles,
    "product_selection": marts_products.product_selection,
    "channel_roi": marts_channels.channel_roi,
    "promotion_effect": marts_operations.promotion_effect,
    "merchant_performance": marts_operations.merchant_performance,
    "fulfilment_daily": marts_operations.fulfilment_daily,
    "referral": marts_operations.referral,
    "experiment_results": marts_experiments.experiment_results,
    "health_quadrant": marts_health.health_quadrant,
    "alerts": marts_health.alerts,
}


@dataclass(frozen=True)
class Reference:
    """What a published warehouse should hold.

    ``marts`` has one frame per mart with exactly its columns and types, sorted by its grain; ``sessions`` and
    ``orders`` are the facts behind them, bots included. Nothing landed: ``as_of`` is None, all are empty.
    """

    as_of: date | None
    marts: dict[str, pl.DataFrame]
    facts: Facts | None

    @property
    def sessions(self) -> pl.DataFrame:
        """One row per session: who, when, channel, device, bot or not."""
        return sessions_frame(self.facts) if self.facts else pl.DataFrame()

    @property
    def orders(self) -> pl.DataFrame:
        """One row per order: buyer, session, money."""
        return orders_frame(self.facts) if self.facts else pl.DataFrame()


def warehouse(
    landing: Landing,
    *,
    time_zone: str,
    currency: str,
    seeds: Seeds,
    deliveries: pl.DataFrame | None = None,
    marts: set[str] | None = None,
) -> Reference:
    """Compute all marts, or only those named, from what has landed.

    ``landing`` maps (feed, table) to its rows in the landing layout; ``deliveries`` comes from
    ``read_landing`` and knows of deliveries without rows, too.

    Raises:
        MissingRateError: an order or spend is in a currency without a rate of the last 7 days.
    """
    as_of = as_of_day(landing, deliveries)
    facts = gather(landing, as_of, Clock(time_zone), currency, seeds) if as_of else None
    wanted = {name: build for name, build in BUILDERS.items() if marts is None or name in marts}
    return Reference(
        as_of=as_of,
        marts={name: frame(name, build(facts) if facts else []) for name, build in wanted.items()},
        facts=facts,
    )
