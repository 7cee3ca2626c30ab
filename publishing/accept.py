"""Accepting a refused candidate: a person says that what a check found is right this once, and why.

Only checks that judge plausibility can be accepted: what loses or doubles rows or money, breaks a contract or
was not measured at all stays a refusal, whoever asks.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError, NothingToDoError, SettingsError
from mallard.settings import Settings
from publishing.receipt import Acceptance, CheckResult, Receipt, from_json
from publishing.records import now


def accept(settings: Settings, names: Collection[str], because: str, by: str) -> tuple[Candidate, Receipt]:
    """The candidate that waits, and its receipt with these checks accepted: not yet published.

    Args:
        names: checks that failed on it; none: the receipt as it stands.
        because: why publishing is right all the same; kept in ``ops.publishes`` and ``ops.quality_results``.
        by: who decides.

    Raises:
        NothingToDoError: no audited candidate waits.
        SettingsError: no reason is given, or a name is not that of a check that failed.
        GateRefusedError: a check cannot be accepted, or others still block.
    """
    candidate, receipt = _waiting(settings)
    if names and not because.strip():
        raise SettingsError(
            "An acceptance needs a reason: those who read the figures later will ask.",
            expected='--because "why the finding is right this once"',
            found="nothing",
            mend='mallard publish --accept CHECK --because "…"',
        )
    _refuse_unless_acceptable(candidate, receipt, names)
    acceptance = Acceptance(by, " ".join(because.split()), now())
    checks = [
        replace(check, verdict="accepted", acceptance=acceptance) if check.name in names else check
        for check in receipt.checks
    ]
    accepted = replace(receipt, checks=tuple(checks))
    if not accepted.passed:
        others = accepted.refusals
        raise GateRefusedError(
            f"Version {receipt.version} is not published; reasons that stand against it still: {len(others)}.",
            where=str(candidate.path),
            expected="every check that failed is accepted, or passes",
            found="; ".join(others[:5]) + (f" and {len(others) - 5} more" if others[5:] else ""),
            mend="look at them as well: mend the cause and load again, or accept each by its name",
        )
    return candidate, accepted


def acceptable_names(candidate: Candidate) -> set[str]:
    """The names of the checks that a person may accept on this candidate."""
    from expectations.registry import expected_checks

    return {check.name for check in expected_checks(candidate) if check.may_be_accepted}


def _waiting(settings: Settings) -> tuple[Candidate, Receipt]:
    candidate = Candidate.load(settings)
    path = settings.work / "receipt.json"
    try:
        receipt = from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        receipt = None
    if receipt is None or receipt.run_id != candidate.run_id or not candidate.path.exists():
        raise NothingToDoError(
            "No audited candidate waits to be published.",
            where=str(settings.work),
            expected="a candidate that the gate refused, and its receipt",
            found="the candidate was published already, or another run has begun since",
            mend="mallard load builds and audits one",
        )
    return candidate, receipt


def _refuse_unless_acceptable(candidate: Candidate, receipt: Receipt, names: Collection[str]) -> None:
    failed = {check.name: check for check in receipt.checks if check.verdict == "failed"}
    may_be = acceptable_names(candidate)
    offered = sorted(failed.keys() & may_be)
    for name in names:
        result = next((check for check in receipt.checks if check.name == name), None)
        if result is None or not result.blocks:
            raise SettingsError(
                f"{name} is no check that failed on version {receipt.version}.",
                where=str(candidate.path),
                expected="one of: " + (", ".join(offered) or "none of those that failed can be accepted"),
                found=f"{name}: {result.verdict if result else 'no check of this name ran'}",
                mend="mallard publishes shows what failed",
            )
        if name not in may_be or name not in failed:
            raise GateRefusedError(
                f"{name} cannot be accepted.",
                where=result.table,
                expected="a check that judges plausibility, and that was measured",
                found=_why_not(result),
                mend=result.mend or "mend the cause and load again",
            )


def _why_not(check: CheckResult) -> str:
    if check.verdict != "failed":
        return f"it is {check.verdict}: what it would have found is not known"
    return "it protects rows, money or a contract: published, the figures would be wrong for every reader"
