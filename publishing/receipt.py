"""The receipt: what was checked on which candidate, and what came out.

It is the only ticket to a publish. Whether it is positive is never stored, always derived from its checks.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

Severity = Literal["block", "warn"]
# passed; warned: failed, and only told; failed: failed, and blocks; accepted: failed, and a person decided to
# publish all the same; errored: it raised or measured nothing; missing: it was expected and did not run. Errored
# and missing checks block whatever their severity.
Verdict = Literal["passed", "warned", "accepted", "failed", "errored", "missing"]
BLOCKING: frozenset[str] = frozenset({"failed", "errored", "missing"})


@dataclass(frozen=True)
class Acceptance:
    """A person's decision to publish although a check failed. ``at`` is an ISO text in UTC."""

    by: str
    because: str
    at: str


@dataclass(frozen=True)
class CheckResult:
    """What one check of one gate saw.

    ``observed`` is the measured number (NULL where nothing was measured), ``expected`` the condition on it in
    words, ``reason`` why a person cares, ``message`` what happened, ``sql`` shows the rows, ``mend`` says
    what to do, ``since`` is the as_of of the first of the runs in a row that ended like this, ``may_be_accepted``
    whether a person may let it pass, ``acceptance`` who did.
    """

    name: str
    gate: str
    suite: str
    table: str
    columns: str
    severity: Severity
    verdict: Verdict
    observed: float | None
    expected: str
    reason: str = ""
    message: str = ""
    sql: str = ""
    mend: str = ""
    since: str = ""
    may_be_accepted: bool = False
    acceptance: Acceptance | None = None

    @property
    def blocks(self) -> bool:
        return self.verdict in BLOCKING


@dataclass(frozen=True)
class TableState:
    """How many rows a table has, and a checksum of them that does not depend on their order."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class InputDelivery:
    """A delivery that this candidate is the first to hold. Days are ISO dates, empty where unknown."""

    feed: str
    table: str
    delivery: str
    source: str
    rows_landed: int
    content_hash: str
    first_day: str
    last_day: str


@dataclass(frozen=True)
class FeedFreshness:
    """How old a feed's newest row was when the newest delivery of any feed ended. Ages are hours."""

    feed: str
    table: str
    newest_instant: str | None
    newest_delivery: str | None
    age_hours: float | None
    limit_hours: float
    state: Literal["fresh", "stale", "empty"]


@dataclass(frozen=True)
class Receipt:
    """The audit of one candidate. Instants are ISO texts in UTC.

    ``stamp`` tells the file that was audited from one that was written to since (``contents.stamp``).
    """

    run_id: str
    version: int
    base_version: int | None
    as_of: date
    is_full_refresh: bool
    code_version: str
    base_code_version: str
    audited_at: str
    audit_seconds: float
    engine: str
    expected: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    tables: dict[str, TableState]
    input_deliveries: tuple[InputDelivery, ...]
    freshness: tuple[FeedFreshness, ...] = ()
    stamp: str = ""

    @property
    def refusals(self) -> list[str]:
        """Why this candidate must not be published, one line each; empty means that it may be."""
        lines = [f"{check.name}: {check.verdict}, {check.message or check.reason}" for check in self.blocking]
        times = Counter(check.name for check in self.checks)
        lines += [f"{name}: expected, but there is no result" for name in self.expected if not times[name]]
        lines += [f"{name}: {count} results for one check" for name, count in times.items() if count > 1]
        lines += [
            f"{name}: a result that nobody expected" for name in sorted(set(times) - set(self.expected))
        ]
        if not self.expected:
            lines.append("no check was expected: the registry of checks is empty")
        return lines

    @property
    def passed(self) -> bool:
        return not self.refusals

    @property
    def blocking(self) -> list[CheckResult]:
        return [check for check in self.checks if check.blocks]

    @property
    def accepted(self) -> list[CheckResult]:
        return [check for check in self.checks if check.verdict == "accepted"]

    @property
    def warnings(self) -> list[CheckResult]:
        return [check for check in self.checks if check.verdict == "warned"]

    def count(self, *verdicts: Verdict) -> int:
        """How many checks ended with one of the verdicts."""
        return sum(check.verdict in verdicts for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The receipt as plain JSON values; ``from_json`` reads it back."""
        body = dataclasses.asdict(self)
        for check in body["checks"]:
            if check["verdict"] == "passed":
                # What a passed check is for stands in the registry; a year of receipts need not repeat it.
                for text in ("reason", "message", "sql", "mend", "since", "may_be_accepted", "acceptance"):
                    del check[text]
        body["as_of"] = self.as_of.isoformat()
        body["passed"] = self.passed
        body["refusals"] = self.refusals
        return body


def from_json(body: dict[str, Any]) -> Receipt:
    """Read a receipt back. ``passed`` and ``refusals`` in it are for people: they are derived again.

    Raises:
        KeyError, TypeError, ValueError: the body is not a receipt.
    """
    return Receipt(
        run_id=str(body["run_id"]),
        version=int(body["version"]),
        base_version=None if body["base_version"] is None else int(body["base_version"]),
        as_of=date.fromisoformat(body["as_of"]),
        is_full_refresh=bool(body["is_full_refresh"]),
        code_version=str(body["code_version"]),
        base_code_version=str(body["base_code_version"]),
        audited_at=str(body["audited_at"]),
        audit_seconds=float(body["audit_seconds"]),
        engine=str(body["engine"]),
        expected=tuple(body["expected"]),
        checks=tuple(_check(check) for check in body["checks"]),
        tables={name: TableState(**state) for name, state in body["tables"].items()},
        input_deliveries=tuple(InputDelivery(**delivery) for delivery in body["input_deliveries"]),
        freshness=tuple(FeedFreshness(**feed) for feed in body["freshness"]),
        stamp=str(body.get("stamp", "")),
    )


def _check(body: dict[str, Any]) -> CheckResult:
    acceptance = body.get("acceptance")
    return CheckResult(**{**body, "acceptance": Acceptance(**acceptance) if acceptance else None})
