"""Reads the landing zone through its manifests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

DELIVERIES = {
    "feed": pl.String(),
    "table": pl.String(),
    "source": pl.String(),
    "delivery": pl.Date(),
    "rows_landed": pl.Int64(),
}


def read_landing(home: Path) -> tuple[dict[tuple[str, str], pl.DataFrame], pl.DataFrame]:
    """All landed rows per (feed, table), and the deliveries (feed, table, source, delivery, rows_landed).

    ``home`` is ``MALLARD_HOME``; only files that a manifest names are read.
    """
    parts: dict[tuple[str, str], list[pl.DataFrame]] = {}
    deliveries: list[dict[str, object]] = []
    for path in sorted((home / "landing").glob("*/*/*/*.json")):
        manifest = json.loads(path.read_text())
        deliveries.append({name: manifest[name] for name in DELIVERIES})
        if manifest.get("file"):
            frame = pl.read_parquet(path.parent / manifest["file"], hive_partitioning=False)
            parts.setdefault((manifest["feed"], manifest["table"]), []).append(frame)
    landing = {key: pl.concat(frames, how="diagonal_relaxed") for key, frames in parts.items()}
    table = pl.DataFrame(
        [{**row, "delivery": str(row["delivery"])} for row in deliveries],
        schema={**DELIVERIES, "delivery": pl.String()},
    ).with_columns(pl.col("delivery").str.to_date())
    return landing, table
