"""Loading simulated shops in this process, and reading what was published."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl

from mallard import pipeline
from mallard.progress import LogProgress
from mallard.settings import Settings
from publishing.versions import current_version
from simulator.shop import simulate

FIRST_DAY = date(2025, 11, 1)


@dataclass(frozen=True)
class Shop:
    """A simulated shop: where its inbox lies, and the days it has."""

    inbox: Path
    days: tuple[date, ...]

    def truth(self, name: str) -> pl.DataFrame:
        """A table that the simulator knows to be true."""
        return pl.read_parquet(self.inbox / "_truth" / f"{name}.parquet")

    def summary(self) -> dict:
        return json.loads((self.inbox / "_truth" / "summary.json").read_text())


def make_shop(
    inbox: Path, *, days: int, users: int, seed: int, faults: tuple[str, ...] = (), **options
) -> Shop:
    simulate(
        inbox, days=days, users=users, seed=seed, first_day=FIRST_DAY, faults=faults, progress=None, **options
    )
    return Shop(inbox, tuple(FIRST_DAY + timedelta(days=n) for n in range(days)))


def load(settings: Settings, shop: Shop, first: date | None = None, last: date | None = None, **options):
    """One load, by the functions that the DAGs call."""
    return pipeline.load(settings, first, last, progress=LogProgress(), inbox=shop.inbox, **options)


def checksums(settings: Settings) -> dict[str, tuple[int, str]]:
    """Rows and an order-free checksum of every published table of core and marts."""
    version = current_version(settings)
    assert version is not None
    with duckdb.connect(str(version.path), read_only=True) as connection:
        names = connection.execute(
            """
            select schema_name, table_name from duckdb_tables()
            where schema_name in ('core', 'marts') order by all
            """
        ).fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                f'select count(*), coalesce(sum(hash(t)::hugeint), 0)::varchar from "{schema}"."{table}" as t'
            ).fetchone()
            for schema, table in names
        }


def published(settings: Settings, sql: str) -> pl.DataFrame:
    """The answer of the published file."""
    version = current_version(settings)
    assert version is not None
    with duckdb.connect(str(version.path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.sql(sql).pl()
