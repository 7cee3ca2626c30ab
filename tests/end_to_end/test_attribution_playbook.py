"""A small example of attribution, loaded through its registry entry: credit is what its files say by the rules.

Touches are found here a second time, from the files alone; how the models share among touches that are known
comes from the reference.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from mallard import pipeline
from mallard.progress import LogProgress
from mallard.settings import Settings
from tests.end_to_end.shops import published
from tests.reference.attribution import decay, normed, position_based, removal_effects, spread

pytestmark = pytest.mark.slow

CHANNELS = {
    "paid_social": "paid_social", "paid_search": "paid_search", "search": "organic_search", "email": "email",
    "": "direct",
}  # fmt: skip
MODELS = ("first_touch", "last_touch", "linear", "position_based", "time_decay", "markov")


@dataclass(frozen=True)
class Touch:
    """A session as its file tells it."""

    started_at: dt.datetime
    customer_id: str
    channel: str
    campaign_id: str


@dataclass(frozen=True)
class Conversion:
    """A conversion, and its touches in time."""

    converted_at: dt.datetime
    revenue: Decimal
    touches: list[Touch]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    folder = shared_data / "attribution_playbook"
    if not folder.is_dir():
        pytest.skip(f"the attribution playbook is not at {folder}")
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("playbook"))
    pipeline.load(settings, progress=LogProgress(), source="attribution_playbook", inbox=folder)
    return settings


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, restval=""))


def instant(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)


def without_direct(touches: list[Touch]) -> list[Touch]:
    return [touch for touch in touches if touch.channel != "direct"] or touches


@pytest.fixture(scope="module")
def sessions(folder: Path) -> list[Touch]:
    touches = [
        Touch(
            instant(row["started_at"]), row["customer_id"], CHANNELS[row["utm_medium"]], row["utm_campaign"]
        )
        for row in rows_of(folder / "sessions.csv")
    ]
    return sorted(touches, key=lambda touch: touch.started_at)


@pytest.fixture(scope="module")
def conversions(folder: Path, sessions: list[Touch]) -> list[Conversion]:
    found = []
    for row in rows_of(folder / "customer_conversions.csv"):
        at = instant(row["converted_at"])
        theirs = [
            session
            for session in sessions
            if session.customer_id == row["customer_id"]
            and at - dt.timedelta(days=30) <= session.started_at <= at
        ]
        found.append(Conversion(at, Decimal(row["revenue"]), without_direct(theirs)))
    return found


@pytest.fixture(scope="module")
def effects(sessions: list[Touch], conversions: list[Conversion]) -> dict[str, Fraction]:
    """The channels' removal effects in the example's only month."""
    buyers = {touch.customer_id for conversion in conversions for touch in conversion.touches}
    lost = defaultdict(list)
    for session in sessions:
        if session.customer_id not in buyers:
            lost[session.customer_id].append(session)
    return removal_effects(
        [[touch.channel for touch in conversion.touches] for conversion in conversions],
        [[touch.channel for touch in without_direct(theirs)] for theirs in lost.values()],
    )


def shares(model: str, conversion: Conversion, effects: dict[str, Fraction]) -> list[Fraction]:
    """What a model gives each touch."""
    number = len(conversion.touches)
    if model == "first_touch":
        return [Fraction(int(place == 0)) for place in range(number)]
    if model == "last_touch":
        return [Fraction(int(place == number - 1)) for place in range(number)]
    if model == "linear":
        return [Fraction(1, number)] * number
    if model == "position_based":
        return position_based(number)
    if model == "time_decay":
        return normed([decay(conversion.converted_at - touch.started_at) for touch in conversion.touches])
    return normed([effects[touch.channel] for touch in conversion.touches])


def test_counts_and_sums(settings: Settings) -> None:
    sessions = published(
        settings,
        "select count(*), count(distinct session_id), count(distinct customer_id) from core.fct_sessions",
    )
    assert sessions.row(0) == (90, 90, 52)
    orders = published(
        settings, "select count(*), sum(order_amount), count(session_key) from core.fct_orders where is_paid"
    )
    # Each conversion happened at the very end of a session.
    assert orders.row(0) == (21, 275, 21)
    spend = published(settings, "select count(*), sum(spend) from core.fct_channel_spend")
    assert spend.row(0) == (42, 359)
    audit = published(settings, "select sum(rows_quarantined + rows_duplicate) from ops.load_audit")
    assert audit.item() == 0


def test_channels_of_sessions(settings: Settings, sessions: list[Touch]) -> None:
    found = published(
        settings, "select started_at, customer_id, channel, campaign_id from core.fct_sessions order by all"
    )
    true = sorted((s.started_at, s.customer_id, s.channel, s.campaign_id) for s in sessions)
    assert found.rows() == true
    assert {channel for _, _, channel, _ in true} == set(CHANNELS.values())


@pytest.mark.parametrize("model", MODELS)
def test_credit_of_each_day_channel_and_campaign(
    settings: Settings, conversions: list[Conversion], effects: dict[str, Fraction], model: str
) -> None:
    orders: dict[tuple, Fraction] = defaultdict(Fraction)
    gmv: dict[tuple, Decimal] = defaultdict(Decimal)
    for conversion in conversions:
        assert conversion.touches
        given = shares(model, conversion, effects)
        amounts = spread(conversion.revenue, given)
        for touch, share, amount in zip(conversion.touches, given, amounts, strict=True):
            if share:
                member = (conversion.converted_at.date(), touch.channel, touch.campaign_id)
                orders[member] += share
                gmv[member] += amount
    found = published(
        settings,
        f"""
        select dt, channel, campaign_id, orders, gmv from marts.channel_roi
        where model = '{model}' and orders > 0
        """,
    ).rows()
    assert {row[:3]: row[4] for row in found} == dict(gmv)
    assert {row[:3]: row[3] for row in found} == pytest.approx(
        {member: float(share) for member, share in orders.items()}, abs=1e-9
    )


def test_first_and_last_touch_in_plain_numbers(settings: Settings) -> None:
    found = published(
        settings,
        """
        select channel, sum(orders) filter (model = 'first_touch'), sum(orders) filter (model = 'last_touch')
        from marts.channel_roi group by channel order by channel
        """,
    )
    assert found.rows() == [
        ("direct", 9, 9), ("email", 0, 0), ("organic_search", 3, 5), ("paid_search", 2, 2), ("paid_social", 7, 5),
    ]  # fmt: skip


def test_credit_adds_up_to_each_day(settings: Settings) -> None:
    days = published(
        settings,
        """
        select daily.dt, model, any_value(daily.orders), any_value(daily.gmv), sum(roi.orders), sum(roi.gmv)
        from marts.gmv_daily as daily left join marts.channel_roi as roi using (dt)
        group by daily.dt, model
        """,
    ).rows()
    assert {model for _, model, *_ in days} == set(MODELS)
    assert len(days) == 17 * len(MODELS)
    for day, model, orders, gmv, credited_orders, credited_gmv in days:
        assert credited_gmv == gmv, (day, model)
        assert credited_orders == pytest.approx(orders, abs=1e-9), (day, model)


def test_spend_is_kept_by_day_channel_and_campaign_in_each_model(settings: Settings, folder: Path) -> None:
    true = {
        (dt.date.fromisoformat(row["date_day"]), row["utm_medium"], row["utm_campaign"]): Decimal(
            row["spend"]
        )
        for row in rows_of(folder / "ad_spend.csv")
    }
    assert len(true) == 42
    for model in MODELS:
        found = published(
            settings,
            f"select dt, channel, campaign_id, spend from marts.channel_roi where model = '{model}' and spend > 0",
        )
        assert {row[:3]: row[3] for row in found.rows()} == true
    by_channel = published(
        settings,
        "select channel, sum(spend) from marts.channel_roi where model = 'linear' and spend > 0 group by 1",
    )
    assert dict(by_channel.rows()) == {"paid_social": 312, "paid_search": 47}
