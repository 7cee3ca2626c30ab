"""Landing: deliveries become immutable Parquet files with a manifest each, or are refused as a whole.

Per delivery: look at the bytes, stage the rows in DuckDB, put bad rows into the quarantine, drop exact
duplicates, write the Parquet file, and swap the manifest. Only the swap lands anything; a run that dies
before it leaves files that nobody reads and ``collect_garbage`` removes.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from ingestion.contract import read_contracts
from ingestion.manifest import TEMPORARY, Manifest, read_manifests
from ingestion.writer import Writer
from mallard.errors import BusyError, DeliveryRefusedError, MallardError
from publishing.space import MARGIN_BYTES, free_bytes, human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ingestion.deliveries import Delivery
    from mallard.progress import Progress
    from mallard.settings import Settings

__all__ = ["LandingReport", "Manifest", "collect_garbage", "land", "read_manifests"]

_PATIENCE_SECONDS = 600.0


@dataclass
class LandingReport:
    """What a call of ``land`` did. ``refused`` deliveries changed nothing."""

    landed: list[Manifest] = field(default_factory=list)
    unchanged: list[Manifest] = field(default_factory=list)
    refused: list[DeliveryRefusedError] = field(default_factory=list)


def land(settings: Settings, deliveries: Sequence[Delivery], progress: Progress) -> LandingReport:
    """Land deliveries; what is refused is collected and does not stop the others.

    Raises:
        BusyError: another landing held a feed's lock for ten minutes.
        MallardError: there is no space, or the landing zone cannot be written; what was landed stays.
    """
    report = LandingReport(refused=[delivery.problem for delivery in deliveries if delivery.problem])
    sound = sorted((d for d in deliveries if not d.problem), key=lambda delivery: delivery.feed)
    with Writer(settings) as writer, progress.stage("Landing", total=len(sound)) as tick:
        for feed, of_feed in groupby(sound, key=lambda delivery: delivery.feed):
            with _feed_lock(settings, feed, progress):
                for delivery in of_feed:
                    _land_one(writer, delivery, report, progress)
                    tick(delivery.name)
    return report


def _land_one(writer: Writer, delivery: Delivery, report: LandingReport, progress: Progress) -> None:
    try:
        if unchanged := writer.unchanged(delivery):
            report.unchanged.append(unchanged)
            return
        manifest = writer.land(delivery)
    except DeliveryRefusedError as refused:
        report.refused.append(refused)
        return
    except OSError as error:
        if str(error.filename) not in {str(path) for _, path in delivery.inputs}:
            raise _cannot_write(error, delivery, writer.settings) from error
        report.refused.append(_cannot_read(error, delivery))
        return
    report.landed.append(manifest)
    if news := writer.news(manifest):
        progress.say(f"{delivery.name}: new columns, landed as text and not used yet: {', '.join(news)}")
    if manifest.rows_mended:
        progress.say(f"{delivery.name}: rows landed as they were mended: {manifest.rows_mended:,}")
    if manifest.mends_unmatched:
        progress.say(
            f"{delivery.name}: {manifest.mends_unmatched:,} mends found no bad row that holds what it held when it "
            "was mended, and were not used: the file, the rules or the hash key have changed since"
        )
    if manifest.rows_quarantined:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in manifest.quarantine_reasons.items())
        progress.say(f"{delivery.name}: rows to the quarantine: {manifest.rows_quarantined:,} ({reasons})")


def _cannot_read(error: OSError, delivery: Delivery) -> DeliveryRefusedError:
    return DeliveryRefusedError(
        f"{delivery.name} was refused: its file cannot be opened.",
        found=error.strerror or str(error),
        where=f"source {delivery.source.name}, {error.filename}",
        mend="let this user read it, or deliver it again",
    )


def _cannot_write(error: OSError, delivery: Delivery, settings: Settings) -> MallardError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    said = error.strerror or str(error)
    # Rows are staged before they are written, and compressed less than some sources are.
    size = sum(path.stat().st_size for _, path in delivery.inputs if path.exists())
    return MallardError(
        f"{delivery.name} could not be landed: "
        + ("there is no space left." if full else "the disk said no."),
        expected=f"at least {human_bytes(2 * size + MARGIN_BYTES)} free" if full else "",
        found=f"{human_bytes(free_bytes(settings.landing))} free ({said})" if full else said,
        where=str(error.filename or settings.landing),
        mend="free some space and load again: what was landed before is untouched" if full else "",
    )


@contextmanager
def _feed_lock(
    settings: Settings, feed: str, progress: Progress | None, patience: float | None = None
) -> Iterator[None]:
    """Hold a feed's landing lock. The kernel frees it when its holder dies."""
    path = settings.locks / f"landing-{feed}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        began, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - began >= (_PATIENCE_SECONDS if patience is None else patience):
                    file.seek(0)
                    raise BusyError(
                        f"Another run is landing {feed}.",
                        found=file.read().strip(),
                        where=str(path),
                        mend="wait for it to end; the lock goes with its process",
                    ) from None
                if not told and progress:
                    progress.say(f"Waiting for another run that lands {feed} …")
                    told = True
                time.sleep(0.1)
        file.truncate(0)
        file.write(f"process {os.getpid()} since {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        file.flush()
        yield


def collect_garbage(settings: Settings) -> list[Path]:
    """Remove what no manifest names: replaced data files, and what runs that died have left behind.

    A feed that is being landed right now is left for the next time. Call it where nobody is building from
    an older set of manifests: under the writer's lock.
    """
    removed = []
    for spill in settings.work.glob("landing-*"):
        if not _is_running(spill.name.removeprefix("landing-")):
            shutil.rmtree(spill, ignore_errors=True)
            removed.append(spill)
    for feed in sorted({feed for feed, _ in read_contracts()}):
        folders = [settings.landing / feed, settings.quarantine / feed]
        try:
            with _feed_lock(settings, feed, None, patience=0):
                named = {manifest.data_path for manifest in read_manifests(settings) if manifest.feed == feed}
                for path in sorted(path for folder in folders for path in folder.glob("*/*/*")):
                    is_draft = path.name.startswith(TEMPORARY)
                    is_orphan = (
                        path.is_relative_to(settings.landing)
                        and path.suffix == ".parquet"
                        and path not in named
                    )
                    if is_draft or is_orphan:
                        path.unlink(missing_ok=True)
                        removed.append(path)
        except BusyError:
            continue
    return removed


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
