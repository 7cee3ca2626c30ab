"""Promise 1: killing a load at any step leaves readers on the last version, and the next load succeeds."""

from __future__ import annotations

import pytest

from mallard.settings import Settings
from tests.end_to_end.shops import load, make_shop
from tests.faults.rounds import STEPS, Tally, run_rounds

pytestmark = pytest.mark.slow


def test_a_killed_load_is_never_seen_and_the_next_one_works(tmp_path, settings: Settings) -> None:
    shop = make_shop(tmp_path / "inbox", days=2, users=120, seed=3)
    load(settings, shop)
    plan = [("Landing", 0.02), ("Computing the warehouse", 1.5), ("Auditing", 0.3), ("Publishing", 0.05)]
    tally = run_rounds(settings, shop, plan, Tally())
    assert tally.failed_recoveries == []
    assert tally.reader_errors == []
    assert tally.torn == []
    assert tally.answers > 20
    assert set(tally.kills) >= set(STEPS[1:3]), "the kills did not hit the steps that they were meant for"
