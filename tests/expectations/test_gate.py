"""The whole gate on a simulated shop: what is good passes, and each defect is refused by the check for it.

One session-wide build and one import of Great Expectations serve all tests here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.registry import expected_names
from mallard.errors import GateRefusedError
from mallard.progress import LogProgress
from publishing.contents import stamp
from publishing.receipt import Receipt, from_json
from publishing.versions import current_version, list_publishes
from tests.expectations.conftest import Built

pytestmark = pytest.mark.slow

Spoil = Callable[..., Receipt]


def blocking(receipt: Receipt) -> set[str]:
    return {check.name for check in receipt.blocking}


def test_good_candidate_passes_every_expected_check(built: Built) -> None:
    receipt = built.receipt
    assert receipt.passed, receipt.refusals
    assert len(receipt.checks) == len(receipt.expected) == len(expected_names(built.candidate))
    assert {check.suite for check in receipt.checks} == {
        "gate", "contracts", "deliveries", "conservation", "facts", "marts", "drift", "dbt",
    }  # fmt: skip
    assert receipt.count("passed", "warned") == len(receipt.expected)
    assert receipt.tables["marts.gmv_daily"].rows == 9
    assert not any(name.startswith(("ops.", "landing.", "staging.")) for name in receipt.tables)
    assert len(receipt.input_deliveries) == built.candidate.new_deliveries
    assert {feed.state for feed in receipt.freshness} == {"fresh"}
    stored = json.loads((built.settings.work / "receipt.json").read_text())
    assert stored["run_id"] == receipt.run_id
    # Nobody wrote to the file since it was audited, so a publish need not read its values once more.
    assert receipt.stamp == stamp(built.candidate.path)


GIVEN_DEFECTS = [
    ("delete from ops.load_audit where is_new and table_name = 'events'", "deliveries.manifests_are_audited"),
    ("delete from marts.customer_rfm", "gate.no_table_was_emptied"),
    ("drop table marts.repurchase", "gate.tables_are_there"),
    ("update ops.run set run_id = 'another'", "gate.run_is_this_run"),
]


def test_several_defects_are_each_refused_by_the_check_for_it(spoil: Spoil) -> None:
    receipt = spoil(*(statement for statement, _ in GIVEN_DEFECTS))
    assert not receipt.passed
    for _, name in GIVEN_DEFECTS:
        assert name in blocking(receipt)
    for found in receipt.blocking:
        assert found.message
        assert found.reason
        assert found.mend
        assert found.since == receipt.as_of.isoformat()


def test_renamed_column_under_a_check_is_an_error_that_blocks(spoil: Spoil) -> None:
    receipt = spoil("alter table core.fct_refunds rename column amount to refund_amount")
    errored = {check.name: check.message for check in receipt.checks if check.verdict == "errored"}
    assert "amount" in errored["facts.refunds_are_in_range"]
    assert not receipt.passed


def test_currency_without_a_rate_is_refused(spoil: Spoil, built: Built) -> None:
    receipt = spoil("update ops.run set currency = 'CHF'")
    assert "conservation.every_currency_has_its_rate" in blocking(receipt)


def test_stale_feed_is_told_and_published(spoil: Spoil) -> None:
    receipt = spoil(
        "update ops.load_audit set delivery = delivery + 5 where is_new and table_name = 'products'"
    )
    told = {check.name: check.message for check in receipt.warnings}
    assert "hours old" in told["deliveries.clickstream_is_fresh"]
    assert {feed.state for feed in receipt.freshness} == {"stale"}
    # The lines that were moved are not those that are landed: that, and nothing about freshness, blocks.
    assert blocking(receipt) == {
        "deliveries.manifests_are_audited",
        "deliveries.quarantined_rows_are_kept",
    } & blocking(receipt)


def test_refused_candidate_leaves_readers_and_tells_why(spoil: Spoil, built: Built) -> None:
    before = current_version(built.settings)
    receipt = spoil("delete from marts.gmv_daily")
    assert current_version(built.settings) == before
    line = next(line for line in reversed(list_publishes(built.settings)) if line.run_id == receipt.run_id)
    assert line.status == "refused"
    assert "gmv_daily" in line.reason
    assert (built.settings.reports / f"gate-{receipt.run_id}.html").exists()
    assert not from_json(json.loads((built.settings.work / "receipt.json").read_text())).passed


def test_dropped_suite_is_refused(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    from expectations import gate, registry

    rest = tuple(suite for suite in registry.read_suites() if suite.name != "conservation")
    monkeypatch.setattr(gate, "read_suites", lambda: rest)
    receipt = spoil()
    assert "gate.no_suite_was_dropped" in blocking(receipt), "the published version was judged by it"
    assert any("conservation.money_of_gmv" in line for line in receipt.refusals), "the registry expects it"


def test_suite_that_judges_nothing_is_refused(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    from expectations import judge

    monkeypatch.setattr(judge.Judge, "judge", lambda self, name, checks, observed: {})
    receipt = spoil()
    assert {check.verdict for check in receipt.checks if check.suite == "facts"} == {"missing"}


def test_deselected_dbt_test_is_refused(spoil: Spoil, built: Built, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    results = json.loads((built.candidate.target / "run_results.json").read_text())
    tests = [one for one in results["results"] if one["unique_id"].startswith("test.")]
    results["results"].remove(tests[0])
    (target / "run_results.json").write_text(json.dumps(results))
    (target / "manifest.json").write_text((built.candidate.target / "manifest.json").read_text())
    receipt = spoil(target=target)
    (found,) = receipt.blocking
    assert (found.suite, found.verdict) == ("dbt", "missing")


def test_candidate_that_is_not_there_is_a_refusal(built: Built, tmp_path: Path) -> None:
    from expectations.gate import audit

    candidate = dataclasses.replace(built.candidate, path=tmp_path / "gone.duckdb")
    with pytest.raises(GateRefusedError, match="no candidate"):
        audit(built.settings, candidate, LogProgress())


@pytest.fixture
def landed_copy(built: Built, tmp_path: Path) -> Built:
    """The built shop with a landing zone of its own, that a test may spoil."""
    import shutil

    home = tmp_path / "home"
    shutil.copytree(built.settings.landing, home / "landing")
    shutil.copytree(built.settings.published, home / "published", symlinks=True)
    return dataclasses.replace(built, settings=dataclasses.replace(built.settings, home=home))


@pytest.mark.parametrize(
    ("table", "rewrite", "name"),
    [
        ("orders/orders", "* replace (null::varchar as order_id)", "contracts.orders__orders.order_id_is_there"),
        ("orders/orders", "* replace ('lost' as status)", "contracts.orders__orders.status_is_allowed"),
        ("orders/order_items", "* replace (0::bigint as quantity)", "contracts.orders__order_items.quantity_is_in_range"),
        ("orders/order_items", "* replace (-1::decimal(18, 4) as unit_price)", "contracts.orders__order_items.unit_price_is_in_range"),
        ("orders/orders", "* replace (paid_at::varchar as paid_at)", "contracts.orders__orders.has_its_columns"),
        ("orders/orders", "* exclude (currency)", "contracts.orders__orders.has_its_columns"),
    ],
)  # fmt: skip
def test_spoilt_landed_file_is_refused(landed_copy: Built, table: str, rewrite: str, name: str) -> None:
    from expectations.gate import audit

    path = newest_file(landed_copy, table)
    spoilt = path.with_suffix(".spoilt")
    duckdb.sql(f"copy (select {rewrite} from read_parquet('{path}')) to '{spoilt}' (format parquet)")
    spoilt.replace(path)
    receipt = audit(landed_copy.settings, landed_copy.candidate, LogProgress())
    assert name in blocking(receipt)


def test_landed_file_that_lost_rows_is_refused(landed_copy: Built) -> None:
    from expectations.gate import audit

    path = newest_file(landed_copy, "clickstream/events")
    spoilt = path.with_suffix(".spoilt")
    duckdb.sql(f"copy (select * from read_parquet('{path}') offset 1) to '{spoilt}' (format parquet)")
    spoilt.replace(path)
    receipt = audit(landed_copy.settings, landed_copy.candidate, LogProgress())
    assert blocking(receipt) == {"deliveries.files_hold_their_rows"}


def newest_file(built: Built, table: str) -> Path:
    """The data file of the table's newest delivery."""
    manifest = max((built.settings.landing / table).glob("*/*.json"))
    return manifest.parent / json.loads(manifest.read_text())["file"]
