"""A whole run later, no person of the feeds is found anywhere under MALLARD_HOME: files, logs, reports, databases."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.expectations.conftest import Built

pytestmark = pytest.mark.slow


def people(inbox: Path) -> list[str]:
    """E-mail addresses and phone numbers of the newest delivery of customers, as a reader would look for them."""
    newest = max((inbox / "orders/customers").iterdir())
    kind = "parquet" if newest.suffix == ".parquet" else "json" if ".jsonl" in newest.name else "csv"
    options = ", all_varchar = true" if kind == "csv" else ""
    rows = duckdb.sql(
        f"""
        select email::varchar, phone::varchar, '+' || regexp_replace(phone::varchar, '[^0-9]', '', 'g')
        from read_{kind}('{newest}'{options})
        where email is not null and phone is not null
        """
    ).fetchall()
    return [value for row in rows for value in row]


def texts(home: Path) -> dict[str, str]:
    """Everything in the home as text, by where it lies."""
    found = {}
    for path in sorted(home.rglob("*")):
        if path.suffix == ".duckdb" and not path.is_symlink():
            with duckdb.connect(str(path), read_only=True) as connection:
                for schema, table in connection.execute(
                    "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
                ).fetchall():
                    rows = connection.execute(f'select t::varchar from "{schema}"."{table}" as t').fetchall()
                    found[f"{path.name} {schema}.{table}"] = "\n".join(row for (row,) in rows)
        elif path.suffix == ".parquet":
            rows = duckdb.sql(f"select t::varchar from read_parquet('{path}') as t").fetchall()
            found[str(path)] = "\n".join(row for (row,) in rows)
        elif path.is_file() and not path.is_symlink():
            found[str(path)] = path.read_bytes().decode("utf-8", "replace")
    return found


def test_no_person_is_found_after_a_run(built: Built) -> None:
    wanted = people(built.settings.home.parent / "inbox")
    assert len(wanted) > 10
    found = texts(built.settings.home)
    assert any("marts.gmv_daily" in name for name in found)
    assert any(name.endswith(".log") for name in found)
    assert not [(name, person) for name, text in found.items() for person in wanted if person in text]
