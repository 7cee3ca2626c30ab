"""What a load publishes of random ugly shops and of bare ones, against the reference, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ingestion.landing import read_manifests
from mallard import pipeline
from mallard.progress import LogProgress
from mallard.settings import CHECKOUT, Settings
from publishing.versions import current_version

from . import MARTS, Seeds, differences, read_landing, read_marts, warehouse
from .handmade import AS_OF, Shop
from .ugly import UglyShop, write_inbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def shop_of_orders_alone() -> Shop:
    """Nobody counts its visits; customers and products are not delivered."""
    shop = Shop()
    for day in range(1, 11):
        name, when = f"o{day}", f"03-{day:02} 10:00"
        shop.order(
            name, when, ("p1", 1, "9.99"), ("p2", 2, "5"), customer_id=f"{day % 4}", discount_amount="1.01"
        )
    shop.refund("o3", "03-05 10:00", "3", kind="return", line_number=2, quantity=1)
    return shop


def shop_of_spend_and_a_bot() -> Shop:
    """Ads were paid for before the shop opened; so far a bot came, long ago."""
    shop = Shop()
    shop.event("v1", "2023-01-05 10:00", user_agent="GoogleBot")
    for day in ("2023-11-01", "03-09", "03-10"):
        shop.spend(day, "paid_search", "ads", "10.5")
    return shop


#: Zone, shop, and which marts have nothing to say about it.
SHOPS = [
    pytest.param(
        "America/New_York", lambda: UglyShop(11, stride=2), set(), id="ugly with all tables in New York"
    ),
    pytest.param(
        "Asia/Tokyo",
        lambda: UglyShop(12, stride=2, optional=False),
        # Reviews, inventory and spend are not there either; their marts have other things to say, too.
        {"promotion_effect", "merchant_performance", "experiment_results"},
        id="ugly without optional tables in Tokyo",
    ),
    pytest.param(
        "Europe/London",
        lambda: UglyShop(13, stride=30, days=430),
        set(),
        id="ugly over fourteen months in London",
    ),
    pytest.param(
        "UTC",
        shop_of_orders_alone,
        {
            "conversion_paths",
            "experiment_results",
            "funnel_daily",
            "merchant_performance",
            "product_selection",
            "promotion_effect",
            "referral",
            "retention",
            "retention_weekly",
            "slot_performance",
        },
        id="of orders alone",
    ),
    pytest.param("UTC", shop_of_spend_and_a_bot, MARTS.keys() - {"channel_roi"}, id="of spend and a bot"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("time_zone", "make_shop", "empty"), SHOPS)
def test_every_mart_equals_the_reference(
    tmp_path: Path, time_zone: str, make_shop: Callable[[], Shop], empty: set[str]
) -> None:
    settings = Settings(home=tmp_path / "home", time_zone=time_zone, currency="USD")
    write_inbox(make_shop(), tmp_path / "inbox")
    pipeline.load(settings, progress=LogProgress(), inbox=tmp_path / "inbox")
    published = current_version(settings)
    assert published is not None
    landing, deliveries = read_landing(settings.home)
    reference = warehouse(
        landing,
        time_zone=time_zone,
        currency="USD",
        seeds=Seeds.read(CHECKOUT / "dbt_project" / "seeds"),
        deliveries=deliveries,
    )
    assert deliveries.height == len(read_manifests(settings))
    assert reference.as_of == published.as_of == AS_OF
    found = differences(published.path, reference)
    assert not found, "\n".join(f"{mart}: {line}" for mart, lines in found.items() for line in lines[:5])
    assert {name for name, rows in read_marts(published.path).items() if rows.is_empty()} == empty
