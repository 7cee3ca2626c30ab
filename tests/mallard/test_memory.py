"""Memory is bounded by what the process may have; what does not fit is spilled, by every connection alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mallard import memory
from mallard.settings import CHECKOUT


def test_container_limits_more_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", (limit, tmp_path / "not there"))
    monkeypatch.delenv("MALLARD_MEMORY_LIMIT", raising=False)
    whole = memory.available_bytes()
    limit.write_text("max\n")
    assert memory.available_bytes() == whole
    limit.write_text(f"{1 << 30}\n")
    assert memory.available_bytes() == 1 << 30
    assert memory.database_limit() == "614MiB"
    monkeypatch.setenv("MALLARD_MEMORY_LIMIT", "2GB")
    assert memory.database_limit() == "2GB"


def test_dbt_goes_on_after_it_has_spilled(tmp_path: Path) -> None:
    """Each model gets a cursor of its own, made with the profile's settings while others run."""
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.duckdb.environments.local import LocalEnvironment

    profile = yaml.safe_load((CHECKOUT / "dbt_project/profiles.yml").read_text())["mallard"]["outputs"][
        "duckdb"
    ]
    options = {"temp_directory": str(tmp_path / "spill"), "memory_limit": "60MB"}
    assert profile["config_options"].keys() == options.keys()
    credentials = DuckDBCredentials(
        path=str(tmp_path / "candidate.duckdb"),
        schema="main",
        database="candidate",
        config_options=options,
        settings=profile["settings"]
        | {name: options[name] for name in options if name in profile["settings"]},
    )
    environment = LocalEnvironment(credentials)
    cursor = environment.handle().cursor()
    cursor.execute(
        "create table big as select hash(i)::varchar || repeat('x', 50) as t from range(1500000) as r (i)"
    )
    cursor.execute("select count(*) from (select t from big order by t desc limit 1400000)")
    assert any((tmp_path / "spill").iterdir()), "nothing was spilled: the test tests nothing"
    again = environment.handle().cursor()
    again.execute("select current_setting('TimeZone'), count(*) from big")
    assert again.fetchone() == ("UTC", 1_500_000)
