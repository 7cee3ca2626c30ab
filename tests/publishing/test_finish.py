"""The published file stays close to its compacted size, and compaction loses nothing."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError, MallardError
from mallard.settings import Settings
from publishing import finish as finishing
from publishing.contents import connect, measure_tables, wasted_share
from publishing.finish import compact
from publishing.space import MARGIN_BYTES
from publishing.versions import publish
from tests.publishing import small_shop as shop

Usage = namedtuple("Usage", "total used free")
Make = Callable[..., Candidate]


def bloat(settings: Settings, run_id: str) -> Candidate:
    """A candidate in which a large table was replaced: half of its file is empty blocks."""
    candidate = shop.make_candidate(settings, run_id)
    with duckdb.connect(str(candidate.path)) as connection:
        big = "as select i, hash(i)::varchar as t from range(600000) as r (i)"
        connection.execute(f"create or replace table core.big {big}")
        connection.execute("checkpoint")
        connection.execute(f"create table core.bigger {big}")
        connection.execute("drop table core.big")
        connection.execute("checkpoint")
    return candidate


@pytest.mark.parametrize("make", [shop.make_candidate, bloat])
def test_what_is_published_is_what_was_audited(settings: Settings, make: Make) -> None:
    candidate = make(settings, "run")
    receipt = shop.make_receipt(candidate)
    version = publish(settings, candidate, receipt)
    with connect(version.path) as connection:
        assert measure_tables(connection) == receipt.tables


def test_copy_that_loses_values_is_a_refusal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = bloat(settings, "run")
    receipt = shop.make_receipt(candidate)

    def copy_badly(path: Path) -> None:
        compact(path)
        with duckdb.connect(str(path)) as connection:
            connection.execute("update core.bigger set t = '' where i = 7")

    monkeypatch.setattr(finishing, "compact", copy_badly)
    with pytest.raises(GateRefusedError, match=r"core\.bigger has other values than were audited"):
        publish(settings, candidate, receipt)


def test_wasteful_candidate_is_compacted(settings: Settings) -> None:
    candidate = bloat(settings, "run")
    size = candidate.path.stat().st_size
    with connect(candidate.path) as connection:
        assert wasted_share(connection) > finishing.COMPACTED_FROM
    version = publish(settings, candidate, shop.make_receipt(candidate))
    assert version.path.stat().st_size < 0.7 * size
    with connect(version.path) as connection:
        assert wasted_share(connection) < finishing.COMPACTED_FROM
    assert not list(settings.work.glob("*.compact*"))


def test_compaction_that_has_no_room_is_not_begun(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.make_candidate(settings, "run").path
    before = path.read_bytes()
    size, free = len(before), MARGIN_BYTES + len(before) - 1
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free + size, size, free))
    with pytest.raises(MallardError, match="not enough disk space for compacting the candidate"):
        compact(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.glob("*.duckdb*")] == [path.name]


def test_compaction_keeps_rows_constraints_and_comments(settings: Settings) -> None:
    candidate = bloat(settings, "run")
    path = candidate.path
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table seeds.rules (id bigint primary key, word varchar not null)")
        connection.execute("insert into seeds.rules values (1, 'direct')")
        connection.execute("comment on table seeds.rules is 'Rules that analysts edit'")
    with connect(path) as connection:
        before = measure_tables(connection)
    compact(path)
    with connect(path) as connection:
        assert measure_tables(connection) == before
        constraints = connection.execute(
            "select count(*) from duckdb_constraints() where table_name = 'rules'"
        ).fetchall()
        comment = connection.execute(
            "select comment from duckdb_tables() where table_name = 'rules'"
        ).fetchall()
    assert constraints[0][0] >= 2
    assert comment == [("Rules that analysts edit",)]
