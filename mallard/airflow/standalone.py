"""``mallard up``: a local Airflow that schedules and runs the DAGs until it is stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mallard.airflow import environment as local
from mallard.errors import BusyError, MallardError
from mallard.progress import TerminalProgress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mallard.progress import Progress, Tick
    from mallard.settings import Settings

START_SECONDS = 300
STOP_SECONDS = 30


def up(settings: Settings, progress: Progress | None = None) -> None:
    """Start Airflow (UI, scheduler, DAG processor) on loopback and stay until Ctrl-C or SIGTERM.

    Raises:
        BusyError: the port is taken, or this home's Airflow runs already.
        MallardError: Airflow ended by itself, or was not healthy within five minutes.
    """
    progress = progress or TerminalProgress()
    home = local.airflow_home(settings)
    env = local.environment(settings)
    log_file = home / "logs" / "standalone.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(home), _terminated_like_interrupted(), log_file.open("w") as log:
        _check_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "mallard.airflow.parts"],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal reaches this process alone, which stops the others in order.
            start_new_session=True,
        )
        try:
            with progress.stage("Starting Airflow (about a minute)") as tick:
                _wait_until_healthy(process, log_file, tick)
            progress.say(f"Airflow is at {local.url()}")
            progress.say(f"  user {local.USER}, password {local.password(settings)}")
            progress.say("  The DAGs run by themselves from now on; Ctrl-C stops them.")
            progress.say(f"  log: {log_file}")
            process.wait()
            raise _ended(log_file)
        except KeyboardInterrupt:
            progress.say("Stopping Airflow …")
        finally:
            _stop(process)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(
                "This warehouse's Airflow is running already.",
                where=str(home),
                mend=f"use it at {local.url()}, or stop the other `mallard up` first",
            ) from error
        yield


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM stops Airflow as Ctrl-C does, instead of leaving its parts behind."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _check_port() -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((local.HOST, local.port()))
        except OSError as error:
            raise BusyError(
                f"Port {local.port()} is taken by another program.",
                where=local.url(),
                mend="MALLARD_AIRFLOW_PORT=8081 make up",
            ) from error


def _wait_until_healthy(process: subprocess.Popen[bytes], log_file: Path, tick: Tick) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _ended(log_file)
        waiting = _unhealthy_parts()
        if not waiting:
            return
        tick("waiting for " + ", ".join(waiting))
        time.sleep(1)
    raise MallardError(
        f"Airflow was not healthy within {START_SECONDS} seconds.",
        where=str(log_file),
        found=_last_lines(log_file),
        mend="read that log; a machine with one core and little memory may need a second try",
    )


def _unhealthy_parts() -> list[str]:
    """The parts of Airflow that do not say that they are healthy, by its own monitor."""
    try:
        with urllib.request.urlopen(f"{local.url()}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 - http
            parts = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return ["the UI"]
    needed = {
        "metadatabase": "the database",
        "scheduler": "the scheduler",
        "dag_processor": "the DAG processor",
    }
    return [name for part, name in needed.items() if (parts.get(part) or {}).get("status") != "healthy"]


def _ended(log_file: Path) -> MallardError:
    return MallardError(
        "Airflow ended by itself.",
        where=str(log_file),
        found=_last_lines(log_file),
        mend="read that log",
    )


def _last_lines(log_file: Path, count: int = 5) -> str:
    return "\n    ".join(log_file.read_text(errors="replace").splitlines()[-count:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask Airflow to stop; after half a minute end what is left of it."""
    # An impatient second Ctrl-C must not leave Airflow's parts behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
