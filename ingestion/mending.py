"""Applies mends to a staged delivery: its bad rows are staged again with what they should have held."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.conform import stage
from ingestion.files import Relation, identifier, literal
from ingestion.places import UNREADABLE
from ingestion.rebuilding import pointer

if TYPE_CHECKING:
    import duckdb

    from ingestion.conform import Dialect
    from ingestion.contract import Contract
    from ingestion.mends import Mends

# Staged rows that were mended, with the fingerprint of what they held and what was set (as JSON).
TABLES = {"mended": "(row_id bigint, fingerprint varchar, mend varchar)"}


@dataclass(frozen=True)
class Applied:
    """How many rows were mended, and the numbers of the mends (from 0) that found no row."""

    rows: int = 0
    unmatched: tuple[int, ...] = ()


def apply_mends(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    relation: Relation,
    dialect: Dialect,
    mends: Mends,
) -> Applied:
    """Stage the bad rows that mends name anew, in their places; rows that are sound are never touched.

    What could not be split comes out of ``misfits``. Whether the mended rows are sound is judged like that of
    all others.
    """
    execute = connection.execute
    _find_broken(connection, mends)
    unmatched = tuple(
        int(row[0])
        for row in execute(
            "select number from mends where number not in (select number from broken) order by number"
        ).fetchall()
    )
    rows = int(execute("select count(*) from broken").fetchall()[0][0])
    if rows:
        _restage(connection, contract, relation, dialect, mends)
        _replace(connection)
    execute("drop table mends; drop table broken; drop table if exists restaged")
    return Applied(rows, unmatched)


def _find_broken(connection: duckdb.DuckDBPyConnection, mends: Mends) -> None:
    """Fill ``broken`` with the bad rows that have a mend. Rows that are equal take equal rows' mends in turn."""
    connection.execute(
        "create or replace temp table mends as "
        "select number, fingerprint, mend, row_number() over (partition by fingerprint order by number) as nth "
        "from (select unnest($numbers) as number, unnest($prints) as fingerprint, unnest($sets) as mend)",
        {
            "numbers": list(range(len(mends.rows))),
            "prints": [mend.fingerprint for mend in mends.rows],
            "sets": [json.dumps(mend.set) for mend in mends.rows],
        },
    )
    connection.execute(
        f"""
        create or replace temp table broken as
        select
            row_number() over () as link, bad.* exclude (nth, position), mends.number, mends.mend,
        from (
            select *, row_number() over (partition by fingerprint order by position) as nth
            from (
                select
                    staged.rowid as row_id,
                    null::bigint as misfit,
                    case when _reason = '{UNREADABLE}' then unreadable.fingerprint else _fingerprint end as fingerprint,
                    coalesce(_row_json, '{{}}') as row_json,
                    null::bigint as record,
                    null::bigint as line,
                    staged.rowid as position,
                from staged left join unreadable on unreadable.row_id = staged.rowid
                where _reason is not null and not _is_set_aside
                union all
                select null, rowid, fingerprint, '{{}}', record, line, record from misfits
            )
        ) as bad
        join (select *, max(nth) over (partition by fingerprint) as last from mends) as mends
            on mends.fingerprint = bad.fingerprint and mends.nth = least(bad.nth, mends.last)
        """
    )


def _restage(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    relation: Relation,
    dialect: Dialect,
    mends: Mends,
) -> None:
    """Fill ``restaged`` with the mended rows, judged; its ``_position`` is the link to ``broken``."""
    known = {column.name for column in contract.columns}
    names = [name for name in relation.names if name not in {"_row", "_set_aside"}]
    # A column that the file does not have may be set where the contract has it.
    names += sorted({name for mend in mends.rows for name in mend.set} & known - set(names))
    values = []
    for number, name in enumerate(names):
        at = literal(pointer(name))
        values.append(
            f"case when json_exists(mend, {at}) then mend ->> {at} else row_json ->> {at} end as r{number}"
        )
    again = Relation(
        f"select {', '.join(values)}, link as r{len(names)} from broken",
        (*names, "_row"),
        (*["VARCHAR"] * len(names), "BIGINT"),
        "projection",
    )
    staging = stage(contract, again, dialect, may_hold_nul=True, may_hold_hashes=True)
    connection.execute(f"create or replace temp table restaged as {staging.sql}")


def _replace(connection: duckdb.DuckDBPyConnection) -> None:
    execute = connection.execute
    names = [str(row[0]) for row in execute("describe staged").fetchall()]
    kept = {"_position", "_fingerprint"}
    assignments = ", ".join(
        f"{identifier(name)} = again.{identifier(name)}" for name in names if name not in kept
    )
    linked = "(select restaged.*, broken.* exclude (mend) from restaged join broken on broken.link = restaged._position)"
    execute(f"update staged set {assignments} from {linked} as again where staged.rowid = again.row_id")
    execute("insert into mended select row_id, fingerprint, mend from broken where row_id is not null")
    execute("delete from unreadable where row_id in (select row_id from broken)")
    if not execute("select count(*) from broken where misfit is not null").fetchall()[0][0]:
        return
    before = execute("select max(rowid) from staged").fetchall()[0][0]
    listed = ", ".join(
        "record" if name == "_position" else "null" if name == "_fingerprint" else identifier(name)
        for name in names
    )
    execute(
        f"insert into staged select {listed} from {linked} as again where misfit is not null order by record"
    )
    added = f"staged join broken on broken.record = staged._position where staged.rowid > {-1 if before is None else before}"
    execute(f"insert into places select staged.rowid, record, line from {added}")
    execute(f"insert into mended select staged.rowid, fingerprint, mend from {added}")
    execute("delete from misfits where rowid in (select misfit from broken)")
