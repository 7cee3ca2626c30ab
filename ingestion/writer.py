"""Writes one delivery at a time into the landing zone, with one DuckDB connection for all of them."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ingestion.conform import Dialect, stage
from ingestion.contract import read_contracts
from ingestion.files import UnsoundError, content_hash, literal
from ingestion.judging import Checked, Facts, judge, refusal
from ingestion.manifest import Manifest, manifest_path, read_manifest, replacing, write_manifest
from ingestion.mending import TABLES as MENDING_TABLES
from ingestion.mending import Applied, apply_mends
from ingestion.mends import Mends, read_mends
from ingestion.pii import key_id, set_key
from ingestion.places import TABLES, UNREADABLE, place_rows, read_unreadable, refuse_cut, take_misfits
from ingestion.reading import Opened, open_delivery, unreadable
from ingestion.rebuilding import check_whole, open_landed, restore_places
from ingestion.staged import Staged, count_mended, fill_staged, find_duplicates
from ingestion.tables import (
    landed_sql,
    line_sql,
    partition_sql,
    quarantine_path,
    quarantine_sql,
    reasons_sql,
    refused_path,
)
from mallard.errors import MallardError
from mallard.memory import available_bytes

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ingestion.contract import Contract
    from ingestion.deliveries import Delivery
    from mallard.errors import DeliveryRefusedError
    from mallard.settings import Settings

# Enough for some millions of rows at once; what does not fit spills.
_MOST_MEMORY = 2 << 30

# Bad rows kept of a delivery that is refused: more than anybody mends by hand.
_MOST_REFUSED = 100_000


class Writer:
    """Lands deliveries. Use as a context manager; memory is bounded, and what does not fit spills."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.contracts = read_contracts()
        self.key_id = key_id(settings.hash_key)
        self.spill = settings.work / f"landing-{os.getpid()}"
        self.hashes: dict[str, str] = {}
        self.seen: dict[Path, set[str]] = {}
        self.keeps_order: dict[tuple[object, ...], bool] = {}
        self.dirty: set[str] = set()

    def __enter__(self) -> Self:
        self.settings.work.mkdir(parents=True, exist_ok=True)
        self.connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": f"{_memory() >> 20}MiB",
                "temp_directory": str(self.spill),
            }
        )
        self.connection.execute("set TimeZone = 'UTC'")
        set_key(self.connection, self.settings.hash_key)
        for table, columns in {**TABLES, **MENDING_TABLES, "doubles": "(row_id bigint)"}.items():
            self.connection.execute(f"create temp table {table} {columns}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        shutil.rmtree(self.spill, ignore_errors=True)

    def unchanged(self, delivery: Delivery) -> Manifest | None:
        """The manifest of a delivery that is landed already, by the same rules and from the same bytes.

        Raises:
            DeliveryRefusedError: its file is no regular file.
        """
        contract = self.contracts[delivery.feed, delivery.table]
        old = read_manifest(self._manifest_path(delivery))
        if (
            old is None
            or old.contract_version != contract.version
            or old.entry_hash != self._entry_hash(delivery, contract, self._mends(delivery))
            or not old.data_path.exists()
        ):
            return None
        if delivery.landed and self._quarantined(delivery) != old.rows_quarantined:
            return None
        try:
            stamp = delivery.stamp()
            is_same = stamp == old.source_stamp or self._hash(delivery, stamp) == old.content_hash
        except UnsoundError as error:
            raise self._refused(delivery, error) from None
        return old if is_same else None

    def _quarantined(self, delivery: Delivery) -> int:
        path = quarantine_path(self.settings, delivery)
        if not path.exists():
            return 0
        rows = self.connection.execute("select count(*) from read_parquet(?)", [str(path)])
        return int(rows.fetchall()[0][0])

    def news(self, manifest: Manifest) -> list[str]:
        """Columns beyond the contract that no other landed delivery of this table and source has had."""
        if not manifest.new_columns:
            return []
        folder = manifest.path.parent
        if folder not in self.seen:
            others = [read_manifest(path) for path in folder.glob("????-??-??.json") if path != manifest.path]
            self.seen[folder] = {name for other in others if other for name in other.new_columns}
        news = [name for name in manifest.new_columns if name not in self.seen[folder]]
        self.seen[folder].update(news)
        return news

    def land(self, delivery: Delivery) -> Manifest:
        """Land one delivery, replacing what was landed of it before.

        Raises:
            DeliveryRefusedError: nothing of it was landed, and what was landed before stays.
            OSError: the landing zone cannot be written.
        """
        try:
            staged = self._prepare(delivery)
            try:
                judge(self.connection, staged.contract, staged.share, staged.facts, staged.opened)
            except UnsoundError as error:
                if staged.facts.bad:
                    error.mend = self._keep_refused(delivery, staged)
                raise
            if delivery.landed:
                check_whole(self.connection, staged.contract)
            return self._write(delivery, staged)
        except UnsoundError as error:
            raise self._refused(delivery, error) from None
        finally:
            self._clean()

    def check(self, delivery: Delivery) -> Checked:
        """What landing a delivery would make of it now, with its mends; nothing is written.

        Raises:
            DeliveryRefusedError: its file cannot be read.
        """
        try:
            staged = self._prepare(delivery)
            facts, bad = staged.facts, quarantine_sql(delivery, staged.contract, line_sql(staged.opened))
            return Checked(
                facts.rows_in,
                facts.bad,
                is_refused=facts.bad > round(staged.share * facts.rows_in, 6),
                rows_mended=count_mended(self.connection) if staged.applied.rows else 0,
                unmatched=staged.applied.unmatched,
                still_bad=tuple(
                    self.connection.execute(
                        f"select row_number, line, reason from ({bad}) where mend is not null limit 20"
                    ).fetchall()
                ),
            )
        except UnsoundError as error:
            raise self._refused(delivery, error) from None
        finally:
            self._clean()

    def _refused(self, delivery: Delivery, error: UnsoundError) -> DeliveryRefusedError:
        # What DuckDB set apart of this file must not be taken for the next one's.
        self.connection.execute("drop table if exists rejected; drop table if exists rejected_scan")
        return refusal(delivery, error)

    def _prepare(self, delivery: Delivery) -> Staged:
        """Stage a delivery and mend it: all that comes before judging.

        Raises:
            UnsoundError: its file cannot be read.
        """
        contract = self.contracts[delivery.feed, delivery.table]
        entry = delivery.source.table(delivery.feed, delivery.table)
        mends, landed = self._mends(delivery), delivery.landed
        stamp = delivery.stamp()
        bytes_hash = self._hash(delivery, stamp)
        if landed:
            opened = open_landed(self.connection, self.settings, delivery, contract, landed, self.key_id)
        else:
            opened = open_delivery(self.connection, delivery, contract)
        dialect = Dialect(delivery.source.time_zone, delivery.source.missing_values, entry.paid_statuses)
        staging = stage(
            contract,
            opened.relation,
            dialect,
            may_hold_nul=opened.may_hold_nul,
            may_hold_hashes=landed is not None,
        )
        if not landed:
            # DuckDB opens the files by their paths, and would wait for whoever writes to a pipe.
            _check_untouched(delivery, stamp)
        facts = self._stage(staging.sql, delivery, contract, opened)
        applied = Applied(unmatched=tuple(range(len(mends.rows))))
        if mends.rows and facts.bad:
            self.dirty.update(MENDING_TABLES)
            applied = apply_mends(self.connection, contract, opened.relation, dialect, mends)
            facts = self._count(contract)
        if not landed:
            _check_untouched(delivery, stamp)
        if facts.has_doubles:
            self.dirty.add("doubles")
            find_duplicates(self.connection, len(contract.columns), len(staging.extras))
        share = contract.allowed_bad_share if entry.allowed_bad_share is None else entry.allowed_bad_share
        return Staged(contract, opened, staging.extras, facts, share, bytes_hash, stamp, mends, applied)

    def _clean(self) -> None:
        """Leave nothing of a delivery behind; emptying tables that are empty already costs, so it is not done."""
        self.connection.execute("drop table if exists staged")
        for table in sorted(self.dirty):
            self.connection.execute(f"truncate {table}")
        self.dirty.clear()

    def _stage(self, sql: str, delivery: Delivery, contract: Contract, opened: Opened) -> Facts:
        """Fill ``staged`` with all rows that could be split; where some are bad, find where they stand."""
        is_personal = bool(contract.pii)
        try:
            fill_staged(self.connection, sql, contract, opened.relation, self.keeps_order)
            if opened.relation.format == "csv" and take_misfits(self.connection, is_personal=is_personal):
                self.dirty.update(TABLES)
            facts = self._count(contract)
            if delivery.landed:
                self.dirty.update(TABLES)
                restore_places(self.connection)
                facts = self._count(contract)
            if facts.bad and opened.is_text:
                self.dirty.update(TABLES)
                path, ending, soundness = delivery.path, opened.ending, opened.soundness
                rows = facts.rows_in - facts.misfits
                place_rows(self.connection, path, ending, soundness, rows=rows, misfits=facts.misfits)
                if facts.bad < facts.rows_in:
                    refuse_cut(self.connection, soundness, facts.rows_in)
                if facts.unreadable:
                    read_unreadable(
                        self.connection, path, ending, soundness, UNREADABLE, is_personal=is_personal
                    )
        except duckdb.Error as error:
            raise unreadable(error) from None
        return facts

    def _count(self, contract: Contract) -> Facts:
        at = partition_sql(contract)
        misfits = self.connection.execute("select count(*) from misfits").fetchall()[0][0]
        return Facts(
            misfits,
            *self.connection.execute(
                f"""
                select
                    count(*) + {misfits},
                    count(*) filter (where _is_set_aside),
                    count(_reason) - count(*) filter (where _is_set_aside) + {misfits},
                    count(*) filter (where _reason = '{UNREADABLE}'),
                    count(distinct _hash) < count(*),
                    min({at}) filter (where _reason is null),
                    max({at}) filter (where _reason is null),
                from staged
                """
            ).fetchall()[0],
        )

    def _keep_refused(self, delivery: Delivery, staged: Staged) -> str:
        """Keep the bad rows of a delivery that is refused where they can be mended; says how."""
        with replacing(refused_path(self.settings, delivery)) as draft:
            bad = quarantine_sql(delivery, staged.contract, line_sql(staged.opened))
            self._copy(f"select * from ({bad}) limit {_MOST_REFUSED}", draft)
        look = f"mallard quarantine inspect {delivery.feed}/{delivery.table} {delivery.day}"
        return f"mend the source and deliver the day again, or mend the rows: {look}"

    def _write(self, delivery: Delivery, staged: Staged) -> Manifest:
        """Write the data file, the quarantine file and, when both are on disk, the manifest.

        Without the source's file the quarantine is all that is left of its rows: it is written last, and what a
        crash leaves in it too many is known by its position to have landed.
        """
        execute, opened, facts = self.connection.execute, staged.opened, staged.facts
        contract, again = staged.contract, delivery.landed
        entry_hash = self._entry_hash(delivery, contract, staged.mends)
        made_of = f"{staged.bytes_hash}|{contract.version}|{entry_hash}"
        path = self._manifest_path(delivery)
        file = f"{delivery.day}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.parquet"
        has_bad = bool(facts.bad or facts.set_aside)
        bad_path, reasons = quarantine_path(self.settings, delivery), {}
        with replacing(path.parent / file) as draft:
            landed = landed_sql(
                delivery,
                contract,
                opened.relation,
                staged.extras,
                has_bad=has_bad or bool(staged.applied.rows),
                has_doubles=facts.has_doubles,
            )
            rows_landed = self._copy(landed, draft)
        if has_bad:
            reasons = {str(reason): int(rows) for reason, rows in execute(reasons_sql()).fetchall()}
        if not again:
            self._write_quarantine(delivery, staged, bad_path if has_bad else None)
        duplicate = execute("select count(*) from doubles").fetchall()[0][0] if facts.has_doubles else 0
        quarantined = sum(reasons.values())
        if facts.rows_in != rows_landed + quarantined + duplicate:
            raise MallardError(
                f"{delivery.name}: rows went missing while landing; nothing of it was landed.",
                expected=f"{facts.rows_in:,} rows in",
                found=f"{rows_landed:,} landed, {quarantined:,} quarantined, {duplicate:,} duplicate",
                where=str(delivery.path),
                mend="this is a defect of Mallard: please report it with the file's header",
            )
        rows_mended = (count_mended(self.connection) if staged.applied.rows else 0) + (
            again.rows_mended if again else 0
        )
        manifest = Manifest(
            feed=delivery.feed,
            table=delivery.table,
            source=delivery.source.name,
            delivery=delivery.date,
            file=file,
            rows_in=facts.rows_in + (again.rows_duplicate if again else 0),
            rows_landed=rows_landed,
            rows_quarantined=quarantined,
            rows_duplicate=duplicate + (again.rows_duplicate if again else 0),
            content_hash=staged.bytes_hash,
            contract_version=contract.version,
            entry_hash=entry_hash,
            first_day=facts.first_day,
            last_day=facts.last_day,
            delivered_at=dt.datetime.now(dt.UTC).isoformat(),
            quarantine_reasons=reasons,
            new_columns=again.new_columns
            if again
            else []
            if opened.relation.format == "projection"
            else list(staged.extras),
            source_file=str(delivery.path),
            source_stamp=staged.stamp,
            hash_key_id=self.key_id if contract.pii else "",
            rows_mended=rows_mended,
            mends_unmatched=max(0, len(staged.applied.unmatched) - (again.rows_mended if again else 0)),
            path=path,
        )
        write_manifest(manifest)
        if again:
            self._write_quarantine(delivery, staged, bad_path if has_bad else None)
        refused_path(self.settings, delivery).unlink(missing_ok=True)
        return manifest

    def _write_quarantine(self, delivery: Delivery, staged: Staged, path: Path | None) -> None:
        if path is None:
            quarantine_path(self.settings, delivery).unlink(missing_ok=True)
            return
        with replacing(path) as draft:
            self._copy(quarantine_sql(delivery, staged.contract, line_sql(staged.opened)), draft)

    def _copy(self, sql: str, path: Path) -> int:
        try:
            rows = self.connection.execute(
                f"copy ({sql}) to {literal(str(path))} (format parquet, compression zstd)"
            )
            return int(rows.fetchall()[0][0])
        except duckdb.Error as error:
            # DuckDB keeps no errno. What it was asked to write was sound, so it was the disk.
            is_full = "space" in str(error).lower() or isinstance(error, duckdb.OutOfMemoryException)
            raise OSError(errno.ENOSPC if is_full else errno.EIO, type(error).__name__, str(path)) from None

    def _manifest_path(self, delivery: Delivery) -> Path:
        return manifest_path(
            self.settings, delivery.feed, delivery.table, delivery.source.name, delivery.date
        )

    def _mends(self, delivery: Delivery) -> Mends:
        return read_mends(self.settings, delivery.feed, delivery.table, delivery.source.name, delivery.date)

    def _entry_hash(self, delivery: Delivery, contract: Contract, mends: Mends) -> str:
        """All that decides what lands beside the bytes and the contract: entry, mends, and the key of PII hashes."""
        entry = delivery.source.entry_hash(delivery.feed, delivery.table)
        more = [text for text in (self.key_id if contract.pii else "", mends.digest) if text]
        if not more:
            return entry
        return hashlib.sha256("|".join([entry, *more]).encode()).hexdigest()[:12]

    def _hash(self, delivery: Delivery, stamp: str) -> str:
        """The content hash of a delivery's files; the same files are hashed once for all of their tables."""
        if delivery.landed:
            return delivery.landed.content_hash
        known = f"{stamp}|{delivery.inputs}"
        if known not in self.hashes:
            hashes = [(name, content_hash(path)) for name, path in delivery.inputs]
            joined = hashlib.sha256(repr(hashes).encode()).hexdigest()
            self.hashes[known] = hashes[0][1] if len(hashes) == 1 else joined
        return self.hashes[known]


def _memory() -> int:
    """Bytes that DuckDB may take: half of what this process may have, and no more than ``_MOST_MEMORY``."""
    return min(_MOST_MEMORY, available_bytes() // 2)


def _check_untouched(delivery: Delivery, stamp: str) -> None:
    if delivery.stamp() != stamp:
        raise UnsoundError(
            "The file changed while it was read.",
            mend="write it under a name that begins with _ and rename it when it is whole",
        )
