"""A checkout's deployment files beside a freshly generated ``.env``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mallard.settings import CHECKOUT

DEPLOYED = ("docker-compose.yml", ".env.example", "deploy")


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that a deployment needs, after ``make env``."""
    folder = tmp_path_factory.mktemp("deployment")
    for name in DEPLOYED:
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    env = {name: text for name, text in os.environ.items() if not name.startswith("MALLARD_")}
    subprocess.run([sys.executable, str(folder / "deploy" / "make_env.py")], check=True, env=env)
    return folder


@pytest.fixture(scope="session")
def podman_compose(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``podman-compose`` for its ``config`` command, which asks for a podman but starts none."""
    podman = tmp_path_factory.mktemp("bin") / "podman"
    podman.write_text("#!/bin/sh\necho podman version 5.4.0\n")
    podman.chmod(0o755)
    program = Path(sys.executable).parent / "podman-compose"
    return [str(program), "--podman-path", str(podman)]


@pytest.fixture(scope="session")
def compose(deployment: Path, podman_compose: list[str]) -> Any:
    """The composition with every variable resolved, as a second implementation reads it."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("MALLARD_")}
    done = subprocess.run(
        [*podman_compose, "--in-pod", "false", "-f", "docker-compose.yml", "config"],
        cwd=deployment,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)
