"""A person publishes a refused candidate: only what judges plausibility can be accepted, with a reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from expectations.gate import audit
from mallard.candidate import Candidate
from mallard.cli import app
from mallard.errors import GateRefusedError, MallardError, NothingToDoError, SettingsError
from mallard.progress import LogProgress
from mallard.settings import Settings
from publishing.receipt import Acceptance
from publishing.versions import current_version, list_publishes, publish
from tests.expectations.conftest import Built

pytestmark = pytest.mark.slow

SHARES = "marts.gmv_daily.rates_are_shares"
MONEY = "conservation.money_of_gmv"
WRONG_SHARE = "update marts.gmv_daily set cancel_rate = 1.2"
WRONG_MONEY = "update marts.gmv_daily set gmv = gmv + 1, net_revenue = net_revenue + 1"


@pytest.fixture
def refused(built: Built, tmp_path: Path) -> Callable[..., Settings]:
    """A home of its own whose candidate was spoilt by statements and then refused by the gate."""

    def make(*statements: str) -> Settings:
        home = tmp_path / "home"
        shutil.copytree(built.settings.home, home, symlinks=True)
        settings = replace(built.settings, home=home)
        path = settings.work / built.candidate.path.name
        candidate = replace(built.candidate, path=path)
        candidate.save(settings)
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        assert audit(settings, candidate, LogProgress()).passed == (not statements)
        return settings

    return make


def ask(settings: Settings, *arguments: str) -> MallardError | None:
    environment = {"MALLARD_HOME": str(settings.home), "MALLARD_USER": "duty"}
    outcome = CliRunner().invoke(app, ["publish", *arguments], env=environment | {"PATH": os.environ["PATH"]})
    if outcome.exception is not None:
        assert isinstance(outcome.exception, MallardError), outcome.exception
        return outcome.exception
    return None


def test_accepted_finding_is_published_and_recorded(refused: Callable[..., Settings]) -> None:
    settings = refused(WRONG_SHARE)
    version = Candidate.load(settings).version
    assert ask(settings, "--accept", SHARES, "--because", "returns of last year") is None
    live = current_version(settings)
    assert live is not None
    assert live.version == version
    assert f"{SHARES} accepted by duty: returns of last year" in list_publishes(settings)[-1].reason
    with duckdb.connect(str(live.path), read_only=True) as connection:
        said = connection.execute(
            """
            select verdict, accepted_by, accepted_because
            from ops.quality_results
            where check_name = ? and version = ?
            """,
            [SHARES, version],
        ).fetchall()
        (reason,) = connection.execute(
            "select reason from ops.publishes where version = ? and status = 'published'", [version]
        ).fetchone() or ("",)
    assert said == [("accepted", "duty", "returns of last year")]
    assert "returns of last year" in reason


def test_what_protects_money_cannot_be_accepted(refused: Callable[..., Settings]) -> None:
    settings = refused(WRONG_MONEY)
    before = current_version(settings)
    error = ask(settings, "--accept", MONEY, "--because", "I know better")
    assert isinstance(error, GateRefusedError)
    assert "protects rows, money or a contract" in error.found
    assert current_version(settings) == before


def test_other_findings_still_block(refused: Callable[..., Settings]) -> None:
    settings = refused(WRONG_SHARE, WRONG_MONEY)
    error = ask(settings, "--accept", SHARES, "--because", "returns of last year")
    assert isinstance(error, GateRefusedError)
    assert MONEY in error.found


@pytest.mark.parametrize(
    ("arguments", "kind", "found"),
    [
        (["--accept", SHARES], SettingsError, "nothing"),
        (
            ["--accept", "marts.segments_agree", "--because", "x"],
            SettingsError,
            "marts.segments_agree: passed",
        ),
        (["--accept", "no.such", "--because", "x"], SettingsError, "no check of this name ran"),
        ([], GateRefusedError, SHARES),
    ],
)
def test_acceptance_that_makes_no_sense_is_refused(
    refused: Callable[..., Settings], arguments: list[str], kind: type[MallardError], found: str
) -> None:
    error = ask(refused(WRONG_SHARE), *arguments)
    assert isinstance(error, kind)
    assert found in error.found


def test_candidate_that_changed_after_its_audit_is_refused(refused: Callable[..., Settings]) -> None:
    settings = refused(WRONG_SHARE)
    with duckdb.connect(str(Candidate.load(settings).path)) as connection:
        connection.execute("update marts.gmv_daily set uv = uv + 1")
    error = ask(settings, "--accept", SHARES, "--because", "returns of last year")
    assert isinstance(error, GateRefusedError)
    assert "not what was audited" in error.summary
    assert "marts.gmv_daily has other values" in error.found


def test_forged_acceptance_is_refused_by_the_publish_itself(refused: Callable[..., Settings]) -> None:
    settings = refused(WRONG_MONEY)
    candidate = Candidate.load(settings)
    receipt = audit(settings, candidate, LogProgress())
    forged = replace(
        receipt,
        checks=tuple(
            replace(check, verdict="accepted", acceptance=Acceptance("x", "y", "2025-01-01T00:00:00+00:00"))
            if check.blocks
            else check
            for check in receipt.checks
        ),
    )
    assert forged.passed
    with pytest.raises(GateRefusedError) as refusal:
        publish(settings, candidate, forged)
    assert f"{MONEY} cannot be accepted" in refusal.value.found


def test_candidate_that_passed_and_was_not_published_is(refused: Callable[..., Settings]) -> None:
    settings = refused()
    assert ask(settings) is None
    assert isinstance(ask(settings), NothingToDoError)
