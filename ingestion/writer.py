"""Writes one delivery at a time into the landing zone, with one DuckDB connection for all of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from pathlib import Path
from types import TracebackType

import duckdb

from ingestion.conform import Dialect, Staging, expected_of, stage
from ingestion.contract import Contract, read_contracts
from ingestion.deliveries import Delivery
from ingestion.files import (
    Relation,
    Soundness,
    UnsoundError,
    content_hash,
    csv_relation,
    ending_of,
    identifier,
    inspect,
    json_relation,
    literal,
    parquet_relation,
)
from ingestion.manifest import Manifest, manifest_path, read_manifest, replacing, write_manifest
from ingestion.pii import key_id, set_key
from mallard.errors import DeliveryRefusedError
from mallard.settings import Settings

_MEMORY = "2GB"


class Writer:
    """Lands deliveries. Use as a context manager; memory is bounded, what does not fit spills encrypted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.contracts = read_contracts()
        self.key_id = key_id(settings.hash_key)
        self.spill = settings.work / f"landing-{os.getpid()}"

    def __enter__(self) -> Writer:
        self.connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": _MEMORY,
                "temp_directory": str(self.spill),
                # Rows that do not fit into the memory may hold what is not hashed yet in a text beside it.
                "temp_file_encryption": True,
                "preserve_insertion_order": True,
            }
        )
        self.connection.execute("set TimeZone = 'UTC'")
        set_key(self.connection, self.settings.hash_key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        shutil.rmtree(self.spill, ignore_errors=True)

    def unchanged(self, delivery: Delivery) -> Manifest | None:
        """The manifest of a delivery that is landed already, by the same rules and the same bytes."""
        contract, _ = self._rules(delivery)
        old = self._old(delivery)
        if (
            old is None
            or old.contract_version != contract.version
            or old.entry_hash != delivery.source.entry_hash(delivery.feed, delivery.table)
            or old.hash_key_id != self._key_of(contract)
            or not old.data_path.exists()
        ):
            return None
        if old.source_stamp == _stamp(delivery):
            return old
        return old if old.content_hash == _hash(delivery) else None

    def news(self, manifest: Manifest) -> list[str]:
        """Columns beyond the contract that no other landed delivery of this table and source has had."""
        if not manifest.new_columns:
            return []
        seen: set[str] = set()
        for path in manifest.path.parent.glob("????-??-??.json"):
            if path != manifest.path and (other := read_manifest(path)):
                seen.update(other.new_columns)
        return [name for name in manifest.new_columns if name not in seen]

    def land(self, delivery: Delivery) -> Manifest:
        """Land one delivery, replacing what was landed of it before.

        Raises:
            DeliveryRefusedError: nothing of it was landed, and what was landed before stays.
            OSError: the landing zone cannot be written.
        """
        contract, share = self._rules(delivery)
        stamp = _stamp(delivery)
        try:
            bytes_hash = _hash(delivery)
            relation, soundness = self._relation(delivery, contract)
            self._check_columns(contract, relation)
            staging = stage(
                contract,
                relation,
                self._dialect(delivery),
                may_hold_nul=relation.format in ("parquet", "projection") or soundness.has_escaped_nul,
            )
            try:
                self.connection.execute(f"create or replace temp table staged as {staging.sql}")
            except duckdb.Error as error:
                raise _unreadable(error) from None
            return self._write(delivery, contract, share, staging, relation, bytes_hash, stamp)
        except UnsoundError as error:
            raise _refusal(delivery, error) from None
        finally:
            self.connection.execute("drop table if exists rejected; drop table if exists rejected_scan")
            self.connection.execute("drop table if exists staged")

    def _rules(self, delivery: Delivery) -> tuple[Contract, float]:
        contract = self.contracts[delivery.feed, delivery.table]
        entry = delivery.source.table(delivery.feed, delivery.table)
        share = contract.allowed_bad_share if entry.allowed_bad_share is None else entry.allowed_bad_share
        return contract, share

    def _old(self, delivery: Delivery) -> Manifest | None:
        assert delivery.day
        return read_manifest(
            manifest_path(self.settings, delivery.feed, delivery.table, delivery.source.name, delivery.day)
        )

    def _key_of(self, contract: Contract) -> str:
        return self.key_id if contract.pii else ""

    def _dialect(self, delivery: Delivery) -> Dialect:
        entry = delivery.source.table(delivery.feed, delivery.table)
        return Dialect(delivery.source.time_zone, delivery.source.missing_values, entry.paid_statuses)

    def _relation(self, delivery: Delivery, contract: Contract) -> tuple[Relation, Soundness]:
        path = delivery.path
        ending = ending_of(path.name) or ""
        soundness = inspect(path, ending)
        try:
            if ending == "parquet":
                return parquet_relation(self.connection, path), soundness
            if ending.startswith("csv"):
                return csv_relation(path, ending, delimiter=delivery.source.delimiter), soundness
            decimals = [column.name for column in contract.columns if column.kind == "decimal"]
            return json_relation(self.connection, path, ending, decimals=decimals), soundness
        except duckdb.Error as error:
            raise _unreadable(error) from None

    def _check_columns(self, contract: Contract, relation: Relation) -> None:
        if relation.format == "jsonl" and relation.names == ("line",):
            return
        for name in contract.required:
            if name not in relation.names:
                raise UnsoundError(
                    f"The required column {name!r} is missing.",
                    expected=", ".join(contract.required),
                    found=", ".join(relation.names),
                    column=name,
                )

    def _write(
        self,
        delivery: Delivery,
        contract: Contract,
        share: float,
        staging: Staging,
        relation: Relation,
        bytes_hash: str,
        stamp: str,
    ) -> Manifest:
        assert delivery.day
        execute = self.connection.execute
        counted = execute(
            "select _reason, _column, _is_set_aside, count(*), min(rowid) from staged group by all order by 5"
        ).fetchall()
        rows_in = sum(row[3] for row in counted)
        bad = sum(row[3] for row in counted if row[0] is not None and not row[2])
        if rows_in == 0 and contract.expects_rows:
            raise UnsoundError(
                "The delivery is empty.", expected="at least one row", found="no rows",
                mend="deliver the day again; a table that may be empty is said so in its contract",
            )  # fmt: skip
        if bad > share * rows_in:
            raise self._too_many(contract, share, rows_in, bad, [row for row in counted if row[0] and not row[2]][0])
        names = [f"c{number}" for number in range(len(contract.columns))]
        names += [f"x{number}" for number in range(len(staging.extras))]
        doubled = execute("select count(*) - count(distinct _hash) from staged").fetchall()[0][0]
        execute("create or replace temp table doubles (row_id bigint)")
        if doubled:
            every = ", ".join([*names, "_row_json"])
            execute(
                f"""
                insert into doubles
                select rowid from (
                    select rowid, row_number() over (partition by _hash, {every} order by rowid desc) as copy
                    from staged
                    where _hash in (select _hash from staged group by _hash having count(*) > 1)
                ) where copy > 1
                """
            )
        entry_hash = delivery.source.entry_hash(delivery.feed, delivery.table)
        key = self._key_of(contract)
        said = "|".join([bytes_hash, contract.version, entry_hash, key])
        file = f"{delivery.day}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.parquet"
        path = manifest_path(self.settings, delivery.feed, delivery.table, delivery.source.name, delivery.day)
        with replacing(path.parent / file) as draft:
            self._copy(f"{self._landed_sql(delivery, contract, staging, bad)}", draft)
        reasons = self._quarantine(delivery, contract)
        at = next((f"c{n}" for n, c in enumerate(contract.columns) if c.name == contract.partition_column), "null")
        days = execute(f"select min({at})::date, max({at})::date from staged where _reason is null").fetchall()[0]
        duplicate = execute("select count(*) from doubles").fetchall()[0][0]
        quarantined = sum(reasons.values())
        manifest = Manifest(
            feed=delivery.feed, table=delivery.table, source=delivery.source.name, delivery=delivery.day, file=file,
            rows_in=rows_in, rows_landed=rows_in - quarantined - duplicate, rows_quarantined=quarantined,
            rows_duplicate=duplicate, content_hash=bytes_hash, contract_version=contract.version,
            entry_hash=entry_hash, first_day=days[0], last_day=days[1],
            delivered_at=dt.datetime.now(dt.UTC).isoformat(), quarantine_reasons=reasons,
            new_columns=list(staging.extras), source_file=str(delivery.path), source_stamp=stamp, hash_key_id=key,
            path=path,
        )  # fmt: skip
        write_manifest(manifest)
        return manifest

    def _landed_sql(self, delivery: Delivery, contract: Contract, staging: Staging, bad: int) -> str:
        columns = [f"c{n} as {identifier(column.name)}" for n, column in enumerate(contract.columns)]
        columns += [f"x{n} as {identifier(name)}" for n, name in enumerate(staging.extras)]
        incomplete = "false"
        if contract.replaced_together and bad:
            at = [f"c{n}" for n, c in enumerate(contract.columns) if c.name in contract.replaced_together]
            same = " and ".join(f"broken.{name} = staged.{name}" for name in at)
            broken = f"(select distinct {', '.join(at)} from staged where _reason is not null and not _is_set_aside)"
            incomplete = f"exists (select 1 from {broken} as broken where {same})"
        return f"""
            select
                {", ".join(columns)},
                date '{delivery.day}' as _delivery,
                coalesce(_position, rowid + 1) as _row,
                {incomplete} as _is_incomplete,
                {literal(delivery.source.name)} as _source,
            from staged
            where _reason is null and rowid not in (select row_id from doubles)
            order by rowid
        """

    def _copy(self, sql: str, path: Path) -> None:
        self.connection.execute(f"copy ({sql}) to {literal(str(path))} (format parquet, compression zstd)")

    def _quarantine(self, delivery: Delivery, contract: Contract) -> dict[str, int]:
        folder = self.settings.quarantine / delivery.feed / delivery.table / delivery.source.name
        path = folder / f"{delivery.day}.parquet"
        kept = "_reason is not null and rowid not in (select row_id from doubles)"
        reasons = self.connection.execute(
            f"select _reason, count(*) from staged where {kept} group by 1 order by 2 desc, 1"
        ).fetchall()
        if not reasons:
            path.unlink(missing_ok=True)
            return {}
        offset = 1 if ending_of(delivery.path.name) in ("csv", "csv.gz") else 0
        with replacing(path) as draft:
            self._copy(
                f"""
                select
                    {literal(delivery.feed)} as feed,
                    {literal(delivery.table)} as table_name,
                    {literal(delivery.source.name)} as source,
                    date '{delivery.day}' as delivery,
                    _reason as reason,
                    _column as column_name,
                    _row_json as row_json,
                    {literal(str(delivery.path))} as source_file,
                    coalesce(_position, rowid + 1) + {offset} as line,
                from staged
                where {kept}
                order by rowid
                """,
                draft,
            )
        return {str(reason): int(rows) for reason, rows in reasons}

    def _too_many(
        self, contract: Contract, share: float, rows_in: int, bad: int, first: tuple[str, str, bool, int, int]
    ) -> UnsoundError:
        reason, name, _, _, row_id = first
        shown = self.connection.execute(
            "select _row_json ->> ? from staged where rowid = ?", ["/" + name, row_id]
        ).fetchall()[0][0]
        value = "(hidden)" if name in contract.pii else ("nothing" if shown is None else repr(shown[:80]))
        return UnsoundError(
            f"{bad:,} of {rows_in:,} rows are bad ({bad / rows_in:.1%}), more than the allowed {share:.1%}.",
            expected=f"in {name}: {expected_of(contract, name, reason)}" if name else "readable rows",
            found=f"{value} ({reason})",
            row=row_id + 1,
            column=name,
            mend="mend the source and deliver the day again",
        )


def _hash(delivery: Delivery) -> str:
    if len(delivery.inputs) == 1:
        return content_hash(delivery.path)
    parts = "".join(f"{name}:{content_hash(path)};" for name, path in delivery.inputs)
    return hashlib.sha256(parts.encode()).hexdigest()


def _stamp(delivery: Delivery) -> str:
    """Size, times and inode of the files: while it stays, nobody has written to them."""
    stats = [path.stat() for _, path in delivery.inputs]
    return ";".join(f"{s.st_ino}-{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}" for s in stats)


def _unreadable(error: duckdb.Error) -> UnsoundError:
    # DuckDB's messages quote rows and queries: neither may leave this process.
    return UnsoundError("The file cannot be read.", found=type(error).__name__, mend="export it again")


def _refusal(delivery: Delivery, error: UnsoundError) -> DeliveryRefusedError:
    where = [f"source {delivery.source.name}, {delivery.path}"]
    where += [f"{label} {value}" for label, value in
              [("line", error.line), ("row", error.row), ("column", error.column)] if value]  # fmt: skip
    return DeliveryRefusedError(
        f"{delivery.name} was refused: {error.summary}",
        expected=error.expected,
        found=error.found,
        where=", ".join(where),
        mend=error.mend,
    )
