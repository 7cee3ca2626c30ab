from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest

from mallard import pipeline
from mallard.candidate import Candidate
from mallard.progress import LogProgress
from mallard.settings import Settings
from publishing.receipt import Receipt
from tests.end_to_end.shops import make_shop


@dataclass(frozen=True)
class Built:
    """A simulated shop whose first days are published and whose last day is a candidate, audited and good."""

    settings: Settings
    candidate: Candidate
    receipt: Receipt


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    from expectations.gate import audit

    home = tmp_path_factory.mktemp("gate")
    shop = make_shop(home / "inbox", days=9, users=150, seed=5)
    settings, progress = Settings(home=home / "home"), LogProgress()
    pipeline.load(settings, last=shop.days[-2], progress=progress, inbox=shop.inbox)
    pipeline.ingest(settings, None, shop.days[-1], shop.days[-1], progress=progress, inbox=shop.inbox)
    candidate = pipeline.build(settings, progress)
    assert candidate is not None
    return Built(settings, candidate, audit(settings, candidate, progress))


@pytest.fixture
def spoil(built: Built, tmp_path: Path) -> Callable[..., Receipt]:
    """Audit a copy of the built candidate after a statement spoilt it."""
    from expectations.gate import audit

    def audit_spoilt(*statements: str, **changes: object) -> Receipt:
        path = tmp_path / built.candidate.path.name
        shutil.copy(built.candidate.path, path)
        with duckdb.connect(str(path)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for statement in statements:
                connection.execute(statement)
        candidate = replace(built.candidate, path=path, **changes)  # type: ignore[arg-type]
        return audit(built.settings, candidate, LogProgress())

    return audit_spoilt
