"""Publishing, rolling back, cleaning up, and finding the way back after an accident."""

from __future__ import annotations

import dataclasses
import json
import stat
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError, MallardError, NothingToDoError
from mallard.settings import Settings
from publishing import records, versions
from publishing.contents import connect
from publishing.lock import link_lock
from publishing.receipt import Receipt
from publishing.versions import (
    Version,
    collect_garbage,
    current_link,
    current_version,
    list_publishes,
    next_version,
    publish,
    recover,
    rollback,
    version_path,
)
from tests.publishing import small_shop as shop

Usage = namedtuple("Usage", "total used free")


def read_gmv(settings: Settings) -> float:
    with duckdb.connect(str(current_link(settings)), read_only=True) as connection:
        return float(connection.execute("select max(gmv) from marts.gmv_daily").fetchall()[0][0])


def test_nothing_is_published_at_first(settings: Settings) -> None:
    assert current_version(settings) is None
    assert next_version(settings) == 1
    assert list_publishes(settings) == []


def test_published_file_is_whole_read_only_and_linked_relatively(settings: Settings) -> None:
    version = shop.publish_one(settings, "first")
    assert (version.version, version.is_live) == (1, True)
    assert version.path.name == "warehouse-000001.duckdb"
    assert stat.S_IMODE(version.path.stat().st_mode) == 0o444
    assert current_link(settings).readlink().name == "warehouse-000001.duckdb"
    assert not list(settings.published.glob("*.wal"))
    assert not (settings.work / "candidate.duckdb").exists()
    assert current_version(settings) == version


def test_published_file_holds_tables_for_readers_and_no_scaffolding(settings: Settings) -> None:
    version = shop.publish_one(settings, "first")
    with connect(version.path) as connection:
        schemas = {
            name
            for (name,) in connection.execute("select distinct schema_name from duckdb_tables()").fetchall()
        }
        views = connection.execute("select count(*) from duckdb_views() where not internal").fetchall()
        every_schema = {
            name
            for (name,) in connection.execute(
                "select schema_name from duckdb_schemas() where database_name = current_database() and not internal"
            ).fetchall()
        }
    assert schemas <= {"core", "marts", "ops", "intermediate", "seeds"}
    assert views == [(0,)]
    assert not every_schema & {"landing", "staging"}


def test_ops_tells_of_every_run_published_or_refused(settings: Settings) -> None:
    shop.publish_one(settings, "first")
    candidate = shop.make_candidate(settings, "second")
    failing = shop.make_check(verdict="failed", observed=3.0, message="3 rows, expected none")
    with pytest.raises(GateRefusedError):
        publish(settings, candidate, shop.make_receipt(candidate, failing))
    version = shop.publish_one(settings, "third")
    assert version.version == 3
    with connect(version.path) as connection:
        told = connection.execute(
            "select version, run_id, status, checks_failed, reason is null from ops.publishes order by version"
        ).fetchall()
        checks = connection.execute(
            "select run_id, check_name, verdict from ops.quality_results order by version"
        ).fetchall()
        tables = connection.execute("select tables from ops.publishes where version = 3").fetchall()[0][0]
    assert told == [
        (1, "first", "published", 0, True),
        (2, "second", "refused", 1, False),
        (3, "third", "published", 0, True),
    ]
    assert checks == [
        ("first", "gmv_is_conserved", "passed"),
        ("second", "gmv_is_conserved", "failed"),
        ("third", "gmv_is_conserved", "passed"),
    ]
    assert json.loads(tables)["marts.gmv_daily"]["rows"] == 3


def test_each_run_is_told_once_however_many_follow(settings: Settings) -> None:
    for run in range(4):
        version = shop.publish_one(settings, f"run{run}", days=3 + run)
    with connect(version.path) as connection:
        assert connection.execute(
            "select count(*), count(distinct run_id) from ops.publishes"
        ).fetchall() == [(4, 4)]


