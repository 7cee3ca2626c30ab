"""The composition is valid, safe by default, and consistent with the code that it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

from mallard.settings import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

AIRFLOW = {"migrate", "api-server", "scheduler", "dag-processor"}


def test_it_follows_the_compose_specification() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(CHECKOUT / "docker-compose.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_implementation_reads_it(compose: Any) -> None:
    assert set(compose["services"]) == AIRFLOW | {"postgres"}


def test_without_secrets_it_says_to_run_make_env(podman_compose: list[str], tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text((CHECKOUT / "docker-compose.yml").read_text())
    env = {name: text for name, text in os.environ.items() if not name.startswith("MALLARD_")}
    done = subprocess.run(
        [*podman_compose, "-f", "docker-compose.yml", "config"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "run make env" in done.stderr


def test_every_port_is_on_loopback(compose: Any) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_every_service_that_stays_has_a_health_check(compose: Any) -> None:
    for name, service in compose["services"].items():
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_airflow_is_one_image_without_privileges(compose: Any) -> None:
    for name in AIRFLOW:
        service = compose["services"][name]
        assert service["image"] == "mallard:local"
        user, group = service["user"].split(":")
        assert min(int(user), int(group)) > 0, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_airflow_waits_for_its_migrated_database(compose: Any) -> None:
    services = compose["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in AIRFLOW - {"migrate"}:
        wanted = services[name]["depends_on"]["migrate"]["condition"]
        assert wanted == "service_completed_successfully", name


def test_all_parts_share_home_keys_and_database(compose: Any) -> None:
    shared = ["MALLARD_HOME", "MALLARD_HASH_KEY", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    shared += ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"]
    for variable in shared:
        values = {compose["services"][name]["environment"][variable] for name in AIRFLOW}
        assert len(values) == 1, variable
        assert values != {""}, variable
    for name in AIRFLOW:
        (volume,) = compose["services"][name]["volumes"]
        assert volume["target"] == compose["services"][name]["environment"]["MALLARD_HOME"]


def test_secrets_come_from_the_generated_file_alone() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    for line in text.splitlines():
        if re.search(r"(SECRET|PASSWORD|_KEY|SQL_ALCHEMY_CONN)\w*:", line) and not line.lstrip().startswith(
            "#"
        ):
            assert re.search(r"\$\{\w+:\?run make env\}", line), line


def test_the_secrets_stay_out_of_git_and_of_the_image() -> None:
    assert ".env" in (CHECKOUT / ".gitignore").read_text().splitlines()
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert {".env", "var", ".git", ".venv"} <= set(ignored)


def test_the_image_is_built_from_the_lock_file_and_runs_as_nobody_special() -> None:
    lines = (CHECKOUT / "deploy" / "Dockerfile").read_text().splitlines()
    syncs = [line for line in lines if "uv sync" in line]
    assert syncs
    assert all("--frozen" in line and "--extra postgres" in line for line in syncs)
    assert [line for line in lines if line.startswith("USER")] == ["USER mallard"]
    assert lines.index("USER mallard") > max(lines.index(line) for line in lines if line.startswith("COPY"))


def test_the_image_and_the_makefile_agree_on_uv_and_python() -> None:
    dockerfile = (CHECKOUT / "deploy" / "Dockerfile").read_text()
    makefile = (CHECKOUT / "Makefile").read_text()
    (of_image,) = re.findall(r"ARG UV_VERSION=(\S+)", dockerfile)
    (of_make,) = re.findall(r"UV_VERSION := (\S+)", makefile)
    assert of_image == of_make
    pythons = set(re.findall(r"FROM python:(\d+\.\d+)-", dockerfile))
    (wanted,) = pythons
    allowed = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert allowed == ">=3.11,<3.14"
    assert wanted in {"3.11", "3.12", "3.13"}
