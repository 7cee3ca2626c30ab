"""What was published, refused or rolled back: one JSON file per run under ``published/receipts``.

The files, not the names of the warehouse files, say what was published: a refused candidate may carry a higher
number than the live version.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mallard.settings import Settings
from publishing.receipt import Receipt, from_json

# publishing: its file may be there but readers never saw it, unless the link says otherwise;
# abandoned: a crash ended it there.
State = Literal["publishing", "published", "refused", "abandoned"]
# Receipts of older runs go; their lines stay in ops.publishes.
KEPT_RECORDS = 60
# A draft that is older was left by a process that was killed while it wrote; nobody writes that long.
DRAFT_SECONDS = 3600


@dataclass(frozen=True)
class Record:
    """One run's end: its receipt, what became of it, when (UTC) and, if refused, why."""

    receipt: Receipt
    state: State
    recorded_at: str
    reason: str = ""
    file_bytes: int = 0
    changes: tuple[tuple[str, int], ...] = ()

    @property
    def version(self) -> int:
        return self.receipt.version

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {
            "state": self.state,
            "recorded_at": self.recorded_at,
            "reason": self.reason,
            "file_bytes": self.file_bytes,
            "changes": dict(self.changes),
            "receipt": self.receipt.to_json(),
        }


@dataclass(frozen=True)
class Rollback:
    """The link was moved by hand from one version to another (from None: it pointed nowhere).

    ``after_version`` is the newest version that was published then: a clock may be set back, numbers never are.
    """

    from_version: int | None
    to_version: int
    at: str
    after_version: int


def now() -> str:
    """This instant as an ISO text in UTC, to the microsecond. For people: order is by version."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def receipts_folder(settings: Settings) -> Path:
    """Where the records lie."""
    return settings.published / "receipts"


def store_record(settings: Settings, record: Record) -> Path:
    """Write a run's record, durably, over an earlier state of the same run."""
    path = receipts_folder(settings) / f"{record.version:06d}-{file_word(record.receipt.run_id)}.json"
    write_durably(path, json.dumps(record.to_json(), indent=1))
    return path


def record_refusal(settings: Settings, receipt: Receipt, reason: str = "") -> Path:
    """Keep the receipt of a candidate that is not published, with the reasons."""
    refusals = receipt.refusals
    more = f"; and {len(refusals) - 3} more" if refusals[3:] else ""
    why = reason or "; ".join(refusals[:3]) + more
    return store_record(settings, Record(receipt, "refused", now(), why))


def change_state(settings: Settings, record: Record, state: State, reason: str = "") -> Record:
    """Store the record again with another state."""
    changed = replace(record, state=state, reason=reason or record.reason)
    store_record(settings, changed)
    return changed


def recorded_versions(settings: Settings) -> list[int]:
    """The version numbers that have a record, whatever became of them."""
    return [int(path.stem.partition("-")[0]) for path in receipts_folder(settings).glob("[0-9]*-*.json")]


def read_records(
    settings: Settings, *, version: int | None = None, except_runs: set[str] | None = None
) -> list[Record]:
    """All runs' records, oldest first. A file that cannot be read is left out: it never was a ticket.

    Args:
        version: only the records of this version.
        except_runs: run ids whose records are not read.
    """
    skipped = {file_word(run_id) for run_id in except_runs or set()}
    pattern = "[0-9]*-*.json" if version is None else f"{version:06d}-*.json"
    records = []
    for path in sorted(receipts_folder(settings).glob(pattern)):
        if path.stem.partition("-")[2] in skipped:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            records.append(_read(path))
    return sorted(records, key=lambda record: (record.version, record.recorded_at))


def _read(path: Path) -> Record:
    body = json.loads(path.read_text())
    if body["state"] not in {"publishing", "published", "refused", "abandoned"}:
        message = f"{path}: {body['state']!r} is not a state of a record"
        raise ValueError(message)
    return Record(
        receipt=from_json(body["receipt"]),
        state=body["state"],
        recorded_at=str(body["recorded_at"]),
        reason=str(body["reason"]),
        file_bytes=int(body["file_bytes"]),
        changes=tuple((str(name), int(count)) for name, count in body["changes"].items()),
    )


def store_rollback(settings: Settings, rollback: Rollback) -> None:
    """Write down that the link was moved, so that a lost link is found where it was. Under the link's lock."""
    number = max(map(_rollback_number, _rollback_files(settings)), default=0) + 1
    write_durably(receipts_folder(settings) / f"rollback-{number:06d}.json", json.dumps(asdict(rollback)))


def read_rollbacks(settings: Settings) -> list[Rollback]:
    """All rollbacks, oldest first."""
    rollbacks = []
    for path in sorted(_rollback_files(settings), key=_rollback_number):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            body = json.loads(path.read_text())
            after = int(body["after_version"])
            rollbacks.append(Rollback(body["from_version"], int(body["to_version"]), str(body["at"]), after))
    return rollbacks


def _rollback_files(settings: Settings) -> list[Path]:
    return list(receipts_folder(settings).glob("rollback-*.json"))


def _rollback_number(path: Path) -> int:
    number = path.stem.removeprefix("rollback-")
    return int(number) if number.isdecimal() else 0


def drop_old_records(settings: Settings, kept_versions: set[int]) -> None:
    """Remove the oldest records beyond ``KEPT_RECORDS``, never those of versions that are kept."""
    paths = sorted(receipts_folder(settings).glob("[0-9]*-*.json"))
    for path in paths[:-KEPT_RECORDS]:
        if int(path.stem.partition("-")[0]) not in kept_versions:
            path.unlink(missing_ok=True)


def write_durably(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``: whole or not at all, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    fsync_folder(path.parent)


def drop_dead_drafts(*folders: Path) -> None:
    """Remove what a process that was killed in ``write_durably`` has left behind.

    By age: an audit writes its report without the writer's lock, and process ids mean nothing across containers.
    """
    for folder in folders:
        for draft in folder.glob(".*.[0-9]*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    draft.unlink()


def fsync_file(path: Path) -> None:
    """Make the bytes of a closed file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable: a rename survives a power cut only then."""
    fsync_file(path)


def file_word(run_id: str) -> str:
    """A run id as part of a file name: Airflow's hold colons and plus signs."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in run_id)[:120]
