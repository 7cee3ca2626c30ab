"""The verdict as people read it: one screen of plain lines in a terminal or a log, and a page per run."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from expectations.registry import read_suites
from mallard.settings import Settings
from publishing.receipt import CheckResult, Receipt
from publishing.records import file_word, write_durably

# One screen: what does not fit is in the report.
SHOWN_REFUSALS = 6
SHOWN_WARNINGS = 6
SHOWN_SQL = 400
KEPT_REPORTS = 30
_ORDER = {"errored": 0, "missing": 1, "failed": 2, "accepted": 3, "warned": 4, "passed": 5}


def report_name(receipt: Receipt) -> str:
    """The file name of the page of a run's verdict."""
    return f"gate-{file_word(receipt.run_id)}.html"


def data_docs_folder(settings: Settings, receipt: Receipt) -> Path:
    """Where Great Expectations' pages of a run's verdict lie, beside its report."""
    return (settings.reports / report_name(receipt)).with_suffix("")


def drop_old_reports(settings: Settings) -> None:
    """Remove the reports of the oldest runs beyond ``KEPT_REPORTS``."""
    pages = sorted(settings.reports.glob("gate-*.html"), key=lambda path: path.stat().st_mtime)
    for page in pages[:-KEPT_REPORTS]:
        shutil.rmtree(page.with_suffix(""), ignore_errors=True)
        page.with_suffix(".json").unlink(missing_ok=True)
        page.unlink(missing_ok=True)


def render_text(receipt: Receipt) -> str:
    """The verdict as plain lines: what failed, where, how many, since when, how to see it, what to do."""
    lines = [headline(receipt)]
    lost = _without_result(receipt)
    for check in _blocking(receipt)[:SHOWN_REFUSALS]:
        lines += [
            "",
            f"✗ {check.name}: {check.verdict}",
            *(f"    {label}: {text}" for label, text in _parts(check)),
        ]
    lines += [f"✗ {line}" for line in lost[:SHOWN_REFUSALS]]
    hidden = max(len(receipt.blocking) - SHOWN_REFUSALS, 0) + max(len(lost) - SHOWN_REFUSALS, 0)
    if hidden:
        lines += ["", f"… and {hidden} more that block."]
    if receipt.warnings:
        lines += ["", "Told, and not the reason:"]
        lines += [f"  ! {check.name}: {check.message}" for check in receipt.warnings[:SHOWN_WARNINGS]]
        if receipt.warnings[SHOWN_WARNINGS:]:
            lines.append(f"  … and {len(receipt.warnings) - SHOWN_WARNINGS} more")
    lines += ["", f"All of it: reports/{report_name(receipt)}"]
    if not receipt.passed:
        lines.append("To see the rows: open work/candidate.duckdb read-only; it stays until the next load.")
    return "\n".join(lines)


def headline(receipt: Receipt) -> str:
    """One sentence: may it be published, and how many checks said what."""
    ran = len(receipt.checks) - receipt.count("missing")
    counted = f"{ran} of {len(receipt.expected)} checks ran, {len(receipt.warnings)} warned"
    if receipt.passed:
        return f"Version {receipt.version} may be published: {counted}, none that blocks failed."
    return (
        f"Version {receipt.version} is not published; reasons: {len(receipt.refusals)} ({counted}). "
        f"The published version is untouched."
    )


def _blocking(receipt: Receipt) -> list[CheckResult]:
    return sorted(receipt.blocking, key=lambda check: (_ORDER[check.verdict], check.name))


def _without_result(receipt: Receipt) -> list[str]:
    """Refusals that no check's result tells of."""
    told = tuple(f"{check.name}: {check.verdict}" for check in receipt.blocking)
    return [line for line in receipt.refusals if not line.startswith(told)]


def _parts(check: CheckResult) -> Iterator[tuple[str, str]]:
    where = f"{check.table} ({check.columns})" if check.columns else check.table
    yield "where", where
    if check.message:
        yield "found", check.message
    yield "why it matters", check.reason
    if check.since:
        yield "since", f"the load up to {check.since}"
    if check.sql:
        # In one line a comment would swallow the rest of the query.
        code = [line for line in check.sql.splitlines() if not line.lstrip().startswith("--")]
        one_line = " ".join(" ".join(code).split())
        yield (
            "see it",
            one_line if len(one_line) <= SHOWN_SQL else f"{one_line[:SHOWN_SQL]} … (whole in the report)",
        )
    if check.mend:
        yield "to mend", check.mend
    if check.may_be_accepted and check.verdict == "failed":
        yield "if it is right", f'mallard publish --accept {check.name} --because "…"'


def write_report(settings: Settings, receipt: Receipt) -> Path:
    """Write the run's page and the same as JSON beside it.

    Returns:
        The page.
    """
    path = settings.reports / report_name(receipt)
    write_durably(path.with_suffix(".json"), json.dumps(receipt.to_json(), indent=1))
    write_durably(path, render_page(receipt))
    return path


