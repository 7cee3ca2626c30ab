"""The published figures of a simulated shop are those that the simulator knows to be true."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from rich.console import Console

from mallard.answers import PAGE, answer_query, read_answers
from mallard.closing import show_closing
from mallard.settings import Settings
from mallard.sql_tests import undescribed
from publishing.versions import current_version
from tests.end_to_end.shops import Shop, load, make_shop, published

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FAULTS = ("late", "duplicates", "bad_rows", "restated_spend", "bots", "lost_session_ids", "amended_orders")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder: Path = tmp_path_factory.mktemp("shop")
    return make_shop(folder / "inbox", days=35, users=900, seed=11, faults=FAULTS, currencies=("USD", "EUR"))


@pytest.fixture(scope="module")
def settings(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    load(settings, shop)
    return settings


def assert_equal(found: pl.DataFrame, expected: pl.DataFrame, keys: list[str]) -> None:
    """The same rows, cell by cell; the message shows those that differ."""
    columns = expected.columns
    found = found.select(pl.col(name).cast(expected.schema[name]) for name in columns).sort(keys)
    expected = expected.sort(keys)
    only_found = found.join(expected, on=columns, how="anti", nulls_equal=True)
    only_expected = expected.join(found, on=columns, how="anti", nulls_equal=True)
    assert only_found.is_empty(), f"published\n{only_found}\ntrue\n{only_expected}"
    assert only_expected.is_empty(), f"not published\n{only_expected}"
    assert not expected.is_empty()


def test_every_query_of_the_bi_page_runs(settings: Settings) -> None:
    """docs/bi.md shows the answers of the demo; the columns are the same in every shop."""
    current = current_version(settings)
    with duckdb.connect(str(current.path), read_only=True) as connection:
        for query, written in read_answers(PAGE.read_text()):
            answered = answer_query(connection, query)
            if not query.startswith("pivot"):
                assert answered.splitlines()[0].split() == written.splitlines()[0].split(), query


def test_everything_that_is_published_is_described(settings: Settings) -> None:
    current = current_version(settings)
    with duckdb.connect(str(current.path), read_only=True) as connection:
        assert undescribed(settings.work / "target" / "manifest.json", connection) == []


@pytest.mark.parametrize("width", [80, 100])
def test_the_demos_last_screen_shows_what_was_published(settings: Settings, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    show_closing(settings, 1, console)
    lines = console.file.getvalue().splitlines()
    assert len(lines) < 70
    commands = lines.index("Next")
    assert max(len(line.rstrip()) for line in lines[:commands]) <= width
    shown = "\n".join(" ".join(line.split()) for line in lines)
    day = published(settings, "select * from marts.gmv_daily order by dt desc limit 8")
    gmv, before = float(day["gmv"][0]), float(day["gmv"][7])
    assert f"GMV {gmv:,.2f} {before:,.2f} {gmv / before - 1:+.0%}" in shown
    assert f"UV {day['uv'][0]:,} {day['uv'][7]:,}" in shown
    for query in (
        "select sum(retained) / sum(cohort_size) from marts.retention where channel = 'all' and day_n = 7 and is_mature",
        "select repurchase_rate from marts.repurchase where window_days = 30 order by dt desc limit 1",
        "select max(gmv_share) from marts.rfm_segments",
    ):
        assert f"{published(settings, query).item():.1%}" in shown
    spends = """
        select sum(margin - spend) / sum(spend) as roi from marts.channel_roi
        where model in ('last_touch', 'markov') group by channel, model having sum(spend) > 0
        order by sum(spend) desc limit 2
    """
    for roi in published(settings, spends)["roi"]:
        assert f"{roi:+.0%}" in shown


def test_days(shop: Shop, settings: Settings) -> None:
    columns = [
        "dt", "gmv", "placed_gmv", "discount_amount", "refund_amount", "net_revenue", "orders", "units",
        "buyers", "new_buyers", "uv", "pv", "sessions",
    ]  # fmt: skip
    true = shop.truth("daily")
    assert true["orders"].sum() > 50
    assert_equal(published(settings, "select * from marts.gmv_daily"), true.select(columns), ["dt"])
    new_users = published(settings, "select dt, new_users from marts.active_users")
    assert_equal(new_users, true.select("dt", "new_users"), ["dt"])


def test_retention(shop: Shop, settings: Settings) -> None:
    true = shop.truth("retention").with_columns(
        pl.when("is_mature").then("retained").otherwise(None).alias("retained")
    )
    true = true.filter(pl.col("cohort_size") > 0)
    days = ", ".join(str(day) for day in true["day_n"].unique())
    found = published(settings, f"select * from marts.retention where channel = 'all' and day_n in ({days})")
    assert_equal(found, true, ["cohort_dt", "day_n"])


def test_funnel(shop: Shop, settings: Settings) -> None:
    true = shop.truth("funnel")
    sums = ", ".join(f"sum({name}) as {name}" for name in true.columns if name != "dt")
    found = published(settings, f"select dt, {sums} from marts.funnel_daily group by dt")
    assert_equal(found, true.filter(pl.col("visited") > 0), ["dt"])


def test_channels_of_sessions(shop: Shop, settings: Settings) -> None:
    true = shop.truth("session_channels").with_columns(pl.col("channel").cast(pl.String))
    found = published(
        settings,
        "select dt, channel, count(*) as sessions from core.fct_sessions where not is_bot group by all",
    )
    assert_equal(found, true.filter(pl.col("sessions") > 0), ["dt", "channel"])


def test_repurchase(shop: Shop, settings: Settings) -> None:
    true = shop.truth("repurchase")
    windows = ", ".join(str(days) for days in true["window_days"].unique())
    found = published(settings, f"select * from marts.repurchase where window_days in ({windows})")
    assert_equal(found, true, ["dt", "window_days"])
    assert true["repurchase_users"].sum() > 0


def test_spend(shop: Shop, settings: Settings) -> None:
    true = shop.truth("spend").select(
        pl.col("spend_date").alias("dt"),
        pl.col("channel").cast(pl.String),
        pl.col("campaign_id").cast(pl.String),
        "impressions",
        "clicks",
        pl.col("converted").alias("spend"),
    )
    found = published(settings, "select * from core.fct_channel_spend")
    assert_equal(found, true, ["dt", "channel", "campaign_id"])


def test_bad_rows_and_duplicates_are_counted(shop: Shop, settings: Settings) -> None:
    summary = shop.summary()
    audit = published(
        settings,
        """
        select table_name, sum(rows_in)::bigint as rows_in, sum(rows_quarantined)::bigint as quarantined,
            sum(rows_duplicate)::bigint as duplicates
        from ops.load_audit group by table_name
        """,
    )
    found = {row["table_name"]: row for row in audit.to_dicts()}
    assert {name: row["rows_in"] for name, row in found.items()} == summary["rows"]
    bad = {name: sum(reasons.values()) for name, reasons in summary["bad_rows"].items()}
    assert {name: row["quarantined"] for name, row in found.items() if row["quarantined"]} == bad
    assert {name: row["duplicates"] for name, row in found.items() if row["duplicates"]} == summary[
        "duplicates"
    ]
