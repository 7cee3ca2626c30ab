"""A delivery whose source has its file no more, as a relation: what was landed of it and what was quarantined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.contract import TECHNICAL_COLUMNS
from ingestion.files import Relation, UnsoundError, file_literal, identifier, literal
from ingestion.reading import Opened
from ingestion.tables import quarantine_path

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from ingestion.contract import Contract
    from ingestion.deliveries import Delivery
    from ingestion.manifest import Manifest
    from mallard.settings import Settings

_LINE = "(row_json is null or json_exists(row_json, '/_line'))"


def open_landed(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    delivery: Delivery,
    contract: Contract,
    landed: Manifest,
    key_id: str,
) -> Opened:
    """Read a delivery back from the landing zone and the quarantine; personal data come as the hashes they are.

    Raises:
        UnsoundError: its hashes were made with another key.
    """
    if contract.pii and landed.hash_key_id != key_id:
        raise UnsoundError(
            "Its source's file is gone, and what was landed of it is hashed with another key.",
            expected=f"the key {landed.hash_key_id or 'of its landing'}",
            found=f"the key {key_id}",
            mend="deliver the file again, or set MALLARD_HASH_KEY to the key of before",
        )
    _read_quarantine(connection, quarantine_path(settings, delivery), landed)
    described = connection.execute(
        f"describe select * from read_parquet({file_literal(landed.data_path)}, hive_partitioning = false)"
    ).fetchall()
    there = [str(row[0]) for row in described if row[0] not in TECHNICAL_COLUMNS]
    shown = [
        str(row[0])
        for row in connection.execute(
            f"select distinct unnest(json_keys(row_json)) from bad where not {_LINE} order by 1"
        ).fetchall()
    ]
    if delivery.source.table(delivery.feed, delivery.table).paid_statuses and "paid_at" not in shown:
        # The source has no such column: it is worked out anew, for mended rows, too.
        there.remove("paid_at")
    names = (*there, *(name for name in shown if name not in there))
    good = [f"{identifier(name)}::varchar" if name in there else "null" for name in names]
    bad = [f"row_json ->> {literal(pointer(name))}" for name in names]
    sql = f"""
        select {", ".join(f"{value} as r{number}" for number, value in enumerate(good))},
            _row as r{len(names)}, null::varchar as r{len(names) + 1}
        from read_parquet({file_literal(landed.data_path)}, hive_partitioning = false)
        union all
        select {", ".join(bad)}, row_number, case when is_set_aside then reason end
        from bad
        where not {_LINE}
    """
    types = (*["VARCHAR"] * len(names), "BIGINT", "VARCHAR")
    return Opened(Relation(sql, (*names, "_row", "_set_aside"), types, "projection"), may_hold_nul=True)


def pointer(name: str) -> str:
    """A JSON pointer to a key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _read_quarantine(connection: duckdb.DuckDBPyConnection, path: Path, landed: Manifest) -> None:
    """Fill ``bad`` with what was quarantined, but for rows that a run which died has landed since."""
    source = (
        f"read_parquet({file_literal(path)}, hive_partitioning = false)"
        if path.exists()
        else "(select null::varchar as reason, null::varchar as row_json, null::bigint as line, "
        "null::bigint as row_number, null::varchar as fingerprint, false as is_set_aside where false)"
    )
    connection.execute(
        f"""
        create or replace temp table bad as
        select reason, row_json, line, row_number, fingerprint, is_set_aside from {source}
        where row_number not in (
            select _row from read_parquet({file_literal(landed.data_path)}, hive_partitioning = false)
        )
        """
    )


def restore_places(connection: duckdb.DuckDBPyConnection) -> None:
    """Give staged rows back what only the source's file told: lines, fingerprints, and what was no row at all."""
    connection.execute(
        f"""
        insert into misfits
        select row_number, line, null, row_json ->> '/_line', fingerprint, reason from bad where {_LINE}
        """
    )
    connection.execute(
        f"""
        insert into places
        select staged.rowid, bad.row_number, bad.line
        from staged join bad on bad.row_number = staged._position
        where not {_LINE}
        """
    )
    connection.execute(
        """
        update staged set _fingerprint = bad.fingerprint
        from bad
        where bad.row_number = staged._position and staged._reason is not null
        """
    )
    connection.execute("drop table bad")


def check_whole(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Refuse to tell which rows belong to lines that nobody can read any more.

    Raises:
        UnsoundError: rows of this table are replaced together, and lines without columns are left.
    """
    lines = connection.execute("select count(*), min(line) from misfits").fetchall()[0]
    if contract.replaced_together and lines[0]:
        raise UnsoundError(
            f"Its source's file is gone, and {lines[0]:,} lines that could not be split are not mended.",
            expected=f"their {', '.join(contract.replaced_together)}, to know which rows are incomplete without them",
            line=lines[1],
            mend="mend these lines as well, or deliver the file again",
        )
