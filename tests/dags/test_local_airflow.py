"""``mallard up`` and the demo's runs, with a real Airflow."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import date
from typing import TYPE_CHECKING

import psutil
import pytest

from mallard.airflow import environment as local
from mallard.airflow.demo import run_dags
from mallard.airflow.standalone import up
from mallard.errors import BusyError, MallardError
from mallard.progress import LogProgress
from mallard.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

UP = """
from mallard.airflow.standalone import up
from mallard.progress import TerminalProgress
from mallard.settings import from_environment

up(from_environment(), TerminalProgress())
"""


@pytest.fixture
def free_port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.setenv("MALLARD_AIRFLOW_PORT", str(port))
    return port


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path, free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(BusyError, match=f"Port {free_port} is taken"):
            up(Settings(home=tmp_path), LogProgress())


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_up_listens_on_loopback_only_and_leaves_nothing_behind(tmp_path: Path, free_port: int) -> None:
    environment = os.environ | {"MALLARD_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", UP], env=environment, stdout=output, stderr=output)
    parts: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 300
        while "Airflow is at" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(1)
        assert f"http://127.0.0.1:{free_port}" in log.read_text()
        assert local.password(Settings(home=tmp_path)) in log.read_text()

        parts = psutil.Process(process.pid).children(recursive=True)
        listening = {
            (connection.laddr.ip, connection.laddr.port)
            for part in parts
            for connection in connections_of(part)
            if connection.status == psutil.CONN_LISTEN
        }
        assert (str(local.HOST), free_port) in listening
        assert {address for address, _ in listening} == {"127.0.0.1"}

        with pytest.raises(BusyError, match="running already"):
            up(Settings(home=tmp_path), LogProgress())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    gone, alive = psutil.wait_procs(parts, timeout=10)
    assert parts
    assert not alive
    assert len(gone) == len(parts)
    assert process.returncode == 0, log.read_text()


def connections_of(part: psutil.Process) -> list[object]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(part.net_connections(kind="inet"))
    return []


@pytest.mark.slow
def test_a_dag_that_fails_in_the_demo_is_said_with_its_reason(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.inbox.mkdir()
    with pytest.raises(MallardError) as raised:
        run_dags(settings, date(2025, 11, 1), date(2025, 11, 3), settings.inbox, LogProgress())
    assert "ingest_orders did not succeed" in raised.value.summary
    assert "The source inbox has no delivery" in raised.value.found
    assert raised.value.where == str(tmp_path / "airflow" / "logs" / "runs.log")
