"""Mends: what a person says that bad rows of one delivery should have held.

They lie beside the delivery's quarantine file and apply whenever the delivery is landed, so that a changed
file, a backfill or a full refresh neither loses nor doubles them. The source's own file is never written to.
A mend names its row by a fingerprint of what the row held: it never applies to another row.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ingestion.manifest import replacing
from mallard.errors import MallardError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from mallard.settings import Settings

ENDING = ".mends.json"


@dataclass(frozen=True)
class Mend:
    """What the columns of one bad row become. ``row`` and ``line`` only say where it stood when it was mended.

    ``set`` maps columns to texts as a file would hold them, None for an empty field; personal data are
    hashes. Of a line that could not be split it names all columns that are not empty.
    """

    fingerprint: str
    set: dict[str, str | None]
    reason: str = ""
    row: int | None = None
    line: int | None = None

    @property
    def where(self) -> str:
        return f"line {self.line}" if self.line else f"row {self.row}"


@dataclass(frozen=True)
class Mends:
    """The mends of one delivery. Where several have one fingerprint, equal rows take them in their order.

    ``hash_key_id`` names the key of the fingerprints where the table holds personal data, else it is empty.
    """

    rows: tuple[Mend, ...] = ()
    hash_key_id: str = ""
    path: Path | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """Changes with all that decides what lands; empty where there are none."""
        if not self.rows:
            return ""
        said = [(mend.fingerprint, sorted(mend.set.items())) for mend in self.rows]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def mends_path(settings: Settings, feed: str, table: str, source: str, day: dt.date) -> Path:
    return settings.quarantine / feed / table / source / f"{day}{ENDING}"


def read_mends(settings: Settings, feed: str, table: str, source: str, day: dt.date) -> Mends:
    """The mends of a delivery, none where there is no file.

    Raises:
        MallardError: the file is damaged.
    """
    path = mends_path(settings, feed, table, source, day)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Mend(**row) for row in said["rows"])
        return Mends(rows, said["hash_key_id"], path)
    except FileNotFoundError:
        return Mends()
    except (ValueError, TypeError, KeyError) as error:
        raise MallardError(
            "A file of mends is damaged.",
            found=str(error),
            where=str(path),
            mend=f"mallard quarantine mend {feed}/{table} {day} --forget, then mend the rows again",
        ) from error


def write_mends(
    settings: Settings,
    feed: str,
    table: str,
    source: str,
    day: dt.date,
    rows: Sequence[Mend],
    hash_key_id: str,
) -> None:
    """Replace a delivery's mends, whole or not at all. A file without any tells that there were some."""
    path = mends_path(settings, feed, table, source, day)
    said = {
        "feed": feed,
        "table": table,
        "source": source,
        "delivery": str(day),
        "hash_key_id": hash_key_id,
        "rows": [asdict(mend) for mend in rows],
    }
    with replacing(path) as draft:
        draft.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
