"""Hand-made candidates: a few tables of the right schemas, quick to build and easy to spoil."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from mallard.candidate import Candidate
from mallard.settings import Settings
from publishing.contents import connect, measure_tables, stamp
from publishing.copy import copy_file
from publishing.receipt import CheckResult, InputDelivery, Receipt
from publishing.versions import current_version, next_version, publish

FIRST_DAY = date(2025, 11, 1)


def make_settings(home: Path) -> Settings:
    return Settings(home=home)


def make_candidate(settings: Settings, run_id: str, *, gmv: str = "100.0000", days: int = 3) -> Candidate:
    """A candidate upon the live version whose gmv_daily holds ``gmv`` for each of ``days`` days."""
    settings.work.mkdir(parents=True, exist_ok=True)
    base = current_version(settings)
    path = settings.work / "candidate.duckdb"
    if base:
        copy_file(base.path, path)
    else:
        for leftover in settings.work.glob("candidate.duckdb*"):
            leftover.unlink()
    as_of = FIRST_DAY + timedelta(days=days - 1)
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for schema in ("core", "marts", "ops", "intermediate", "seeds", "landing", "staging"):
            connection.execute(f"create schema if not exists {schema}")
        connection.execute("create or replace view landing.orders__orders as select 1 as order_id")
        connection.execute(
            "create or replace view staging.stg_orders as select * from landing.orders__orders"
        )
        connection.execute(
            "create or replace table ops.run as select ? as run_id, ?::date as as_of, 'UTC' as time_zone",
            [run_id, as_of],
        )
        connection.execute(
            """
            create or replace table marts.gmv_daily as
            select
                (date '2025-11-01' + i::integer)::date as dt,
                ?::decimal(18, 4) as gmv,
                10::bigint as orders,
                0.5::double as cancel_rate
            from range(?) as days (i)
            """,
            [gmv, days],
        )
        connection.execute(
            "create or replace table marts.funnel_daily as select dt, gmv from marts.gmv_daily"
        )
        connection.execute(
            "create or replace table core.fct_orders as select 'o1' as order_id, ?::decimal(18, 4) as gmv",
            [gmv],
        )
    return Candidate(
        path=path,
        run_id=run_id,
        version=next_version(settings),
        base_version=base.version if base else None,
        as_of=as_of,
        target=settings.work / "target",
        is_full_refresh=base is None,
        new_deliveries=1,
    )


def make_check(name: str = "gmv_is_conserved", **changes: object) -> CheckResult:
    values = {
        "name": name,
        "gate": "warehouse",
        "suite": "money",
        "table": "marts.gmv_daily",
        "columns": "gmv",
        "severity": "block",
        "verdict": "passed",
        "observed": 0.0,
        "expected": "exactly 0",
    }
    return CheckResult(**(values | changes))  # type: ignore[arg-type]


def make_receipt(candidate: Candidate, *checks: CheckResult, code_version: str = "1") -> Receipt:
    with connect(candidate.path) as connection:
        tables = measure_tables(connection)
    done = checks or (make_check(),)
    day = candidate.as_of.isoformat()
    return Receipt(
        run_id=candidate.run_id,
        version=candidate.version,
        base_version=candidate.base_version,
        as_of=candidate.as_of,
        is_full_refresh=candidate.is_full_refresh,
        code_version=code_version,
        base_code_version="1",
        audited_at=datetime.now(UTC).isoformat(),
        audit_seconds=0.1,
        engine=duckdb.__version__,
        expected=tuple(check.name for check in done),
        checks=done,
        tables=tables,
        input_deliveries=(
            InputDelivery("orders", "orders", day, "inbox", 10, "abc", FIRST_DAY.isoformat(), day),
        ),
        stamp=stamp(candidate.path),
    )


def publish_one(settings: Settings, run_id: str, **changes: object):
    candidate = make_candidate(settings, run_id, **changes)  # type: ignore[arg-type]
    return publish(settings, candidate, make_receipt(candidate))
