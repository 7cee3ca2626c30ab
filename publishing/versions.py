"""Published versions: publish, roll back, list, clean up, recover.

What readers see is the link ``published/current.duckdb``; it is only ever replaced, by one rename. Each step
before that may be killed without a reader noticing, and the next run tidies up (``recover``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

from mallard.candidate import Candidate
from mallard.errors import GateRefusedError, MallardError, NothingToDoError
from mallard.settings import Settings
from publishing import records
from publishing.accept import acceptable_names
from publishing.contents import connect
from publishing.finish import finish
from publishing.lock import link_lock, writer_lock
from publishing.receipt import Receipt
from publishing.records import Record, Rollback

KEPT_VERSIONS = 7
_FILE_NAME = re.compile(r"warehouse-(\d{6,})\.duckdb")


@dataclass(frozen=True)
class Version:
    """A published version. ``published_at`` is an ISO text in UTC."""

    version: int
    path: Path
    run_id: str
    as_of: date
    published_at: str
    is_live: bool
    is_kept: bool


@dataclass(frozen=True)
class PublishLine:
    """One line of ``mallard publishes``: a run that ended in a publish or a refusal."""

    version: int
    run_id: str
    status: str
    recorded_at: str
    as_of: date
    input_deliveries: int
    checks: int
    blocking: int
    warnings: int
    reason: str
    is_live: bool
    is_kept: bool


def current_link(settings: Settings) -> Path:
    """The link that readers open."""
    return settings.published / "current.duckdb"


def version_path(settings: Settings, version: int) -> Path:
    """Where a version's file lies, or would."""
    return settings.published / f"warehouse-{version:06d}.duckdb"


def current_version(settings: Settings) -> Version | None:
    """The version that readers see; None where nothing was published yet.

    Raises:
        MallardError: the link points nowhere, or is gone while versions are there.
    """
    live = _linked_version(settings)
    if live is not None and version_path(settings, live).exists():
        # A crash between the swap of the link and the last word of its record leaves it at "publishing".
        known = records.read_records(settings, version=live)
        return _version(settings, known[-1]) if known else _unrecorded(settings, live)
    offered = _best_kept(settings, _published(settings))
    if offered is None and live is None:
        return None
    raise _broken_link(settings, offered)


def next_version(settings: Settings) -> int:
    """The number of the next candidate: above all that were published, refused or lie there."""
    files = settings.published.glob("warehouse-*.duckdb")
    return max([*records.recorded_versions(settings), *map(_number, files)], default=0) + 1


def list_publishes(settings: Settings) -> list[PublishLine]:
    """Every run that ended in a publish or a refusal, oldest first."""
    live = _linked_version(settings)
    lines = []
    for record in records.read_records(settings):
        receipt = record.receipt
        is_live = record.version == live and record.state in {"published", "publishing"}
        if record.state == "abandoned" or (record.state == "publishing" and not is_live):
            continue
        lines.append(
            PublishLine(
                version=record.version,
                run_id=receipt.run_id,
                status="refused" if record.state == "refused" else "published",
                recorded_at=record.recorded_at,
                as_of=receipt.as_of,
                input_deliveries=len(receipt.input_deliveries),
                checks=len(receipt.checks),
                blocking=len(receipt.blocking),
                warnings=len(receipt.warnings),
                reason=record.reason,
                is_live=is_live,
                is_kept=record.state != "refused" and version_path(settings, record.version).exists(),
            )
        )
    return lines


def publish(settings: Settings, candidate: Candidate, receipt: Receipt) -> Version:
    """Make an audited candidate the version that readers see.

    Raises:
        GateRefusedError: the receipt is not positive, or not this candidate's, or somebody published or
            rolled back since the candidate was begun. The refusal is recorded; readers see what they saw.
        BusyError: another run holds the writer's lock.
        MallardError: there is no disk space; or there was none left after the link's swap, and readers see the
            new version.
    """
    with writer_lock(settings, what="a publish"):
        try:
            _refuse_unless_sound(candidate, receipt)
            _refuse_if_moved(settings, candidate)
            base = candidate.base_version
            record = Record(receipt, "publishing", records.now(), reason=_acceptances(receipt))
            changes = finish(settings, candidate, record, version_path(settings, base) if base else None)
            size = candidate.path.stat().st_size
            with link_lock(settings):
                _refuse_if_moved(settings, candidate)
                record = replace(record, file_bytes=size, changes=changes)
                return _publish_file(settings, candidate, record)
        except GateRefusedError as refusal:
            records.record_refusal(settings, receipt, str(refusal))
            raise


