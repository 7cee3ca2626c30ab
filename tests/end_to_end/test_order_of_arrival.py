"""Day by day, in one go and in any order: the same warehouse, and the one that a full refresh computes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mallard import dbt_run
from mallard.settings import Settings
from tests.end_to_end.shops import Shop, checksums, load, make_shop

pytestmark = pytest.mark.slow

DAYS = 5
FAULTS = ("late", "duplicates", "bad_rows", "restated_spend", "bots", "lost_session_ids")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop") / "inbox", days=DAYS, users=260, seed=8, faults=FAULTS)


@pytest.fixture(scope="module")
def in_one_go(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict:
    settings = Settings(home=tmp_path_factory.mktemp("one"))
    load(settings, shop)
    found = checksums(settings)
    # Empty tables are alike in any order: they would prove nothing.
    assert not [name for name, (rows, _) in found.items() if rows == 0]
    return found


def differing(found: dict, expected: dict) -> list[str]:
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def test_day_by_day_equals_one_go_and_a_full_refresh(
    shop: Shop, in_one_go: dict, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every table is a large one: what dbt makes anew is dropped before, and nothing may miss it.
    monkeypatch.setattr(dbt_run, "_LARGE_TABLE_ROWS", 1)
    drop, dropped_in = dbt_run._drop_what_is_replaced, []

    def drop_and_note(path: Path, manifest: Any) -> None:
        drop(path, manifest)
        dropped_in.append(path)

    monkeypatch.setattr(dbt_run, "_drop_what_is_replaced", drop_and_note)
    for day in shop.days:
        load(settings, shop, day, day)
    assert len(dropped_in) == DAYS
    assert differing(checksums(settings), in_one_go) == []
    load(settings, shop, full_refresh=True)
    assert differing(checksums(settings), in_one_go) == []


def test_any_order_of_days_equals_one_go(shop: Shop, in_one_go: dict, settings: Settings) -> None:
    days = list(shop.days)
    random.Random(3).shuffle(days)
    for day in days:
        load(settings, shop, day, day)
    assert differing(checksums(settings), in_one_go) == []


def test_loading_again_changes_nothing(shop: Shop, in_one_go: dict, settings: Settings) -> None:
    load(settings, shop)
    for _ in range(2):
        report, receipt = load(settings, shop)
        assert receipt is None
        assert not report.landed
    assert differing(checksums(settings), in_one_go) == []
