"""``make env`` writes every secret once, keeps what is there, and leaves the file to its owner alone."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from typing import TYPE_CHECKING

import pytest

from mallard.settings import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_env", CHECKOUT / "deploy" / "make_env.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_env = _load()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MALLARD_HOME", raising=False)
    shutil.copy(CHECKOUT / ".env.example", tmp_path)
    return tmp_path


def read(root: Path) -> dict[str, str]:
    return dict(make_env.values((root / ".env").read_text().splitlines()))


def test_every_secret_is_filled_in_and_no_two_are_alike(root: Path) -> None:
    make_env.main(root)
    written = read(root)
    assert set(make_env.GENERATED) <= set(written)
    secrets = [written[name] for name in make_env.GENERATED if name not in {"MALLARD_UID", "MALLARD_GID"}]
    assert all(len(secret) >= 24 for secret in secrets)
    assert len(set(secrets)) == len(secrets)
    assert len(base64.urlsafe_b64decode(written["AIRFLOW_FERNET_KEY"])) == 32


def test_the_example_holds_no_secret_and_all_names(root: Path) -> None:
    example = make_env.values((root / ".env.example").read_text().splitlines())
    assert {name for name in make_env.GENERATED if example.get(name)} == set()
    assert set(make_env.GENERATED) <= set(example)


def test_the_file_is_its_owners_alone(root: Path) -> None:
    make_env.main(root)
    assert (root / ".env").stat().st_mode & 0o777 == 0o600


def test_again_changes_nothing(root: Path) -> None:
    make_env.main(root)
    before = (root / ".env").read_text()
    make_env.main(root)
    assert (root / ".env").read_text() == before


def test_what_a_person_wrote_stays_and_what_is_missing_is_added(root: Path) -> None:
    (root / ".env").write_text("MALLARD_TIME_ZONE=Asia/Tokyo\nPOSTGRES_PASSWORD=mine\nTEAM=shop\n")
    make_env.main(root)
    written = read(root)
    assert written["MALLARD_TIME_ZONE"] == "Asia/Tokyo"
    assert written["POSTGRES_PASSWORD"] == "mine"
    assert written["TEAM"] == "shop"
    assert written["AIRFLOW_JWT_SECRET"]
    make_env.main(root)
    assert read(root) == written


def test_a_warehouse_that_has_a_hash_key_keeps_it(root: Path) -> None:
    (root / "var").mkdir()
    (root / "var" / "hash_key").write_text("the-key-of-all-hashes-so-far\n")
    make_env.main(root)
    assert read(root)["MALLARD_HASH_KEY"] == "the-key-of-all-hashes-so-far"


def test_the_home_is_made_so_that_docker_need_not(root: Path) -> None:
    make_env.main(root)
    home = root / "var"
    assert home.is_dir()
    assert home.stat().st_uid == int(read(root)["MALLARD_UID"])


def test_nothing_runs_as_root(root: Path) -> None:
    make_env.main(root)
    assert int(read(root)["MALLARD_UID"]) > 0
    assert int(read(root)["MALLARD_GID"]) > 0