def _publish_file(settings: Settings, candidate: Candidate, record: Record) -> Version:
    """Record, rename, swap the link, record again: readers change over at the swap and only there."""
    path = version_path(settings, record.version)
    if path.exists():
        raise GateRefusedError(
            f"Version {record.version} is there already; the published version is untouched.",
            where=str(path),
            mend="run the load again: it takes the next number",
        )
    records.store_record(settings, record)
    candidate.path.replace(path)
    records.fsync_folder(settings.published)
    swap_link(settings, path)
    try:
        record = records.change_state(settings, record, "published")
        collect_garbage(settings)
    except OSError as error:
        raise MallardError(
            f"Version {record.version} is published; only its record could not be completed.",
            found=error.strerror or str(error),
            where=str(records.receipts_folder(settings)),
            mend="make room on that disk; the next load completes the record",
        ) from error
    return _version(settings, record)


def _refuse_unless_sound(candidate: Candidate, receipt: Receipt) -> None:
    problems = list(receipt.refusals)
    pairs = [
        ("run", receipt.run_id, candidate.run_id),
        ("version", receipt.version, candidate.version),
        ("base version", receipt.base_version, candidate.base_version),
        ("as_of", receipt.as_of, candidate.as_of),
    ]
    problems += [
        f"the receipt is for {name} {ours}, the candidate is of {theirs}"
        for name, ours, theirs in pairs
        if ours != theirs
    ]
    problems += [f"{name} is expected and not on the receipt" for name in _missing_names(candidate, receipt)]
    problems += [f"{name} cannot be accepted" for name in _wrongly_accepted(candidate, receipt)]
    if not receipt.tables:
        problems.append("the receipt names no table")
    if not candidate.path.exists():
        problems.append(f"{candidate.path} is not there")
    if problems:
        raise GateRefusedError(
            f"Version {candidate.version} is not published; reasons: {len(problems)}.",
            where=str(candidate.path),
            expected="a positive receipt of this candidate",
            found="; ".join(problems[:5]) + (f" and {len(problems) - 5} more" if problems[5:] else ""),
            mend="mend what the checks name and run the load again",
        )


def _missing_names(candidate: Candidate, receipt: Receipt) -> list[str]:
    """Checks that the registry expects and the receipt does not know: it was edited, or is of older code."""
    from expectations.registry import expected_names

    return sorted(set(expected_names(candidate)) - set(receipt.expected))


def _acceptances(receipt: Receipt) -> str:
    """Who let which check pass and why: the reason that a publish which nobody had to decide has not."""
    return "; ".join(
        f"{check.name} accepted by {said.by}: {said.because}"
        for check in receipt.accepted
        if (said := check.acceptance)
    )


def _wrongly_accepted(candidate: Candidate, receipt: Receipt) -> list[str]:
    """Acceptances of what no person can accept: the receipt was not made by ``publishing.accept``."""
    accepted = {check.name for check in receipt.accepted}
    return sorted(accepted - acceptable_names(candidate)) if accepted else []


def _refuse_if_moved(settings: Settings, candidate: Candidate) -> None:
    live = _linked_version(settings)
    if live != candidate.base_version:
        raise GateRefusedError(
            "The published version changed while this candidate was built; it is not published.",
            where=str(current_link(settings)),
            expected=f"version {candidate.base_version}, which the candidate was built upon",
            found=f"version {live}",
            mend="run the load again: it builds upon what is published now",
        )


def rollback(settings: Settings, version: int | None = None) -> Version:
    """Let readers see an earlier version again: one rename. Does not wait for a load that runs.

    The next load builds upon that version, with every delivery that it has not consumed.

    Args:
        version: which one; None: the one published before the live one.

    Raises:
        NothingToDoError: there is no such version, its file is gone, or it is live already.
    """
    with link_lock(settings):
        live = _linked_version(settings)
        kept = [one for one in _published(settings) if version_path(settings, one.version).exists()]
        if version is None:
            earlier = [one for one in kept if live is None or one.version < live]
            chosen = earlier[-1] if earlier else None
        else:
            chosen = next((one for one in kept if one.version == version), None)
        if chosen is None or chosen.version == live:
            raise _cannot_roll_back(kept, version, live)
        newest = kept[-1].version
        swap_link(settings, version_path(settings, chosen.version))
        records.store_rollback(settings, Rollback(live, chosen.version, records.now(), newest))
        return _version(settings, chosen)


def _cannot_roll_back(kept: list[Record], version: int | None, live: int | None) -> NothingToDoError:
    numbers = ", ".join(str(one.version) for one in kept if one.version != live) or "none"
    if version is not None and version == live:
        summary = f"Version {version} is the one that readers see already."
    elif version is not None:
        summary = f"There is no published version {version} to roll back to."
    else:
        summary = "There is no earlier published version to roll back to."
    return NothingToDoError(
        summary,
        expected=f"one of the versions that are kept: {numbers}",
        found=f"live: {live or 'none'}",
        mend="mallard publishes shows them all",
    )


