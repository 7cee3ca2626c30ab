"""A task of the warehouse DAG takes what its own run left, and nothing else."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from mallard.airflow.handover import OvertakenError, take_candidate, take_receipt
from mallard.candidate import Candidate
from mallard.errors import NothingToDoError
from mallard.settings import Settings
from publishing.receipt import Receipt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path)
    settings.work.mkdir()
    return settings


def save_candidate(settings: Settings, run_id: str) -> Candidate:
    candidate = Candidate(
        path=settings.work / "candidate.duckdb",
        run_id=run_id,
        version=2,
        base_version=1,
        as_of=date(2025, 11, 11),
        target=settings.work / "target",
        is_full_refresh=False,
        new_deliveries=3,
    )
    candidate.save(settings)
    return candidate


def save_receipt(settings: Settings, run_id: str) -> Receipt:
    receipt = Receipt(
        run_id=run_id,
        version=2,
        base_version=1,
        as_of=date(2025, 11, 11),
        is_full_refresh=False,
        code_version="a",
        base_code_version="a",
        audited_at="2025-11-12T00:00:00+00:00",
        audit_seconds=1.0,
        engine="duckdb",
        expected=(),
        checks=(),
        tables={},
        input_deliveries=(),
    )
    (settings.work / "receipt.json").write_text(json.dumps(receipt.to_json()))
    return receipt


def test_its_own_candidate_and_receipt_are_taken(settings: Settings) -> None:
    assert take_candidate(settings, save_candidate(settings, "mine").run_id).run_id == "mine"
    assert take_receipt(settings, save_receipt(settings, "mine").run_id).run_id == "mine"


def test_another_runs_candidate_is_left_alone(settings: Settings) -> None:
    save_candidate(settings, "theirs")
    with pytest.raises(OvertakenError, match="The candidate of run mine was replaced"):
        take_candidate(settings, "mine")


def test_another_runs_receipt_is_no_permission(settings: Settings) -> None:
    save_receipt(settings, "theirs")
    with pytest.raises(OvertakenError, match="The receipt of run mine was replaced"):
        take_receipt(settings, "mine")


def test_nothing_left_is_said(settings: Settings) -> None:
    with pytest.raises(NothingToDoError, match="no candidate"):
        take_candidate(settings, "mine")
    with pytest.raises(NothingToDoError, match="no receipt"):
        take_receipt(settings, "mine")
