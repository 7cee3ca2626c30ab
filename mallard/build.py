"""Build a candidate: a copy of the last published file in which dbt computes what new deliveries touch.

The candidate always has the same path, so that dbt's partial parse holds from run to run. Nothing here
decides whether it is good: that is the gate's work, and publishing is one rename (see publishing/).
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from mallard.candidate import Candidate
from mallard.dbt_run import fingerprint_logic, run_dbt
from mallard.errors import MallardError, NothingToDoError
from mallard.prepare import Base, identify, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingestion.manifest import Manifest
    from mallard.progress import Progress
    from mallard.settings import Settings


def build(
    settings: Settings, progress: Progress, *, run_id: str | None = None, full_refresh: bool = False
) -> Candidate | None:
    """Build a candidate from the deliveries that the published version has not consumed.

    Args:
        full_refresh: compute everything from landing, as when models or settings have changed.

    Returns:
        The candidate, with dbt's results beside it, whatever they say; None where nothing is new.

    Raises:
        NothingToDoError: nothing was landed yet that a day could be published from.
        SettingsError: a seed or a variable of the dbt project holds what it may not.
        MallardError: there is no space for the candidate, or dbt could not start.
    """
    from ingestion.landing import read_manifests
    from mallard.rules import check_rules
    from publishing.versions import next_version

    check_rules()
    manifests = read_manifests(settings)
    as_of = earliest_main_delivery(manifests)
    base = read_base(settings)
    logic = fingerprint_logic(settings)
    identities = {identify(manifest): manifest for manifest in manifests}
    new = set(identities) - base.deliveries
    gone = base.deliveries - set(identities)
    if base.version is not None and not new and not gone and logic == base.logic and not full_refresh:
        return None
    # Sessions are computed anew for the visitors of new events. Events that are not landed any more name
    # nobody: their visitors are only found by computing everybody's.
    lost_events = any(identity[:2] == ("clickstream", "events") for identity in gone)
    is_full_refresh = full_refresh or base.version is None or logic != base.logic or lost_events

    started_at = datetime.now(UTC)
    version = next_version(settings)
    candidate = Candidate(
        path=settings.work / "candidate.duckdb",
        run_id=run_id or f"{started_at:%Y%m%dT%H%M%S}-{os.getpid()}",
        version=version,
        base_version=base.version,
        as_of=as_of,
        target=settings.work / "target",
        is_full_refresh=is_full_refresh,
        new_deliveries=len(new),
    )
    reason = "everything is computed" if is_full_refresh else f"{len(new)} new deliveries"
    progress.say(f"Building version {version} up to {as_of}: {reason}")
    _start_file(settings, candidate)
    prepare(settings, candidate, base, manifests, new, logic, started_at)
    run_dbt(settings, candidate, progress)
    candidate.save(settings)
    return candidate


def earliest_main_delivery(manifests: Sequence[Manifest]) -> date:
    """The last day of which every feed has arrived: the earliest of the feeds' last deliveries.

    Raises:
        NothingToDoError: no feed's main table was landed yet.
    """
    from ingestion.contract import read_contracts

    main_tables = {key for key, contract in read_contracts().items() if contract.is_main}
    last: dict[tuple[str, str], date] = {}
    for manifest in manifests:
        if (manifest.feed, manifest.table) in main_tables:
            key = (manifest.feed, manifest.source)
            last[key] = max(last.get(key, manifest.delivery), manifest.delivery)
    if not last:
        raise NothingToDoError(
            "Nothing can be built: no orders, events or channel spend were landed yet.",
            expected="at least one delivery of orders/orders, clickstream/events or channel_spend/channel_spend",
            found=f"{len(manifests)} landed deliveries, none of these",
            mend="mallard load --inbox DIR",
        )
    return min(last.values())


def read_base(settings: Settings) -> Base:
    """What the published version knows; an empty base where nothing is published."""
    import duckdb

    from publishing.versions import current_version

    current = current_version(settings)
    if current is None:
        return Base(None, None, "", frozenset())
    with duckdb.connect(str(current.path), read_only=True) as connection:
        run = connection.execute("select as_of, logic from ops.run").fetchone()
        rows = connection.execute(
            "select feed, table_name, source, delivery, landed_content from ops.load_audit"
        ).fetchall()
    if run is None:
        raise MallardError(
            "The published file does not say what it was built from.",
            where=str(current.path),
            mend="mallard rollback",
        )
    return Base(current.version, run[0], run[1], frozenset(rows))


def _start_file(settings: Settings, candidate: Candidate) -> None:
    from publishing.copy import copy_file
    from publishing.space import require_space
    from publishing.versions import current_version

    settings.work.mkdir(parents=True, exist_ok=True)
    for leftover in settings.work.glob("*.duckdb*"):
        leftover.unlink()
    shutil.rmtree(settings.work / "spill", ignore_errors=True)
    (candidate.target / "run_results.json").unlink(missing_ok=True)
    current = None if candidate.is_full_refresh else current_version(settings)
    size = current.path.stat().st_size if current else _landed_bytes(settings)
    require_space(settings.work, size, "the candidate")
    if current:
        copy_file(current.path, candidate.path)


def _landed_bytes(settings: Settings) -> int:
    return sum(file.stat().st_size for file in settings.landing.rglob("*.parquet"))
