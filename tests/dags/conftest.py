"""Airflow reads its environment when it is first imported, so the tests that need it run it in processes of
their own, each with a home of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mallard.airflow.environment import environment
from mallard.settings import Settings

HERE = Path(__file__).parent

RunInAirflow = Callable[..., Any]


@pytest.fixture(scope="session")
def in_airflow(tmp_path_factory: pytest.TempPathFactory) -> RunInAirflow:
    """Runs a script of this folder in a fresh local Airflow; what it writes to its last argument is the answer."""

    def run(script: str, *arguments: str, home: Path | None = None, **variables: str) -> Any:
        folder = tmp_path_factory.mktemp("airflow")
        answer = folder / "answer.json"
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments, str(answer)],
            env=environment(Settings(home=home or folder)) | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return json.loads(answer.read_text())

    return run
