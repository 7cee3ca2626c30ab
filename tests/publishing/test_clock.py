"""A clock that is set back changes no order: which version is live, which come before it, which are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from mallard.settings import Settings
from publishing import records
from publishing.versions import (
    KEPT_VERSIONS,
    current_link,
    current_version,
    list_publishes,
    recover,
    rollback,
)
from tests.publishing import small_shop as shop


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch):
    """Set the clock back by a day from now on, and by another one with each call."""
    days = 0

    def set_back() -> None:
        nonlocal days
        days += 1
        by = timedelta(days=days)
        monkeypatch.setattr(
            records, "now", lambda: (datetime.now(UTC) - by).isoformat(timespec="microseconds")
        )

    return set_back


def test_versions_keep_their_order(settings: Settings, set_back) -> None:
    for run in range(3):
        shop.publish_one(settings, f"run{run}", days=3 + run)
        set_back()
    assert [line.version for line in list_publishes(settings)] == [1, 2, 3]
    assert current_version(settings).version == 3  # type: ignore[union-attr]
    assert rollback(settings).version == 2
    assert rollback(settings, 3).version == 3
    with duckdb.connect(str(current_link(settings)), read_only=True) as connection:
        told = connection.execute("select run_id from ops.publishes order by version").fetchall()
    assert told == [("run0",), ("run1",), ("run2",)]


def test_the_newest_versions_are_kept(settings: Settings, set_back) -> None:
    for run in range(KEPT_VERSIONS):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    set_back()
    for run in (7, 8):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    kept = [line.version for line in list_publishes(settings) if line.is_kept]
    assert kept == list(range(3, KEPT_VERSIONS + 3))


def test_a_lost_link_is_found_where_it_was(settings: Settings, set_back) -> None:
    for run in range(3):
        shop.publish_one(settings, f"run{run}", days=3 + run)
        set_back()
    current_link(settings).unlink()
    recover(settings, lambda text: None)
    assert current_version(settings).version == 3  # type: ignore[union-attr]
    set_back()
    rollback(settings, 1)
    current_link(settings).unlink()
    recover(settings, lambda text: None)
    assert current_version(settings).version == 1  # type: ignore[union-attr]
    set_back()
    assert shop.publish_one(settings, "run4", days=9).version == 4
    current_link(settings).unlink()
    recover(settings, lambda text: None)
    assert current_version(settings).version == 4  # type: ignore[union-attr]
