"""What `make sql-tests` says of tables and columns that nobody described."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from mallard.sql_tests import undescribed


def node(kind: str, schema: str, name: str, description: str, **columns: str) -> dict:
    return {
        "resource_type": kind,
        "schema": schema,
        "name": name,
        "description": description,
        "columns": {column: {"description": text} for column, text in columns.items()},
    }


def test_what_has_no_description_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    nodes = [
        node("model", "marts", "whole", "A mart.", dt="The day.", gmv="Money."),
        node("model", "marts", "half", "A mart.", dt="The day.", gmv=" "),
        node("seed", "seeds", "wordless", " ", rule_id="The rule."),
    ]
    sources = [
        node("source", "landing", "orders", "Orders."),
        node("source", "ops", "run", "The run.", as_of="A day."),
    ]
    manifest.write_text(
        json.dumps({"nodes": dict(enumerate(nodes)), "sources": dict(enumerate(sources))}), encoding="utf-8"
    )
    with duckdb.connect() as connection:
        for schema in ("marts", "seeds", "landing", "ops"):
            connection.execute(f"create schema {schema}")
        connection.execute("create table marts.whole as select 1 as dt, 2 as gmv")
        connection.execute("create view marts.half as select 1 as dt, 2 as gmv, 3 as uv")
        connection.execute("create table marts.forgotten as select 1 as dt")
        connection.execute("create table seeds.wordless as select 1 as rule_id")
        connection.execute("create table landing.orders as select 1 as order_id")
        connection.execute("create table ops.run as select 1 as as_of")
        gaps = undescribed(manifest, connection)
    assert gaps == [
        "marts.forgotten.dt",
        "marts.half.gmv",
        "marts.half.uv",
        "seeds.wordless.rule_id",
        "marts.forgotten",
        "seeds.wordless",
    ]
