"""A small inbox that tests fill, and short ways to land it and to look at what landed."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.deliveries import Delivery, plan
from ingestion.landing import LandingReport, Manifest, land
from ingestion.registry import choose_sources
from mallard.settings import Settings

DAY = dt.date(2025, 11, 11)


@dataclass
class Said:
    """A progress that remembers what it was told."""

    texts: list[str] = field(default_factory=list)

    def stage(self, name: str, total: int | None = None) -> Any:
        import contextlib

        return contextlib.nullcontext(lambda text: None)

    def say(self, text: str) -> None:
        self.texts.append(text)


@dataclass
class Inbox:
    """An inbox and the home it is landed into."""

    root: Path
    settings: Settings
    said: Said = field(default_factory=Said)

    def write(self, table: str, data: bytes | str, *, ending: str = "csv", day: dt.date | str = DAY) -> Path:
        path = self.root / table / f"{day}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = data.encode() if isinstance(data, str) else data
        path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
        return path

    def rows(
        self, table: str, rows: list[dict[str, Any]], *, ending: str = "csv", day: dt.date | str = DAY
    ) -> Path:
        """Write rows as csv, jsonl (plain or .gz) or parquet with text columns."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        if ending.startswith("jsonl"):
            return self.write(table, "".join(json.dumps(row) + "\n" for row in rows), ending=ending, day=day)
        if ending == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            path = self.write(table, b"", ending=ending, day=day)
            columns = {name: [_text(row.get(name)) for row in rows] for name in names}
            pq.write_table(pa.table(columns, schema=pa.schema([(name, pa.string()) for name in names])), path)
            return path
        out = io.StringIO()
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return self.write(table, out.getvalue(), ending=ending, day=day)

    def plan(self, source: str = "inbox", **options: Any) -> list[Delivery]:
        (chosen,) = choose_sources(self.settings, source)
        return plan(self.settings, chosen, inbox=self.root, **options)

    def land(self, **options: Any) -> LandingReport:
        return land(self.settings, self.plan(**options), self.said)

    def one(self, **options: Any) -> Manifest:
        """Land, expecting exactly one delivery to land."""
        report = self.land(**options)
        assert not report.refused, report.refused
        assert len(report.landed) == 1
        return report.landed[0]

    def refusal(self, **options: Any) -> str:
        """Land, expecting one refusal and nothing landed; its whole text."""
        report = self.land(**options)
        assert len(report.refused) == 1, report
        assert not report.landed
        return str(report.refused[0])

    def landed(self, table: str, columns: str = "*", source: str = "inbox") -> list[tuple[Any, ...]]:
        files = str(self.settings.landing / table / source / "*.parquet")
        return query(
            f"select {columns} from read_parquet('{files}', hive_partitioning = false) order by _delivery, _row"
        )

    def quarantine(
        self, table: str, columns: str = "reason, column_name, line", source: str = "inbox"
    ) -> list[Any]:
        files = self.settings.quarantine / table / source
        if not list(files.glob("*.parquet")):
            return []
        return query(f"select {columns} from read_parquet('{files}/*.parquet') order by delivery, line")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def query(sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query, with instants in UTC."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


@pytest.fixture
def inbox(tmp_path: Path, settings: Settings) -> Inbox:
    root = tmp_path / "inbox"
    root.mkdir()
    return Inbox(root, settings)


def order(number: int, **changes: Any) -> dict[str, Any]:
    """A sound row of orders/orders."""
    return {
        "order_id": f"{number:04}",
        "ordered_at": f"2025-11-11T08:{number // 60 % 60:02}:{number % 60:02}Z",
        "status": "paid",
        "currency": "USD",
        "discount_amount": "1.50",
    } | changes


def item(number: int, **changes: Any) -> dict[str, Any]:
    """A sound row of orders/order_items: two lines per order."""
    return {
        "order_id": f"{number // 2:04}",
        "line_number": number % 2 + 1,
        "product_id": "007",
        "quantity": 2,
        "unit_price": "9.99",
    } | changes


def customer(number: int, **changes: Any) -> dict[str, Any]:
    """A sound row of orders/customers, with personal data that must not be found again."""
    return {
        "customer_id": f"c{number}",
        "registered_at": "2025-01-01T00:00:00Z",
        "region": "north",
        "email": f" Canary.{number}@Example.com ",
        "phone": f"+49 (170) 55512{number:03}",
    } | changes


def spend(number: int, **changes: Any) -> dict[str, Any]:
    """A sound row of channel_spend."""
    return {
        "spend_date": "2025-11-11",
        "channel": "email",
        "campaign_id": f"k{number}",
        "impressions": 100,
        "clicks": 3,
        "spend": "12.34",
        "currency": "USD",
    } | changes