def test_rollback_is_one_quick_move_and_the_next_load_goes_on(settings: Settings) -> None:
    shop.publish_one(settings, "n", gmv="100.0000")
    shop.publish_one(settings, "n1", gmv="200.0000")
    began = time.monotonic()
    version = rollback(settings)
    assert time.monotonic() - began < 2
    assert (version.version, read_gmv(settings)) == (1, 100.0)
    following = shop.publish_one(settings, "n2", gmv="300.0000")
    assert (following.version, read_gmv(settings)) == (3, 300.0)
    with connect(following.path) as connection:
        told = connection.execute("select version, base_version from ops.publishes order by 1").fetchall()
    assert told == [(1, None), (2, 1), (3, 1)], "a version that was rolled back is still told of"


def test_rollback_goes_to_a_version_by_number_and_forward_again(settings: Settings) -> None:
    for run in range(3):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    assert rollback(settings, 1).version == 1
    assert rollback(settings, 3).version == 3
    assert [line.is_live for line in list_publishes(settings)] == [False, False, True]


@pytest.mark.parametrize("wanted", [None, 1, 7])
def test_rollback_to_nothing_says_what_there_is(settings: Settings, wanted: int | None) -> None:
    shop.publish_one(settings, "only")
    with pytest.raises(NothingToDoError) as refusal:
        rollback(settings, wanted)
    assert "kept: none" in refusal.value.expected
    assert "mallard publishes" in refusal.value.mend


def audited_upon_two_versions(settings: Settings) -> tuple[Candidate, Receipt]:
    shop.publish_one(settings, "n")
    shop.publish_one(settings, "n1", days=4)
    candidate = shop.make_candidate(settings, "n2", days=5)
    return candidate, shop.make_receipt(candidate)


def test_load_that_a_rollback_overtook_is_not_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, receipt = audited_upon_two_versions(settings)
    rollback(settings)
    monkeypatch.setattr(versions, "finish", lambda *_: pytest.fail("it was finished for nothing"))
    with pytest.raises(GateRefusedError, match="changed while this candidate was built"):
        publish(settings, candidate, receipt)
    current = current_version(settings)
    assert current is not None
    assert current.version == 1


def test_load_that_a_rollback_overtakes_while_it_is_finished_is_not_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, receipt = audited_upon_two_versions(settings)
    real = versions.finish

    def finish(*arguments: Any) -> Any:
        changes = real(*arguments)
        rollback(settings)
        return changes

    monkeypatch.setattr(versions, "finish", finish)
    with pytest.raises(GateRefusedError, match="changed while this candidate was built"):
        publish(settings, candidate, receipt)
    assert current_version(settings).version == 1  # type: ignore[union-attr]


