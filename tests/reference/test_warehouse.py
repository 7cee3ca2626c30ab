"""The warehouse that dbt builds against the reference, cell by cell, on random ugly shops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ingestion.landing import read_manifests
from mallard import pipeline
from mallard.progress import LogProgress
from mallard.settings import CHECKOUT, Settings

from . import Seeds, differences, read_landing, warehouse
from .handmade import AS_OF
from .ugly import UglyShop, write_inbox

if TYPE_CHECKING:
    from pathlib import Path

SHOPS = [
    pytest.param("America/New_York", {"seed": 11, "stride": 2}, id="with all tables in New York"),
    pytest.param(
        "Asia/Tokyo", {"seed": 12, "stride": 2, "optional": False}, id="without optional tables in Tokyo"
    ),
    pytest.param(
        "Europe/London", {"seed": 13, "stride": 30, "days": 430}, id="over fourteen months in London"
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("time_zone", "shop"), SHOPS)
def test_every_mart_equals_the_reference(tmp_path: Path, time_zone: str, shop: dict[str, Any]) -> None:
    settings = Settings(home=tmp_path / "home", time_zone=time_zone, currency="USD")
    write_inbox(UglyShop(**shop), tmp_path / "inbox")
    pipeline.ingest(settings, None, None, None, progress=LogProgress(), inbox=tmp_path / "inbox")
    candidate = pipeline.build(settings, LogProgress())
    assert candidate is not None
    landing, deliveries = read_landing(settings.home)
    reference = warehouse(
        landing,
        time_zone=time_zone,
        currency="USD",
        seeds=Seeds.read(CHECKOUT / "dbt_project" / "seeds"),
        deliveries=deliveries,
    )
    assert deliveries.height == len(read_manifests(settings))
    assert reference.as_of == candidate.as_of == AS_OF
    found = differences(candidate.path, reference)
    assert not found, "\n".join(f"{mart}: {line}" for mart, lines in found.items() for line in lines[:5])
