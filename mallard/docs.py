"""Make dbt's documentation of every table as one page: ``python -m mallard.docs``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from mallard.dbt_run import invoke_dbt
from mallard.errors import MallardError
from mallard.settings import Settings, from_environment
from mallard.sql_tests import prepare_empty_candidate


def main() -> int:
    """Write ``MALLARD_HOME/docs/index.html``, which works without a server and without a network."""
    page = from_environment().home / "docs" / "index.html"
    with tempfile.TemporaryDirectory(prefix="mallard-docs-") as folder:
        settings = Settings(home=Path(folder))
        candidate = prepare_empty_candidate(settings)
        # Tables of no rows: there is nothing to test, only columns to see.
        build = ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
        for arguments in (build, ["docs", "generate", "--static"]):
            if not invoke_dbt(settings, candidate.path, candidate.target, arguments, lambda _: None):
                print("dbt could not document the project; `make sql-tests` says why", file=sys.stderr)
                return 1
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(candidate.target / "static_index.html", page)
    print(f"Every table and column: {page}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MallardError as error:
        sys.exit(str(error))
