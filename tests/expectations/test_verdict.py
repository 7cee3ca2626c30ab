"""The verdict: one screen that says what failed, where, how many, since when, how to see it and what to do."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from pathlib import Path

from expectations.registry import read_suites
from expectations.verdict import (
    KEPT_REPORTS,
    drop_old_reports,
    render_page,
    render_text,
    write_report,
)
from mallard.settings import Settings
from publishing.receipt import CheckResult, FeedFreshness, Receipt, TableState


def make_check(name: str, verdict: str = "failed", **changes: object) -> CheckResult:
    values = {
        "name": name,
        "gate": "warehouse",
        "suite": "conservation",
        "table": "marts.gmv_daily",
        "columns": "gmv",
        "severity": "warn" if verdict == "warned" else "block",
        "verdict": verdict,
        "observed": 12.0,
        "expected": "none",
        "reason": "GMV is the money of the landed lines.",
        "message": "12 rows, expected none",
        "sql": "-- What: sums\nselect dt\n  -- of all\nfrom gate_money\nwhere '<script>' = ''",
        "mend": "correct the model",
        "since": "2025-11-03",
    }
    return CheckResult(**(values | changes))  # type: ignore[arg-type]


def make_receipt(*checks: CheckResult, expected: tuple[str, ...] = ()) -> Receipt:
    return Receipt(
        run_id="run",
        version=7,
        base_version=6,
        as_of=date(2025, 11, 5),
        is_full_refresh=False,
        code_version="1+abc",
        base_code_version="1+abc",
        audited_at="2025-11-06T05:00:00+00:00",
        audit_seconds=3.2,
        engine="duckdb 1.5",
        expected=expected or tuple(check.name for check in checks),
        checks=checks,
        tables={"marts.gmv_daily": TableState(1234, "abc")},
        input_deliveries=(),
        freshness=(FeedFreshness("orders", "orders", None, None, None, 48.0, "empty"),),
    )


def test_refusal_says_everything_a_person_needs() -> None:
    text = render_text(make_receipt(make_check("conservation.money_of_gmv"), make_check("x.y", "warned")))
    for part in (
        "Version 7 is not published",
        "conservation.money_of_gmv: failed",
        "marts.gmv_daily (gmv)",
        "12 rows, expected none",
        "since: the load up to 2025-11-03",
        "select dt from gate_money",
        "to mend: correct the model",
        "! x.y",
        "reports/gate-run.html",
        "work/candidate.duckdb",
    ):
        assert part in text


def test_worst_kinds_come_first_and_the_screen_stays_one() -> None:
    checks = [make_check(f"facts.check{number:02}") for number in range(40)]
    text = render_text(make_receipt(*checks, make_check("zz.raised", "errored", message="no such column")))
    assert text.index("zz.raised") < text.index("facts.check00")
    assert "35 more" in text
    assert len(text.splitlines()) < 60


def test_check_that_never_ran_is_named() -> None:
    text = render_text(make_receipt(make_check("a.b", "passed"), expected=("a.b", "dbt.gone")))
    assert "dbt.gone: expected, but there is no result" in text


def test_positive_verdict_is_one_line() -> None:
    assert render_text(make_receipt(make_check("a.b", "passed"))).splitlines()[0] == (
        "Version 7 may be published: 1 of 1 checks ran, 0 warned, none that blocks failed."
    )


def test_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    receipt = make_receipt(make_check("conservation.money_of_gmv", message="<b>bold</b> & more"))
    page = render_page(receipt)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page
    assert "create or replace temp table gate_money" in page, (
        "the query runs only after its suite's preparation"
    )
    assert "1,234" in page
    path = write_report(Settings(home=tmp_path), receipt)
    assert path == tmp_path / "reports" / "gate-run.html"
    assert json.loads(path.with_suffix(".json").read_text())["passed"] is False


def test_query_in_the_report_brings_the_tables_that_it_reads() -> None:
    check = make_check(
        "deliveries.x", suite="deliveries", sql="select 1 from new_channel_spend__channel_spend"
    )
    page = render_page(make_receipt(check))
    assert "create or replace temp view new_channel_spend__channel_spend as" in page
    assert "feed = &#x27;channel_spend&#x27; and table_name = &#x27;channel_spend&#x27;" in page


def test_data_docs_tell_each_suite_and_fetch_nothing(tmp_path: Path) -> None:
    from expectations.judge import Judge

    judge = Judge()
    suites = [suite for suite in read_suites() if suite.name in {"facts", "marts"}]
    for suite in suites:
        numbers = {check.name: 0.0 for check in suite.checks}
        judge.judge(suite.name, suite.checks, numbers | {"facts.keys_resolve": 3.0})
    index = judge.write_data_docs(tmp_path / "gate-run")
    pages = {path.name: path.read_text() for path in index.parent.iterdir()}
    assert pages.keys() == {"index.html", "facts.html", "marts.html"}
    assert 'href="facts.html"' in pages["index.html"]
    assert "facts.keys_resolve" in pages["facts.html"]
    assert "Every order and line is found" in pages["facts.html"]
    for page in pages.values():
        assert not re.search(r'(src|href)="https?://', page)


def test_reports_of_old_runs_go(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for number in range(KEPT_REPORTS + 2):
        for name in (f"gate-{number}.html", f"gate-{number}.json", f"gate-{number}/index.html"):
            path = settings.reports / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
            os.utime(path, (number, number))
    drop_old_reports(settings)
    left = {path.name for path in settings.reports.iterdir()}
    assert len(left) == 3 * KEPT_REPORTS
    assert not left & {"gate-0", "gate-0.html", "gate-1.json"}