def swap_link(settings: Settings, path: Path) -> None:
    """Point the link at ``path``, atomically and durably: readers find the old or the new, never none."""
    link = current_link(settings)
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # Relative: the folder may be mounted elsewhere.
    draft.symlink_to(path.name)
    draft.replace(link)
    records.fsync_folder(settings.published)


def collect_garbage(settings: Settings) -> list[Path]:
    """Remove published versions beyond the last ``KEPT_VERSIONS``, by their records, never the live one.

    Returns:
        The files that were removed.
    """
    live = _linked_version(settings)
    published = [one.version for one in _published(settings)]
    kept = {*published[-KEPT_VERSIONS:], *([live] if live is not None else [])}
    removed = []
    for version in published:
        path = version_path(settings, version)
        if version not in kept and path.exists():
            path.unlink()
            removed.append(path)
    records.drop_old_records(settings, kept)
    return removed


def recover(settings: Settings, say: Callable[[str], None]) -> None:
    """Tidy up after a run that died: to be called by a writer, under its lock, before it builds.

    A link that points nowhere is pointed at the version that was live last; a publish that died half-way is
    finished where readers already see it and removed where they do not.
    """
    records.drop_dead_drafts(records.receipts_folder(settings), settings.work, settings.reports)
    with link_lock(settings):
        for draft in settings.published.glob(f".{current_link(settings).name}.*"):
            draft.unlink()
        live = _linked_version(settings)
        for record in records.read_records(settings):
            if record.state != "publishing":
                continue
            if record.version == live:
                records.change_state(settings, record, "published")
                say(
                    f"Version {live} was published by a run that died right after; its record is complete now."
                )
            else:
                version_path(settings, record.version).unlink(missing_ok=True)
                records.change_state(settings, record, "abandoned", "the run died before readers saw it")
                say(f"Version {record.version} was left by a run that died before it was published: removed.")
        if live is not None and version_path(settings, live).exists():
            return
        offered = _best_kept(settings, _published(settings))
        if offered is not None:
            swap_link(settings, version_path(settings, offered.version))
            newest = _published(settings)[-1].version
            records.store_rollback(settings, Rollback(None, offered.version, records.now(), newest))
            say(f"The published link pointed nowhere: it points at version {offered.version} again.")
        elif live is not None:
            current_link(settings).unlink()
            say("The published link pointed nowhere and no version is left: this load publishes a new one.")


def _linked_version(settings: Settings) -> int | None:
    """The number in the link's target, whether its file is there or not; None without a link."""
    link = current_link(settings)
    if not link.is_symlink():
        return None
    match = _FILE_NAME.fullmatch(link.readlink().name)
    return int(match[1]) if match else 0


def _published(settings: Settings) -> list[Record]:
    """Records of published versions, oldest first."""
    return [one for one in records.read_records(settings) if one.state == "published"]


def _best_kept(settings: Settings, published: list[Record]) -> Record | None:
    """The version that was live last, by publishes and rollbacks, of those whose file is there."""
    kept = {one.version: one for one in published if version_path(settings, one.version).exists()}
    if not kept:
        return None
    moves = [(one.version, 0, one.version) for one in published]
    rollbacks = enumerate(records.read_rollbacks(settings), start=1)
    moves += [(one.after_version, number, one.to_version) for number, one in rollbacks]
    return next(kept[version] for _, _, version in sorted(moves, reverse=True) if version in kept)


def _number(path: Path) -> int:
    match = _FILE_NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def _version(settings: Settings, record: Record) -> Version:
    path = version_path(settings, record.version)
    return Version(
        version=record.version,
        path=path,
        run_id=record.receipt.run_id,
        as_of=record.receipt.as_of,
        published_at=record.recorded_at,
        is_live=_linked_version(settings) == record.version,
        is_kept=path.exists(),
    )


def _unrecorded(settings: Settings, version: int) -> Version:
    """The live version whose record was lost, as its own file tells of it."""
    path = version_path(settings, version)
    with connect(path) as connection:
        row: Any = connection.execute(
            "select run_id, as_of, published_at from ops.run inner join ops.publishes using (run_id, as_of)"
        ).fetchone()
    return Version(
        version, path, row[0], row[1], row[2].astimezone(UTC).isoformat(), is_live=True, is_kept=True
    )


def _broken_link(settings: Settings, offered: Record | None) -> MallardError:
    link = current_link(settings)
    target = str(link.readlink()) if link.is_symlink() else "nothing: there is no link"
    mend = "mallard load publishes a new version from what is landed"
    if offered is not None:
        mend = (
            f"mallard rollback {offered.version} points it at the version that was live last;"
            " the next load does so by itself"
        )
    return MallardError(
        "The published link points nowhere.",
        where=str(link),
        expected="a published version whose file is there",
        found=target,
        mend=mend,
    )
