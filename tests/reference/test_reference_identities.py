"""What must hold on any data: the reference on a random, ugly shop."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from . import Reference, differences, grain_of
from .columns import MARTS, schema_of
from .handmade import AS_OF
from .ugly import UglyShop

if TYPE_CHECKING:
    from pathlib import Path

SQL_TYPES = {
    "date": "date",
    "money": "decimal(18, 4)",
    "count": "bigint",
    "rate": "double",
    "text": "varchar",
    "flag": "boolean",
}
ADDITIVE = (
    "gmv",
    "placed_gmv",
    "gmv_excl_suspicious",
    "discount_amount",
    "refund_amount",
    "net_revenue",
    "gross_margin",
    "units",
)


@cache
def ugly(seed: int) -> Reference:
    """All marts of a random shop."""
    return UglyShop(seed).run(time_zone="America/New_York")


SEEDS_OF_CHANCE = pytest.mark.parametrize("seed", [1, 2, 3])


@SEEDS_OF_CHANCE
def test_every_mart_has_its_columns_and_each_row_once(seed: int) -> None:
    marts = ugly(seed).marts
    assert set(marts) == set(MARTS)
    for name, mart in marts.items():
        assert dict(mart.schema) == schema_of(name)
        assert not mart.select(grain_of(name)).is_duplicated().any(), name
        assert all(mart[column].null_count() == 0 for column in grain_of(name)), name


@SEEDS_OF_CHANCE
def test_days_are_complete_and_end_with_as_of(seed: int) -> None:
    for name in ("gmv_daily", "active_users", "fulfilment_daily", "health_quadrant"):
        days = ugly(seed).marts[name]["dt"]
        assert days[-1] == AS_OF
        assert (days.diff().drop_nulls() == timedelta(days=1)).all()
    windows = ugly(seed).marts["repurchase"]
    assert windows.height == 4 * ugly(seed).marts["gmv_daily"].height
    assert (windows["repurchase_users"] <= windows["buyers"]).all()


@SEEDS_OF_CHANCE
def test_members_of_each_dimension_add_up_to_the_day(seed: int) -> None:
    days, members = ugly(seed).marts["gmv_daily"], ugly(seed).marts["gmv_by_dimension"]
    sums = members.group_by("dt", "dimension").agg(pl.col(column).sum() for column in ADDITIVE)
    joined = sums.join(days, on="dt", suffix="_of_day")
    assert joined.height > 11
    for column in ADDITIVE:
        assert (joined[column] == joined[f"{column}_of_day"]).all(), column
        assert sums.filter(dimension="channel")[column].sum() == days[column].sum(), column


@SEEDS_OF_CHANCE
def test_credit_of_each_model_adds_up_to_the_day(seed: int) -> None:
    days, roi = ugly(seed).marts["gmv_daily"], ugly(seed).marts["channel_roi"]
    sums = roi.group_by("dt", "model").agg(pl.col("gmv", "orders", "new_buyers").sum())
    joined = sums.join(days, on="dt", suffix="_of_day")
    assert sums.filter(model="markov")["gmv"].sum() == days["gmv"].sum()
    assert (joined["gmv"] == joined["gmv_of_day"]).all()
    for column in ("orders", "new_buyers"):
        assert ((joined[column] - joined[f"{column}_of_day"]).abs() < 1e-9).all()


@SEEDS_OF_CHANCE
def test_effects_add_up_to_the_change(seed: int) -> None:
    drivers = ugly(seed).marts["gmv_drivers"]
    effects = drivers["uv_effect"] + drivers["conversion_effect"] + drivers["spend_effect"]
    assert (effects == drivers["gmv"] - drivers["gmv_before"]).all()
    assert drivers["uv_effect"].abs().max() != 0


@SEEDS_OF_CHANCE
def test_gmv_is_the_product_of_its_factors(seed: int) -> None:
    days = ugly(seed).marts["gmv_daily"].filter(pl.col("uv") > 0, pl.col("gmv") > 0)
    product = days["uv"] * days["conversion_rate"] * days["spend_per_buyer"]
    assert ((product / days["gmv"].cast(pl.Float64) - 1).abs() < 1e-9).all()


@SEEDS_OF_CHANCE
def test_the_funnel_never_widens(seed: int) -> None:
    funnel = ugly(seed).marts["funnel_daily"]
    steps = ["visited", "viewed", "carted", "checked_out", "paid"]
    for wide, narrow in pairwise(steps):
        assert (funnel[wide] >= funnel[narrow]).all()
    assert (funnel["any_carted"] >= funnel["carted"]).all()
    assert funnel["visited"].sum() == ugly(seed).marts["gmv_daily"]["sessions"].sum()
    assert funnel["visited"].sum() == ugly(seed).marts["conversion_paths"]["sessions"].sum()


@SEEDS_OF_CHANCE
def test_products_add_up_to_the_day(seed: int) -> None:
    days, products = ugly(seed).marts["gmv_daily"], ugly(seed).marts["product_performance"]
    for column in ("gmv", "units", "gross_margin"):
        assert products[column].sum() == days[column].sum(), column


@SEEDS_OF_CHANCE
def test_segments_hold_every_customer_once(seed: int) -> None:
    customers, segments = ugly(seed).marts["customer_rfm"], ugly(seed).marts["rfm_segments"]
    assert segments["customers"].sum() == customers.height > 0
    assert segments["moved_in"].sum() == segments["moved_out"].sum()
    assert ugly(seed).as_of == date(2025, 3, 10)


def test_a_published_file_is_compared_mart_by_mart(tmp_path: Path) -> None:
    reference = ugly(1)
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        for name in reference.marts.keys() - {"referral"}:
            mart = reference.marts[name]
            connection.register("mart", mart.to_arrow())
            columns = ", ".join(
                f"cast({column} as {SQL_TYPES[kind]}) as {column}"
                for column, (kind, _) in MARTS[name].items()
            )
            connection.execute(f"create table marts.{name} as select {columns} from mart")
        connection.execute("alter table marts.retention drop column retained")
        connection.execute(
            "update marts.gmv_daily set gmv = gmv + 0.0001 where dt = (select max(dt) from marts.gmv_daily)"
        )
    found = differences(path, reference)
    assert set(found) == {"referral", "retention", "gmv_daily"}
    assert found["referral"] == ["missing table"]
    assert found["retention"] == ["missing column: retained"]
    assert [sentence.split(" expected")[0] for sentence in found["gmv_daily"]] == ["dt=2025-03-10: gmv"]
