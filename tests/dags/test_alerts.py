"""An alert says what failed, for which day, why, and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mallard.airflow.alerts import alert, describe
from mallard.airflow.incidents import close_incident
from mallard.errors import DeliveryRefusedError, NothingToDoError
from mallard.settings import from_environment


def context(error: BaseException | None, key: str | None = "2025-11-11") -> dict[str, object]:
    return {
        "ti": SimpleNamespace(dag_id="ingest_orders", task_id="land", try_number=13, run_id="scheduled__1"),
        "dag_run": SimpleNamespace(partition_key=key),
        "exception": error,
    }


def test_it_names_the_task_the_day_and_every_part_of_the_error() -> None:
    error = DeliveryRefusedError(
        "The delivery was refused.",
        where="orders.csv, line 3",
        expected="a date",
        found="soon",
        mend="mend the file",
    )
    text = describe(context(error))
    for part in ("ingest_orders.land", "2025-11-11", "13 tries", "The delivery was refused."):
        assert part in text
    for part in ("orders.csv, line 3", "a date", "soon", "mend the file", "scheduled__1", "runbook"):
        assert part in text


def test_feed_that_stays_away_is_one_alert_until_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MALLARD_HOME", str(tmp_path))
    missing = NothingToDoError("No delivery of orders.")

    def told() -> list[str]:
        return [record.message for record in caplog.records if record.levelname == "ERROR"]

    for day in ("2025-11-11", "2025-11-12", "2025-11-13"):
        alert(context(missing, day))
    assert len(told()) == 1
    assert "2025-11-11" in told()[0]
    assert close_incident(from_environment(), "ingest_orders") == "2025-11-11"
    assert close_incident(from_environment(), "ingest_orders") == ""
    alert(context(missing, "2025-12-01"))
    assert len(told()) == 2


def test_what_is_no_missing_feed_is_told_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MALLARD_HOME", str(tmp_path))
    for day in ("2025-11-11", "2025-11-12"):
        alert(context(DeliveryRefusedError("The delivery was refused."), day))
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2


def test_it_says_something_of_an_error_that_says_nothing() -> None:
    assert "KeyboardInterrupt" in describe(context(KeyboardInterrupt()))
    assert "no exception" in describe(context(None))


def test_a_run_of_many_days_has_no_single_day() -> None:
    assert "no single day" in describe(context(ValueError("x"), key=None))
