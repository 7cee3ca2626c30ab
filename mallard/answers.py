"""Write the answers beneath the queries of docs/bi.md, from the published warehouse: ``python -m mallard.answers``."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

from mallard.errors import MallardError
from mallard.settings import CHECKOUT, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

PAGE = CHECKOUT / "docs" / "bi.md"
# A query, and the answer beneath it where there is one.
_BLOCK = re.compile(
    r"^```sql\n(?P<query>.*?)^```\n(?:\n```text\n(?P<answer>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def read_answers(page: str) -> list[tuple[str, str]]:
    """Every query of a page, with the answer that is written beneath it (empty for none)."""
    return [(block["query"], block["answer"] or "") for block in _BLOCK.finditer(page)]


def write_answers(page: str, answer: Callable[[str], str]) -> str:
    """The page, with what ``answer`` gives beneath each query."""
    return _BLOCK.sub(
        lambda block: f"```sql\n{block['query']}```\n\n```text\n{answer(block['query'])}```\n", page
    )


def answer_query(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The rows of a query as ``mallard query`` shows them, one to a line."""
    from rich.console import Console

    from mallard.show import make_table

    relation = connection.sql(query)
    console = Console(file=io.StringIO(), width=400, highlight=False)
    console.print(make_table("", relation.columns, relation.fetchall()))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def main() -> int:
    """Answer the queries of the page anew; 1 where nothing is published or a query does not run."""
    import duckdb

    from publishing.versions import current_version

    current = current_version(from_environment())
    if current is None:
        print("Nothing is published to answer from; begin with `make demo`", file=sys.stderr)
        return 1
    page = PAGE.read_text()
    with duckdb.connect(str(current.path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        try:
            PAGE.write_text(write_answers(page, lambda query: answer_query(connection, query)))
        except duckdb.Error as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{len(read_answers(page))} answers, from version {current.version}: {PAGE}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MallardError as error:
        sys.exit(str(error))