def test_publish_and_rollback_wait_while_another_holds_the_link(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish_one(settings, "n")
    candidate = shop.make_candidate(settings, "n1", days=4)
    receipt = shop.make_receipt(candidate)
    is_finished, real = threading.Event(), versions.finish

    def finish(*arguments: Any) -> Any:
        changes = real(*arguments)
        is_finished.set()
        return changes

    monkeypatch.setattr(versions, "finish", finish)
    steps: list[Callable[[], Version]] = [
        lambda: publish(settings, candidate, receipt),
        lambda: rollback(settings),
    ]
    moved = []
    with ThreadPoolExecutor(1) as another:
        for step in steps:
            with link_lock(settings):
                moving = another.submit(step)
                assert is_finished.wait(60)
                with pytest.raises(TimeoutError):
                    moving.result(0.5)
            moved.append(moving.result().version)
    assert moved == [2, 1]


def test_last_seven_published_versions_are_kept(settings: Settings) -> None:
    for run in range(9):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    kept = sorted(path.name for path in settings.published.glob("warehouse-*"))
    assert kept == [f"warehouse-{number:06d}.duckdb" for number in range(3, 10)]


def test_cleaning_up_goes_by_records_and_never_takes_the_live_version(settings: Settings) -> None:
    for run in range(7):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    rollback(settings, 1)
    # Refused candidates with higher numbers: by name order they would push the live one out.
    for run in range(8):
        candidate = shop.make_candidate(settings, f"refused{run}", days=20)
        records.record_refusal(settings, shop.make_receipt(candidate), "for the test")
    # A stray file that looks newer is nobody's version and not ours to remove.
    stray = version_path(settings, 99)
    stray.write_bytes(b"not a warehouse")
    assert collect_garbage(settings) == []
    version = shop.publish_one(settings, "last", days=30)
    assert version.version == 100, "never a number that a file has"
    assert stray.exists()
    assert rollback(settings, 2).version == 2


def test_live_version_survives_even_if_it_is_the_oldest(settings: Settings) -> None:
    for run in range(8):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    rollback(settings, 2)
    # The eighth and ninth published versions would push version 2 out, were it not live.
    record = records.read_records(settings, version=8)[0]
    for number in (9, 10):
        receipt = dataclasses.replace(record.receipt, version=number, run_id=f"later{number}")
        records.store_record(
            settings, dataclasses.replace(record, receipt=receipt, recorded_at=records.now())
        )
    collect_garbage(settings)
    assert current_version(settings).version == 2  # type: ignore[union-attr]


def test_broken_link_is_said_and_mended(settings: Settings) -> None:
    for run in range(3):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    version_path(settings, 3).unlink()
    with pytest.raises(MallardError) as broken:
        current_version(settings)
    assert "points nowhere" in broken.value.summary
    assert "mallard rollback 2" in broken.value.mend
    said: list[str] = []
    recover(settings, said.append)
    assert current_version(settings).version == 2  # type: ignore[union-attr]
    assert len(said) == 1
    assert "version 2" in said[0]
    moved = records.read_rollbacks(settings)[-1]
    assert (moved.from_version, moved.to_version) == (None, 2), "a link lost again would lead elsewhere"


def test_lost_link_comes_back_to_where_it_was_rolled_back_to(settings: Settings) -> None:
    for run in range(3):
        shop.publish_one(settings, f"run{run}", days=3 + run)
    rollback(settings, 2)
    current_link(settings).unlink()
    with pytest.raises(MallardError, match="points nowhere"):
        current_version(settings)
    recover(settings, lambda text: None)
    assert current_version(settings).version == 2, "not 3: somebody rolled that back"  # type: ignore[union-attr]


def test_link_without_any_version_left_starts_over(settings: Settings) -> None:
    shop.publish_one(settings, "only")
    version_path(settings, 1).unlink()
    recover(settings, lambda text: None)
    assert current_version(settings) is None
    assert shop.publish_one(settings, "again").version == 2


def test_lost_records_do_not_hide_the_live_version(settings: Settings) -> None:
    shop.publish_one(settings, "only", days=5)
    for path in records.receipts_folder(settings).glob("*.json"):
        path.unlink()
    current = current_version(settings)
    assert current is not None
    assert (current.version, current.run_id, current.as_of.isoformat()) == (1, "only", "2025-11-05")


def test_damaged_record_is_no_ticket_and_no_hindrance(settings: Settings) -> None:
    shop.publish_one(settings, "first")
    shop.publish_one(settings, "second", days=4)
    next(records.receipts_folder(settings).glob("000001-*")).write_text('{"state": "publ')
    assert [line.version for line in list_publishes(settings)] == [2]
    with pytest.raises(NothingToDoError):
        rollback(settings)
    assert shop.publish_one(settings, "third", days=5).version == 3


def test_disk_without_room_is_a_clear_refusal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.publish_one(settings, "first")
    candidate = shop.make_candidate(settings, "second", gmv="7.0000")
    receipt = shop.make_receipt(candidate)
    audited = candidate.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: Usage(10**12, 10**12, 1000))
        with pytest.raises(MallardError, match="not enough disk space for finishing the candidate"):
            publish(settings, candidate, receipt)
    assert candidate.path.read_bytes() == audited, "it was begun all the same"
    assert read_gmv(settings) == 100.0
    assert publish(settings, candidate, receipt).version == 2


def test_run_ids_of_airflow_make_good_file_names(settings: Settings) -> None:
    run_id = "scheduled__2025-11-01T00:00:00+00:00/../x"
    shop.publish_one(settings, run_id)
    (path,) = records.receipts_folder(settings).glob("*.json")
    assert path.parent == records.receipts_folder(settings)
    assert set(path.name) & set(":/+") == set()
    assert records.read_records(settings)[0].receipt.run_id == run_id


def test_versions_have_files_of_their_own(settings: Settings) -> None:
    first = shop.publish_one(settings, "first")
    before = first.path.read_bytes()
    shop.publish_one(settings, "second", gmv="5.0000")
    assert first.path.read_bytes() == before
    assert Path(first.path).stat().st_ino != version_path(settings, 2).stat().st_ino
