"""The environment of a local Airflow: on loopback, phoning nobody, its secrets its own."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mallard.airflow.environment import airflow_home, environment, password
from mallard.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "MALLARD"))]:
        monkeypatch.delenv(name)
    return Settings(home=tmp_path)


def test_it_is_on_loopback_and_bears_no_examples(settings: Settings) -> None:
    env = environment(settings)
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert env["AIRFLOW__CORE__DAGS_FOLDER"] == str(CHECKOUT / "dags")
    assert env["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "False"


def test_all_that_airflow_writes_is_under_the_home(settings: Settings) -> None:
    env = environment(settings)
    for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__LOGGING__BASE_LOG_FOLDER"):
        assert str(settings.home / "airflow") in env[name]


def test_nobody_is_phoned(settings: Settings) -> None:
    env = environment(settings)
    assert env["SCARF_ANALYTICS"] == "false"
    assert env["DO_NOT_TRACK"] == "1"
    assert env["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert env["GX_ANALYTICS_ENABLED"] == "false"


def test_a_second_process_gets_the_same_keys(settings: Settings) -> None:
    assert environment(settings) == environment(settings)
    assert password(settings) == password(settings)


def test_two_homes_have_keys_of_their_own(settings: Settings, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other")
    for name in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"):
        assert environment(settings)[name] != environment(other)[name]
    assert password(settings) != password(other)


def test_the_password_is_generated_and_its_owners_alone(settings: Settings) -> None:
    assert len(password(settings)) >= 20
    home = airflow_home(settings)
    environment(settings)
    assert home.stat().st_mode & 0o777 == 0o700
    for name in ("passwords.json", "secrets.json"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    assert password(settings) not in environment(settings).values()


def test_the_fernet_key_is_one(settings: Settings) -> None:
    key = environment(settings)["AIRFLOW__CORE__FERNET_KEY"]
    assert len(base64.urlsafe_b64decode(key)) == 32


def test_a_person_may_change_what_opens_no_door(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "16")
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")
    monkeypatch.setenv("AIRFLOW_HOME", "/somewhere/else")
    monkeypatch.setenv("MALLARD_AIRFLOW_PORT", "8099")
    env = environment(settings)
    assert env["AIRFLOW__CORE__PARALLELISM"] == "16"
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW_HOME"] == str(settings.home / "airflow")
    assert env["AIRFLOW__API__PORT"] == "8099"


def test_the_tasks_see_the_same_warehouse(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from mallard.settings import from_environment

    theirs = Settings(home=settings.home, time_zone="Asia/Tokyo", currency="JPY")
    for name, text in environment(theirs).items():
        monkeypatch.setenv(name, text)
    assert from_environment() == theirs


def test_a_zone_that_nobody_set_stays_the_shops_to_say(settings: Settings) -> None:
    env = environment(settings)
    assert not env.get("MALLARD_TIME_ZONE")
    assert not env.get("MALLARD_CURRENCY")


def test_a_shell_can_take_it_over(settings: Settings) -> None:
    done = subprocess.run(
        [
            "sh",
            "-c",
            f'eval "$({sys.executable} -m mallard.airflow.environment)"; echo "$AIRFLOW_HOME"',
        ],
        env={"MALLARD_HOME": str(settings.home), "PATH": os.environ["PATH"]},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(settings.home / "airflow")
