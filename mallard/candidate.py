"""The candidate: the warehouse file that a run builds and that nobody reads before it is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Candidate:
    """A built, not yet audited warehouse file.

    ``path`` is the DuckDB file, closed by its builder; its ``ops.run`` names the same ``run_id``.
    ``version`` is the number that it gets if it is published, ``base_version`` the published version that
    it was built upon (None: the first). ``as_of`` is the last business day of which every declared feed
    has arrived. ``target`` is dbt's target folder of this run, with ``manifest.json`` and
    ``run_results.json``. ``new_deliveries`` counts the deliveries that the base had not consumed.
    """

    path: Path
    run_id: str
    version: int
    base_version: int | None
    as_of: date
    target: Path
    is_full_refresh: bool
    new_deliveries: int
