"""Reads an inbox with nothing of Mallard's own."""

from __future__ import annotations

from pathlib import Path

import duckdb

READERS = {
    "csv": "read_csv('{}', all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"')",
    "jsonl": "read_csv('{}', columns = {{line: 'varchar'}}, header = false, delim = '\x01', quote = '', escape = '')",
    "parquet": "read_parquet('{}')",
}
MONEY = (
    "unit_price",
    "unit_cost",
    "discount_amount",
    "amount",
    "spend",
    "list_price",
    "shipping_fee",
    "budget",
)
COUNTS = ("quantity", "line_number", "rating", "impressions", "clicks", "on_hand", "installs")


def read(out: Path) -> duckdb.DuckDBPyConnection:
    """Each table as it was delivered, with ``delivery`` and ``place`` in the file, and the truth's.

    ``raw_<table>`` has all rows, those that are bad by intention included, as texts; ``<table>`` the good ones
    with their types; ``truth_<name>`` what the simulator says.
    """
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; set threads = 1")
    for table in sorted(out.glob("[!_]*/*")):
        raw = " union all by name ".join(_rows(connection, path) for path in sorted(table.iterdir()))
        connection.execute(f"create table raw_{table.name} as {raw}")
        names = [row[0] for row in connection.execute(f"describe raw_{table.name}").fetchall()]
        columns = ", ".join(_cast(name) for name in names)
        spoilt = " or ".join(
            f"coalesce({name}, '') like 'bad-%'"
            for name in names
            if name.endswith("_id") and name != "campaign_id"
        )
        where = f" where not ({spoilt})" if spoilt else ""
        connection.execute(f"create table {table.name} as select {columns} from raw_{table.name}{where}")
    for truth in (out / "_truth").glob("*.parquet"):
        connection.execute(f"create table truth_{truth.stem} as from read_parquet('{truth}')")
    return connection


def files_of(out: Path, table: str) -> list[Path]:
    return sorted(out.glob(f"[!_]*/{table}/*"))


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    day, _, ending = path.name.partition(".")
    ending = ending.removesuffix(".gz")
    source = READERS[ending].format(path)
    if ending == "jsonl":
        first = connection.execute(f"select json_keys(line) from {source} limit 1").fetchone()
        columns = ", ".join(f"line ->> '{name}' as {name}" for name in first[0])
    else:
        columns = "columns(*)::varchar"
    return f"(select {columns}, date '{day}' as delivery, row_number() over () as place from {source})"


def _cast(name: str) -> str:
    kind = None
    if name.endswith("_at"):
        kind = "timestamptz"
    elif name.endswith("_date"):
        kind = "date"
    elif name in MONEY:
        kind = "decimal(18, 4)"
    elif name == "rate_to_reporting":
        kind = "decimal(20, 10)"
    elif name in COUNTS:
        kind = "bigint"
    return f"try_cast({name} as {kind}) as {name}" if kind else name