def render_page(receipt: Receipt) -> str:
    """The whole verdict as one HTML page that needs nothing else, not even the network."""
    prepared = {suite.name: suite.prepare for suite in read_suites()}
    checks = sorted(receipt.checks, key=lambda check: (_ORDER[check.verdict], check.suite, check.name))
    rows = "\n".join(_row(check, prepared.get(check.suite, "")) for check in checks)
    lost = "".join(f"<li>{html.escape(line)}</li>" for line in _without_result(receipt))
    tables = "\n".join(
        f"<tr><td>{html.escape(name)}</td><td class=n>{state.rows:,}</td><td><code>{state.checksum}</code></td></tr>"
        for name, state in sorted(receipt.tables.items())
    )
    feeds = "\n".join(
        f"<tr><td>{feed.feed}</td><td>{feed.newest_instant or ''}</td><td>{feed.newest_delivery or ''}</td>"
        f"<td class=n>{'' if feed.age_hours is None else f'{feed.age_hours:.1f}'}</td>"
        f"<td class=n>{feed.limit_hours:g}</td><td>{feed.state}</td></tr>"
        for feed in receipt.freshness
    )
    page = html.escape(report_name(receipt).removesuffix(".html"))
    base = "nothing" if receipt.base_version is None else f"version {receipt.base_version}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gate of version {receipt.version}</title>
<style>
  body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2024; }}
  table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }}
  th, td {{ border-bottom: 1px solid #d8dde2; padding: .35rem .5rem; text-align: left; vertical-align: top; }}
  .n {{ text-align: right; font-variant-numeric: tabular-nums; }}
  .failed, .errored, .missing {{ color: #a3180e; font-weight: 600; }}
  .warned {{ color: #8a5a00; font-weight: 600; }}
  .passed {{ color: #1a7f37; }}
  pre {{ white-space: pre-wrap; background: #f4f6f8; padding: .5rem; margin: .3rem 0; }}
  small {{ color: #5a646e; }}
</style>
<h1 class="{"passed" if receipt.passed else "failed"}">{html.escape(headline(receipt))}</h1>
<p>Run {html.escape(receipt.run_id)}, up to {receipt.as_of}, upon {base}; {len(receipt.input_deliveries)} new
deliveries; code {html.escape(receipt.code_version)}; audited {receipt.audited_at} in {receipt.audit_seconds:g} s
by {html.escape(receipt.engine)}. <a href="{page}/index.html">Great Expectations' pages</a></p>
<ul>{lost}</ul>
<h2>Checks</h2>
<table>
<tr><th>verdict</th><th>check</th><th>where</th><th class=n>observed</th><th>expected</th></tr>
{rows}
</table>
<h2>Freshness</h2>
<table>
<tr><th>feed</th><th>newest row</th><th>newest delivery</th><th class=n>age, hours</th><th class=n>limit</th><th>state</th></tr>
{feeds}
</table>
<h2>Tables that were audited</h2>
<table>
<tr><th>table</th><th class=n>rows</th><th>checksum</th></tr>
{tables}
</table>
</html>
"""


def runnable(sql: str, prepared: str) -> str:
    """A check's query with the temporary tables that it reads, to be run on the candidate as it stands."""
    views = []
    for feed, table in sorted(set(re.findall(r"\bnew_(?:files_)?([a-z_]+?)__([a-z_]+)", sql))):
        name = f"{feed}__{table}"
        views.append(
            f"create or replace temp view new_{name} as\n"
            f"select * from landing.{name}\n"
            f"where (_source, _delivery) in (\n    select (source, delivery) from ops.load_audit\n"
            f"    where is_new and feed = '{feed}' and table_name = '{table}'\n);"
        )
        if f"new_files_{name}" in sql:
            # The files' own columns are no longer told apart in the landing view: it shows the contract's.
            views.append(
                f"create or replace temp view new_files_{name} as\n"
                f"select 'landing.{name}' as file_name, column_name from (describe landing.{name});"
            )
    tables = [prepared.strip()] if prepared and re.search(r"\bgate_|getvariable", sql) else []
    return "\n\n".join([*views, *tables, sql])


def _row(check: CheckResult, prepared: str) -> str:
    observed = "" if check.observed is None else f"{check.observed:,.10g}"
    more = ""
    if check.verdict != "passed":
        said = "".join(
            f"<br><small>{label}:</small> {html.escape(text)}"
            for label, text in _parts(check)
            if label not in {"where", "see it"}
        )
        sql = runnable(check.sql, prepared)
        shown = f"<details><summary>see it</summary><pre>{html.escape(sql)}</pre></details>" if sql else ""
        more = said + shown
    return (
        f'<tr><td class="{check.verdict}">{check.verdict}</td><td>{html.escape(check.name)}{more}</td>'
        f"<td>{html.escape(check.table)}<br><small>{html.escape(check.columns)}</small></td>"
        f"<td class=n>{observed}</td><td>{html.escape(check.expected)}<br><small>{check.severity}</small></td></tr>"
    )
