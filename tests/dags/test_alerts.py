"""An alert says what failed, for which day, why, and what to do."""

from __future__ import annotations

from types import SimpleNamespace

from mallard.airflow.alerts import describe
from mallard.errors import DeliveryRefusedError


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


def test_it_says_something_of_an_error_that_says_nothing() -> None:
    assert "KeyboardInterrupt" in describe(context(KeyboardInterrupt()))
    assert "no exception" in describe(context(None))


def test_a_run_of_many_days_has_no_single_day() -> None:
    assert "no single day" in describe(context(ValueError("x"), key=None))
