"""Policy over the whole bag: what every DAG of this project must have."""

from __future__ import annotations

from typing import Any

import pytest

from mallard.settings import CHECKOUT

INGEST = {"ingest_orders", "ingest_clickstream", "ingest_channel_spend"}
TOO_HEAVY_TO_PARSE = {"duckdb", "dbt", "great_expectations", "pandas", "pyarrow", "polars", "numpy", "dlt"}


@pytest.fixture(scope="session")
def bag(in_airflow: Any) -> Any:
    return in_airflow("read_bag.py")


@pytest.fixture(scope="session")
def dags(bag: Any) -> Any:
    assert bag["dags"], "an empty bag passes every test below"
    return bag["dags"]


@pytest.fixture(scope="session")
def tasks(dags: Any) -> Any:
    return {f"{dag_id}.{name}": task for dag_id, dag in dags.items() for name, task in dag["tasks"].items()}


def test_the_bag_holds_exactly_these_dags(bag: Any) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == INGEST | {"warehouse"}


def test_one_file_per_dag_named_like_it(dags: Any) -> None:
    files = sorted(str(path) for path in (CHECKOUT / "dags").rglob("*.py"))
    assert sorted(dag["file"] for dag in dags.values()) == files
    for dag_id, dag in dags.items():
        assert dag["file"].endswith(f"/{dag_id}.py")


def test_every_file_parses_in_under_a_second(bag: Any) -> None:
    assert len(bag["seconds"]) == 4
    assert max(bag["seconds"].values()) < 1.0, bag["seconds"]


def test_parsing_loads_nothing_heavy(bag: Any) -> None:
    assert "mallard" in bag["loaded"], "the check looks at what parsing loaded"
    assert set(bag["loaded"]) & TOO_HEAVY_TO_PARSE == set()


def test_every_dag_has_an_owner_a_timeout_and_its_runbook(dags: Any) -> None:
    for dag_id, dag in dags.items():
        assert dag["owner"] == "data-engineering", dag_id
        assert dag["timeout"], dag_id
        assert dag["description"], dag_id
        assert dag["catchup"] is False, dag_id
        assert dag["doc"].strip() == dag["module_doc"].strip(), dag_id
        for part in ("**What it does.**", "**When it runs.**", "**By hand.**", "**When it fails**"):
            assert part in dag["doc"], (dag_id, part)


def test_every_tag_has_a_written_meaning(bag: Any, dags: Any) -> None:
    meanings = bag["tag_meanings"]
    assert all(len(meaning) > 20 for meaning in meanings.values())
    for dag_id, dag in dags.items():
        assert dag["tags"], dag_id
        assert set(dag["tags"]) <= set(meanings), dag_id
    assert set(meanings) == {tag for dag in dags.values() for tag in dag["tags"]}, "a tag that no DAG has"


def test_every_task_is_retried_bounded_and_alerts(tasks: Any) -> None:
    for name, task in tasks.items():
        assert task["retries"] >= 2, name
        assert task["policy"], name
        assert task["timeout"], name
        assert task["alerts"] == ["alert"], name
        assert task["doc"], name


def test_what_only_a_person_can_mend_is_not_retried(tasks: Any) -> None:
    for name, task in tasks.items():
        actions = {
            path: rule["action"]
            for rule in task["policy"]["rules"]
            for path in ([rule["exception"]] if isinstance(rule["exception"], str) else rule["exception"])
        }
        errors = [f"mallard.errors.{name}Error" for name in ("DeliveryRefused", "GateRefused", "Settings")]
        for error in [*errors, "mallard.airflow.handover.OvertakenError"]:
            assert actions[error] == "fail", (name, error)
        assert actions["mallard.errors.BusyError"] == "retry", name


def test_a_late_feed_is_waited_for_between_four_and_twelve_hours(dags: Any) -> None:
    for dag_id in INGEST:
        task = dags[dag_id]["tasks"]["land"]
        (rule,) = [
            rule for rule in task["policy"]["rules"] if rule["exception"] == "mallard.errors.NothingToDoError"
        ]
        hours = task["retries"] * rule["retry_delay"] / 3600
        assert 4 <= hours <= 12
        assert hours * 3600 + task["timeout"] < dags[dag_id]["timeout"], (
            "the run would end before the wait does"
        )


def test_ingest_dags_are_keyed_by_the_day_that_has_ended(dags: Any) -> None:
    for dag_id in INGEST:
        schedule = dags[dag_id]["schedule"]
        assert schedule["__type"].endswith("CronPartitionTimetable")
        settings = schedule["__var"]
        assert settings["expression"] == "0 0 * * *", "another hour cuts the last day off a backfill"
        assert settings["run_offset"] == -1
        assert settings["key_format"] == "%Y-%m-%d"
        assert set(dags[dag_id]["params"]) == {"first_day", "last_day"}


def test_warehouse_waits_for_all_three_feeds_and_runs_alone(dags: Any) -> None:
    warehouse = dags["warehouse"]
    assert warehouse["schedule"]["__type"].endswith("PartitionedAssetTimetable")
    landed = {name for dag_id in INGEST for name in dags[dag_id]["tasks"]["land"]["outlets"]}
    condition = warehouse["schedule"]["__var"]["asset_condition"]
    assert condition["__type"] == "asset_all"
    assert {asset["name"] for asset in condition["objects"]} == landed
    assert len(landed) == 3
    assert warehouse["max_active_runs"] == 1
    assert {name: task["downstream"] for name, task in warehouse["tasks"].items()} == {
        "build": ["audit"],
        "audit": ["publish"],
        "publish": [],
    }


def test_the_schedule_follows_the_shops_time_zone(in_airflow: Any) -> None:
    bag = in_airflow("read_bag.py", MALLARD_TIME_ZONE="America/New_York")
    zones = {bag["dags"][dag_id]["schedule"]["__var"]["timezone"] for dag_id in INGEST}
    assert zones == {"America/New_York"}


def test_a_wrong_time_zone_is_an_import_error_that_says_so(in_airflow: Any) -> None:
    bag = in_airflow("read_bag.py", MALLARD_TIME_ZONE="Europe/Atlantis")
    assert bag["dags"].keys() == {"warehouse"}
    for error in bag["errors"].values():
        assert "The business time zone 'Europe/Atlantis' is not known." in error
        assert "MALLARD_TIME_ZONE" in error
