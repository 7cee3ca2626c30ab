"""No receipt, no publish: whatever is wrong with it is a refusal with its own reason."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import date

import duckdb
import pytest

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError
from mallard.settings import Settings
from publishing.contents import stamp
from publishing.receipt import CheckResult, Receipt, TableState, from_json
from publishing.versions import current_version, list_publishes, publish
from tests.publishing import small_shop as shop


@pytest.fixture
def candidate(settings: Settings) -> Candidate:
    return shop.make_candidate(settings, "run")


def refuse(settings: Settings, candidate: Candidate, receipt: Receipt) -> str:
    """Publish, expect a refusal that changes nothing and is recorded; returns what it found."""
    with pytest.raises(GateRefusedError) as refusal:
        publish(settings, candidate, receipt)
    assert current_version(settings) is None
    assert refusal.value.exit_code == 4
    (line,) = list_publishes(settings)
    assert (line.status, line.run_id) == ("refused", receipt.run_id)
    return refusal.value.found


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (shop.make_check(verdict="failed", observed=2.0, message="2 rows"), "failed, 2 rows"),
        (
            shop.make_check(verdict="errored", observed=None, message="no such column"),
            "errored, no such column",
        ),
        (shop.make_check(verdict="missing", observed=None, message="did not run"), "missing, did not run"),
        (shop.make_check(verdict="errored", severity="warn", message="raised"), "errored, raised"),
    ],
)
def test_check_that_blocks_is_a_refusal(
    settings: Settings, candidate: Candidate, check: CheckResult, reason: str
) -> None:
    assert reason in refuse(settings, candidate, shop.make_receipt(candidate, check))


def test_warning_is_published_and_told(settings: Settings, candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate, shop.make_check(verdict="warned", severity="warn"))
    assert publish(settings, candidate, receipt).version == 1
    assert list_publishes(settings)[0].warnings == 1


def test_expected_check_without_a_result_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = dataclasses.replace(shop.make_receipt(candidate), expected=("gmv_is_conserved", "rows_add_up"))
    assert "rows_add_up: expected, but there is no result" in refuse(settings, candidate, receipt)


def test_receipt_that_expects_less_than_the_registry_is_a_refusal(
    settings: Settings, candidate: Candidate
) -> None:
    receipt = shop.make_receipt(candidate, shop.make_check("something_easy"))
    assert "gmv_is_conserved is expected and not on the receipt" in refuse(settings, candidate, receipt)


def test_receipt_of_no_checks_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = dataclasses.replace(shop.make_receipt(candidate), expected=(), checks=())
    assert "the registry of checks is empty" in refuse(settings, candidate, receipt)


def test_two_results_of_one_check_are_a_refusal(settings: Settings, candidate: Candidate) -> None:
    check = shop.make_check()
    receipt = dataclasses.replace(shop.make_receipt(candidate), checks=(check, check))
    assert "2 results for one check" in refuse(settings, candidate, receipt)


def test_result_that_nobody_expected_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = dataclasses.replace(
        shop.make_receipt(candidate), checks=(shop.make_check(), shop.make_check("stray"))
    )
    assert "stray: a result that nobody expected" in refuse(settings, candidate, receipt)


def test_passed_written_into_the_file_by_hand_means_nothing(settings: Settings, candidate: Candidate) -> None:
    body = shop.make_receipt(candidate, shop.make_check(verdict="failed", message="3 rows")).to_json()
    body["passed"], body["refusals"] = True, []
    assert "3 rows" in refuse(settings, candidate, from_json(json.loads(json.dumps(body))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"run_id": "other"}, "for run other"),
        ({"version": 7}, "for version 7"),
        ({"base_version": 3}, "for base version 3"),
        ({"as_of": date(2025, 12, 1)}, "for as_of 2025-12-01"),
        ({"tables": {}}, "names no table"),
    ],
)
def test_receipt_of_another_candidate_is_a_refusal(
    settings: Settings, candidate: Candidate, change: dict[str, object], reason: str
) -> None:
    receipt = dataclasses.replace(shop.make_receipt(candidate), **change)  # type: ignore[arg-type]
    assert reason in refuse(settings, candidate, receipt)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            "delete from marts.gmv_daily where dt = '2025-11-02'",
            "marts.gmv_daily was audited with 3 rows and has 2",
        ),
        (
            "update marts.gmv_daily set gmv = gmv + 0.0001",
            "marts.gmv_daily has other values than were audited",
        ),
        ("drop table marts.funnel_daily", "marts.funnel_daily was audited with 3 rows and is gone"),
        ("create table core.stranger as select 1 as one", "core.stranger was not audited"),
        ("create table main.stray as select 1 as one", "main.stray is not for publishing"),
        (
            "create view marts.look as select * from marts.gmv_daily",
            "marts.look (view) is not for publishing",
        ),
        ("update ops.run set run_id = 'other'", "the receipt is of run run, the file of"),
    ],
)
def test_candidate_that_changed_after_its_audit_is_a_refusal(
    settings: Settings, candidate: Candidate, statement: str, reason: str
) -> None:
    receipt = shop.make_receipt(candidate)
    with duckdb.connect(str(candidate.path)) as connection:
        connection.execute(statement)
    assert reason in refuse(settings, candidate, receipt)


def test_change_with_the_files_time_set_back_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate)
    before = candidate.path.stat()
    with duckdb.connect(str(candidate.path)) as connection:
        connection.execute("update marts.gmv_daily set gmv = gmv + 1")
    os.utime(candidate.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "marts.gmv_daily has other values than were audited" in refuse(settings, candidate, receipt)


@pytest.mark.parametrize("when", ["before the audit", "after the audit"])
def test_change_that_waits_beside_the_file_is_a_refusal(
    settings: Settings, candidate: Candidate, when: str
) -> None:
    receipt = shop.make_receipt(candidate)
    with duckdb.connect(str(candidate.path)) as connection:
        connection.execute("pragma disable_checkpoint_on_shutdown")
        connection.execute("update marts.gmv_daily set gmv = gmv + 1")
    if when == "before the audit":
        # Whoever audited it looked past the log, such as another engine.
        receipt = dataclasses.replace(receipt, stamp=stamp(candidate.path))
    assert candidate.path.with_name(candidate.path.name + ".wal").exists()
    assert "marts.gmv_daily has other values than were audited" in refuse(settings, candidate, receipt)


def test_receipt_without_a_stamp_has_every_value_compared(settings: Settings, candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate)
    state = dataclasses.replace(receipt.tables["marts.gmv_daily"], checksum="0")
    receipt = dataclasses.replace(receipt, tables={**receipt.tables, "marts.gmv_daily": state}, stamp="")
    assert "marts.gmv_daily has other values than were audited" in refuse(settings, candidate, receipt)


def test_receipt_with_other_row_counts_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate)
    tables = {**receipt.tables, "core.fct_orders": TableState(rows=10, checksum="0")}
    found = refuse(settings, candidate, dataclasses.replace(receipt, tables=tables))
    assert "core.fct_orders was audited with 10 rows and has 1" in found


def test_candidate_that_is_gone_is_a_refusal(settings: Settings, candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate)
    candidate.path.unlink()
    assert "is not there" in refuse(settings, candidate, receipt)


def test_receipt_survives_its_file(candidate: Candidate) -> None:
    receipt = shop.make_receipt(candidate, shop.make_check(verdict="warned", severity="warn", message="told"))
    assert from_json(json.loads(json.dumps(receipt.to_json()))) == receipt


def test_checksum_knows_rows_not_their_order(settings: Settings) -> None:
    from publishing.contents import connect, measure_table

    candidate = shop.make_candidate(settings, "run")
    with duckdb.connect(str(candidate.path)) as connection:
        connection.execute("create table core.a as select i, i::varchar as t from range(1000) as r (i)")
        connection.execute("create table core.b as from core.a order by i desc")
        connection.execute("create table core.c as from core.a union all select 7, '7'")
        connection.execute(
            "create table core.d as select i, case i when 7 then null else t end as t from core.a"
        )
    with connect(candidate.path) as connection:
        states = {name: measure_table(connection, "core", name) for name in "abcd"}
    assert states["a"] == states["b"]
    assert states["c"].checksum != states["a"].checksum
    assert states["d"].checksum != states["a"].checksum
