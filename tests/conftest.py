"""What all tests share: homes of their own, a quiet Airflow, simulated shops made once per session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mallard.settings import Settings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A test's machine may have a shop of its own: its settings must not leak into tests.
for name in [name for name in os.environ if name.startswith("MALLARD_")]:
    del os.environ[name]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty warehouse."""
    return Settings(home=tmp_path / "home")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED_DATA}")
    return SHARED_DATA
