"""Manifests: one JSON file per landed delivery, which says what lies in the landing zone.

A delivery is landed when its manifest is; a data file that no manifest names is garbage.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from mallard.errors import MallardError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mallard.settings import Settings

TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class Manifest:
    """What was landed of one delivery. ``rows_in`` = landed + quarantined + duplicate, always.

    ``first_day`` and ``last_day`` are UTC days of the partition column. ``delivered_at`` is when it landed.
    ``source_stamp`` (size and times of the source's files) only saves hashing a file that nobody touched.
    ``rows_mended`` were bad in the source and landed as they were mended; ``mends_unmatched`` found no row.
    """

    feed: str
    table: str
    source: str
    delivery: dt.date
    file: str
    rows_in: int
    rows_landed: int
    rows_quarantined: int
    rows_duplicate: int
    content_hash: str
    contract_version: str
    entry_hash: str
    first_day: dt.date | None
    last_day: dt.date | None
    delivered_at: str
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    new_columns: list[str] = field(default_factory=list)
    source_file: str = ""
    source_stamp: str = ""
    hash_key_id: str = ""
    rows_mended: int = 0
    mends_unmatched: int = 0
    path: Path = field(default=Path(), compare=False)

    @property
    def data_path(self) -> Path:
        return self.path.parent / self.file

    def to_json(self) -> str:
        said = {key: value for key, value in asdict(self).items() if key != "path"}
        return json.dumps(said, indent=2, default=str) + "\n"


_FIELDS = {item.name for item in fields(Manifest)} - {"path"}


def manifest_path(settings: Settings, feed: str, table: str, source: str, day: dt.date) -> Path:
    return settings.landing / feed / table / source / f"{day}.json"


def read_manifest(path: Path) -> Manifest | None:
    """One manifest, or None where there is none.

    Raises:
        MallardError: the file is no manifest.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        said = {key: value for key, value in json.loads(text).items() if key in _FIELDS}
        for name in ("delivery", "first_day", "last_day"):
            said[name] = dt.date.fromisoformat(said[name]) if said.get(name) else None
        return Manifest(**said, path=path)
    except (ValueError, TypeError, AttributeError) as error:
        raise MallardError(
            "A manifest of the landing zone is damaged.",
            found=str(error),
            where=str(path),
            mend="delete it and load its delivery again",
        ) from error


def read_manifests(settings: Settings) -> list[Manifest]:
    """All manifests: what is landed now, in the order of feed, table, source and delivery day."""
    paths = sorted(settings.landing.glob("*/*/*/????-??-??.json"))
    return [manifest for path in paths if (manifest := read_manifest(path))]


def write_manifest(manifest: Manifest) -> None:
    """Put a manifest in place, whole or not at all. This is the moment at which a delivery is landed."""
    with replacing(manifest.path) as draft:
        draft.write_text(manifest.to_json(), encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside ``path`` that takes its place, on disk for good, when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's or folder's content on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
