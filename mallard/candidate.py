"""The candidate: the warehouse file that a run builds and that nobody reads before it is published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.errors import NothingToDoError

if TYPE_CHECKING:
    from mallard.settings import Settings


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

    def save(self, settings: Settings) -> None:
        """Write down which candidate waits for its audit, for a task in another process."""
        body = {
            name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()
        }
        body["as_of"] = self.as_of.isoformat()
        path = settings.work / "candidate.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(body, indent=2))
        draft.replace(path)

    @classmethod
    def load(cls, settings: Settings) -> Candidate:
        """Read which candidate waits for its audit.

        Raises:
            NothingToDoError: none does.
        """
        path = settings.work / "candidate.json"
        try:
            body = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise NothingToDoError(
                "There is no candidate to audit.", where=str(path), mend="build one first: mallard load"
            ) from error
        paths = {"path": Path(body["path"]), "target": Path(body["target"])}
        return cls(**{**body, **paths, "as_of": date.fromisoformat(body["as_of"])})
