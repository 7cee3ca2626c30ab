"""``ops.restatements``: the figures of past days that this publish changed, from what, to what, and why.

A past day is one that the published version told of: up to its ``as_of``. Marts that are kept by ``dt`` are
compared with the published version; days of which every row is equal (most of them) are found by a checksum
per day, so that only the changed days are compared figure by figure.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb

from publishing.contents import identifier
from publishing.promised import mart_grain
from publishing.receipt import InputDelivery, Receipt
from publishing.records import Record

# A change of logic may restate every figure of every day: the latest days are told, the rest is counted.
TOLD_PER_MART = 2_000
KEPT_ROWS = 200_000
# Figures are DOUBLE where they are rates: sums in another order differ in their last digits.
RELATIVE_TOLERANCE = 1e-9
NAMED_DELIVERIES = 4

_RESTATEMENTS = """
    create or replace table ops.restatements (
        version bigint,
        run_id varchar,
        published_at timestamptz,
        table_name varchar,
        dt date,
        member varchar,
        metric varchar,
        old_value double,
        new_value double,
        cause varchar,
    )
"""


def write_restatements(
    connection: duckdb.DuckDBPyConnection, record: Record, *, has_base: bool, has_history: bool
) -> tuple[tuple[str, int], ...]:
    """Write the table: what this publish changes, after what the base's table tells.

    Returns:
        How many figures of past days changed, by mart, told or not.
    """
    connection.execute(_RESTATEMENTS)
    if has_history:
        connection.execute(
            """
            insert into ops.restatements by name
            select * from base.ops.restatements
            order by version desc, dt desc
            limit ?
            """,
            [KEPT_ROWS],
        )
    if not has_base:
        return ()
    row: Any = connection.execute("select max(as_of) from base.ops.run").fetchone()
    told_until: date | None = row[0]
    if told_until is None:
        return ()
    changes = [
        (mart, _compare(connection, mart, grain, figures, record, told_until))
        for mart, grain, figures in _comparable_marts(connection)
    ]
    return tuple((mart, count) for mart, count in changes if count)


def _comparable_marts(
    connection: duckdb.DuckDBPyConnection,
) -> list[tuple[str, list[str], list[str]]]:
    """(mart, grain columns without ``dt``, numeric columns) of the marts by day that both files have."""
    rows = connection.execute(
        """
        select new.table_name, new.column_name, new.data_type
        from duckdb_columns() as new
        inner join duckdb_columns() as old
            on old.database_name = 'base'
            and old.schema_name = new.schema_name
            and old.table_name = new.table_name
            and old.column_name = new.column_name
            and old.data_type = new.data_type
        where new.database_name = current_database() and new.schema_name = 'marts'
        order by new.table_name, new.column_index
        """
    ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    for mart, column, kind in rows:
        columns.setdefault(mart, {})[column] = kind
    marts = []
    for mart, kinds in columns.items():
        grain = [name for name in mart_grain(mart) if name != "dt"]
        if kinds.get("dt") != "DATE" or not mart_grain(mart) or not kinds.keys() >= set(grain):
            continue
        figures = [
            name
            for name, kind in kinds.items()
            if name not in {"dt", *grain} and (kind in {"BIGINT", "DOUBLE"} or kind.startswith("DECIMAL"))
        ]
        if figures:
            marts.append((mart, grain, figures))
    return marts


def _compare(
    connection: duckdb.DuckDBPyConnection,
    mart: str,
    grain: list[str],
    figures: list[str],
    record: Record,
    told_until: date,
) -> int:
    """Insert what changed in one mart; returns how many figures did."""
    table = f"marts.{identifier(mart)}"
    keys = ["dt", *map(identifier, grain)]
    values = ", ".join([*keys, *map(identifier, figures)])
    checksum = f"select dt, sum(hash({values})::hugeint) as checksum, count(*) as row_count"
    member = " || ', ' || ".join(f"'{name}=' || coalesce({identifier(name)}::varchar, '')" for name in grain)
    joined = ", ".join(
        [*keys]
        + [f"o.{identifier(name)} as {identifier('old ' + name)}" for name in figures]
        + [f"n.{identifier(name)} as {identifier('new ' + name)}" for name in figures]
    )
    differences = " union all ".join(
        f"select dt, {member or chr(39) * 2} as member, '{name}' as metric,"
        f" {identifier('old ' + name)}::double as old_value, {identifier('new ' + name)}::double as new_value"
        f" from joined where {identifier('old ' + name)} is distinct from {identifier('new ' + name)}"
        for name in figures
    )
    connection.execute(
        f"""
        create or replace temp table restated as
        with days as (
            -- A mart as of a day holds no other day: its earlier ones were not restated, nor are days from
            -- before the first that was told.
            select greatest(o.first_dt, n.first_dt) as first_dt, least(n.last_dt, $until) as last_dt
            from (select min(dt) as first_dt from base.{table}) as o
            cross join (select min(dt) as first_dt, max(dt) as last_dt from {table}) as n
        ),
        changed_days as (
            select dt
            from ({checksum} from base.{table} where dt <= $until group by dt) as o
            full join ({checksum} from {table} where dt <= $until group by dt) as n using (dt)
            where (o.checksum, o.row_count) is distinct from (n.checksum, n.row_count)
                and dt between (select first_dt from days) and (select last_dt from days)
        ),
        joined as materialized (
            select {joined}
            from (select {values} from base.{table} semi join changed_days using (dt)) as o
            full join (select {values} from {table} semi join changed_days using (dt)) as n
                using ({", ".join(keys)})
        )
        select * from ({differences})
        where old_value is null
            or new_value is null
            or abs(old_value - new_value) > $tolerance * greatest(abs(old_value), abs(new_value))
        """,
        {"until": told_until, "tolerance": RELATIVE_TOLERANCE},
    )
    days = connection.execute("select distinct dt from restated").fetchall()
    zone: Any = connection.execute("select max(time_zone) from ops.run").fetchone()
    causes = {day: cause_of(record.receipt, day, zone[0]) for (day,) in days}
    connection.execute("create or replace temp table causes (dt date, cause varchar)")
    if causes:
        connection.executemany("insert into causes values (?, ?)", [list(item) for item in causes.items()])
    connection.execute(
        """
        insert into ops.restatements
        select $version, $run_id, $at, $mart, dt, member, metric, old_value, new_value, cause
        from restated
        inner join causes using (dt)
        order by dt desc, member, metric
        limit $told
        """,
        {
            "version": record.version,
            "run_id": record.receipt.run_id,
            "at": record.recorded_at,
            "mart": mart,
            "told": TOLD_PER_MART,
        },
    )
    row: Any = connection.execute("select count(*) from restated").fetchone()
    connection.execute("drop table restated; drop table causes")
    return int(row[0])


def cause_of(receipt: Receipt, day: date, time_zone: str) -> str:
    """Why a figure of ``day`` may have changed: what this run can honestly name, not a proof.

    Rows of the day itself come first; then rows of other days that reach back (a visitor who becomes known,
    a later state of an order); then a change of logic.
    """
    logic = ""
    if receipt.is_full_refresh and receipt.code_version != receipt.base_code_version:
        logic = f"changed logic ({receipt.base_code_version} → {receipt.code_version})"
    same_day = [one for one in receipt.input_deliveries if _holds(one, day, time_zone)]
    if same_day:
        return "; ".join(filter(None, [logic, f"late or restated rows of this day in {_name(same_day)}"]))
    if receipt.input_deliveries:
        named = f"later rows that reach back in {_name(list(receipt.input_deliveries))}"
        return "; ".join(filter(None, [logic, named]))
    return logic or "built anew from the same deliveries"


def _holds(delivery: InputDelivery, day: date, time_zone: str) -> bool:
    """Whether the delivery may have rows of the business day: its own days are UTC, elsewhere one more at either end."""
    if not delivery.first_day or not delivery.last_day:
        return False
    margin = timedelta(days=0 if time_zone == "UTC" else 1)
    first, last = date.fromisoformat(delivery.first_day), date.fromisoformat(delivery.last_day)
    return first - margin <= day <= last + margin


def _name(deliveries: list[InputDelivery]) -> str:
    names = sorted({f"{one.feed}.{one.table} {one.delivery}" for one in deliveries})
    more = f" and {len(names) - NAMED_DELIVERIES} more" if names[NAMED_DELIVERIES:] else ""
    return ", ".join(names[:NAMED_DELIVERIES]) + more
