"""The demo clears what a demo made, and nothing that it did not make."""

from __future__ import annotations

import pytest

from mallard.closing import show_closing
from mallard.demo import MARK, clear_home
from mallard.errors import MallardError, NothingToDoError
from mallard.settings import Settings


def test_other_peoples_data_stays(settings: Settings) -> None:
    kept = settings.landing / "orders" / "kept.parquet"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with pytest.raises(MallardError, match="did not make"):
        clear_home(settings)
    assert kept.exists()


def test_an_earlier_demo_is_cleared(settings: Settings) -> None:
    clear_home(settings)
    assert (settings.home / MARK).exists()
    old = settings.published / "warehouse-000001.duckdb"
    old.parent.mkdir(parents=True)
    old.touch()
    clear_home(settings)
    assert not old.exists()


def test_there_is_nothing_to_show_of_an_empty_home(settings: Settings) -> None:
    with pytest.raises(NothingToDoError):
        show_closing(settings, 1)
