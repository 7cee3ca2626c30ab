"""Great Expectations' pages (Data Docs) of an audit: one per suite, readable without the network."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from great_expectations.core import ExpectationSuiteValidationResult

# The pages ask a dozen hosts for pictures, fonts and scripts: whoever looks at a report must not tell them.
_FROM_ELSEWHERE = re.compile(
    r'<link[^>]*href="https?://[^>]*>|<script[^>]*src="https?://[^>]*>\s*</script>|<img[^>]*src="https?://[^>]*>'
    r"|<footer>.*?</footer>",
    re.DOTALL,
)
_STYLE = """<style>
  body { font: 15px/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2024; }
  table { border-collapse: collapse; }
  th, td { border-bottom: 1px solid #d8dde2; padding: .35rem .6rem; text-align: left; vertical-align: top; }
  nav ul, #navigation ul { columns: 3; list-style: none; padding: 0; max-height: none !important; overflow: visible !important; }
  img, .modal { display: none; }
  i.fa-check-circle::before { content: "✓"; color: #1a7f37; }
  i.fa-times::before { content: "✗"; color: #a3180e; }
  i.fa-exclamation-triangle::before { content: "!"; color: #a3180e; }
</style>"""


def write_data_docs(validations: Mapping[str, ExpectationSuiteValidationResult], folder: Path) -> Path:
    """Write the pages of one audit into a folder, in place of what is there.

    Args:
        validations: the result of each suite, by its name.
        folder: where ``index.html`` and ``<suite>.html`` go.

    Returns:
        The first page.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # One for all pages: each view compiles the templates anew, which takes longer than filling them in.
    view = DefaultJinjaPageView()
    for name, result in validations.items():
        for one in result.results:
            # The renderer takes no NumPy numbers.
            if one.result.get("observed_value") is not None:
                one.result["observed_value"] = float(one.result["observed_value"])
        page = view.render(ValidationResultsPageRenderer(run_info_at_end=True).render(result))
        (folder / f"{name}.html").write_text(_on_its_own(page))
    index = folder / "index.html"
    index.write_text(_index(validations, f"{folder.name}.html"))
    return index


def _on_its_own(page: str) -> str:
    """The page without what it would fetch, and with links that lead somewhere."""
    page = _FROM_ELSEWHERE.sub("", page)
    page = re.sub(r'href="[./]+/index\.html"', 'href="index.html"', page)
    page = re.sub(r'<a href="[./]+/expectations/[^"]*">(.*?)</a>', r"\1", page)
    return page.replace("</head>", f"{_STYLE}</head>", 1)


def _index(validations: Mapping[str, ExpectationSuiteValidationResult], report: str) -> str:
    rows = "".join(
        f'<tr><td><a href="{html.escape(name)}.html">{html.escape(name)}</a></td>'
        f"<td>{len(result.results)}</td><td>{sum(not one.success for one in result.results)}</td></tr>"
        for name, result in validations.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Expectations of this audit</title>{_STYLE}</head>
<h1>Expectations of this audit</h1>
<p>What DuckDB measured and Great Expectations judged. A check that could not be measured, and dbt's tests, are in
<a href="../{html.escape(report)}">the gate's report</a>.</p>
<table><tr><th>suite</th><th>expectations</th><th>not met</th></tr>{rows}</table>
</html>
"""
