"""The steps of a load: land, build, audit, publish. The DAGs' tasks and the command line call these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallard.errors import DeliveryRefusedError, GateRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date
    from pathlib import Path

    from expectations.gate import Receipt
    from ingestion.landing import LandingReport
    from ingestion.quarantine import Place
    from mallard.candidate import Candidate
    from mallard.progress import Progress
    from mallard.settings import Settings
    from publishing.versions import Version


def ingest(
    settings: Settings,
    feeds: Collection[str] | None,
    first: date | None,
    last: date | None,
    *,
    progress: Progress,
    source: str | None = None,
    inbox: Path | None = None,
) -> LandingReport:
    """Land what the sources hold of these feeds and delivery days; what is landed already is skipped.

    Args:
        feeds: the feeds to land; None: all that the source declares.
        first, last: delivery days, both included; None: no limit.
        source: a name in the source registry; None: all that are enabled there.
        inbox: the folder to read the inbox source from; None: the one of the registry.

    Raises:
        NothingToDoError: the source holds nothing for these days.
        DeliveryRefusedError: deliveries were refused; the others are landed.
    """
    from ingestion.deliveries import gaps, plan
    from ingestion.landing import land
    from ingestion.registry import choose_sources

    deliveries = [
        delivery
        for chosen in choose_sources(settings, source)
        for delivery in plan(settings, chosen, feeds, first, last, inbox)
    ]
    for (feed, table), days in sorted(gaps(deliveries, first, last).items()):
        listed = ", ".join(str(day) for day in days[:5]) + (" …" if len(days) > 5 else "")
        progress.say(f"{feed}/{table}: no delivery of {listed}")
    report = land(settings, deliveries, progress)
    if report.refused:
        raise _refused(report.refused)
    return report


def _refused(errors: list[DeliveryRefusedError]) -> DeliveryRefusedError:
    if len(errors) == 1:
        return errors[0]
    return DeliveryRefusedError(
        f"{len(errors)} deliveries were refused; nothing of them was landed:\n\n"
        + "\n\n".join(str(error) for error in errors)
    )


def shop_settings(settings: Settings) -> Settings:
    """The settings with the zone and currency of the shop whose sources are landed, where none are set."""
    from ingestion.landing import read_manifests
    from ingestion.registry import read_registry

    registry = read_registry(settings)
    for name in sorted({manifest.source for manifest in read_manifests(settings)}):
        if name in registry:
            shop = registry[name].shop
            settings = settings.with_shop(time_zone=shop.time_zone, currency=shop.currency)
    return settings


def build(settings: Settings, progress: Progress, *, full_refresh: bool = False) -> Candidate | None:
    """Build a candidate from what is new; None where nothing is. See ``mallard.build.build``."""
    from mallard.build import build as build_candidate
    from publishing.lock import writer_lock
    from publishing.space import told_if_full
    from publishing.versions import recover

    with writer_lock(settings, what="a build"), told_if_full(settings.work, "building the candidate"):
        # A run that died may have left a link that points nowhere: mended before anything builds on it.
        recover(settings, progress.say)
        return build_candidate(shop_settings(settings), progress, full_refresh=full_refresh)


def audit(settings: Settings, candidate: Candidate, progress: Progress) -> Receipt:
    """Run every expected check on the candidate.

    Raises:
        GateRefusedError: a check that blocks failed, raised, or did not run.
        MallardError: there is no disk space for the receipt and the report.
    """
    from expectations.gate import audit as audit_candidate
    from expectations.verdict import render_text
    from publishing.space import told_if_full

    with told_if_full(settings.work, "auditing the candidate"):
        receipt = audit_candidate(shop_settings(settings), candidate, progress)
    if not receipt.passed:
        raise GateRefusedError(render_text(receipt))
    return receipt


def publish(settings: Settings, candidate: Candidate, receipt: Receipt, progress: Progress) -> Version:
    """Publish an audited candidate: readers see it from the next connection on."""
    from ingestion.landing import collect_garbage
    from publishing.lock import writer_lock
    from publishing.space import told_if_full
    from publishing.versions import publish as publish_candidate

    with writer_lock(settings, what="a publish"), progress.stage("Publishing"):
        with told_if_full(settings.work, "publishing the candidate"):
            version = publish_candidate(settings, candidate, receipt)
        collect_garbage(settings)
    progress.say(f"Published version {version.version} up to {version.as_of}")
    return version


def publish_waiting(
    settings: Settings, accepted: Collection[str], because: str, by: str, progress: Progress
) -> Receipt:
    """Publish the audited candidate that waits, with the checks that a person accepts. See ``publishing.accept``."""
    from publishing.accept import accept
    from publishing.lock import writer_lock

    with writer_lock(settings, what="a publish"):
        candidate, receipt = accept(settings, accepted, because, by)
        publish(settings, candidate, receipt, progress)
        return receipt


def load(
    settings: Settings,
    first: date | None = None,
    last: date | None = None,
    *,
    progress: Progress,
    source: str | None = None,
    inbox: Path | None = None,
    full_refresh: bool = False,
    wait_seconds: float = 0,
) -> tuple[LandingReport, Receipt | None]:
    """Land, build, audit and publish once, as one writer.

    Returns:
        What was landed, and the receipt of the version published; None where nothing was new.

    Raises:
        MallardError: as ``ingest``, ``build`` and ``audit`` raise; the published version stays.
    """
    from publishing.lock import writer_lock

    with writer_lock(settings, wait_seconds=wait_seconds, what="a load"):
        report = ingest(settings, None, first, last, progress=progress, source=source, inbox=inbox)
        return report, _publish_new(settings, progress, full_refresh=full_refresh)


def _publish_new(settings: Settings, progress: Progress, *, full_refresh: bool = False) -> Receipt | None:
    candidate = build(settings, progress, full_refresh=full_refresh)
    if candidate is None:
        return None
    receipt = audit(settings, candidate, progress)
    publish(settings, candidate, receipt, progress)
    return receipt


def replay(
    settings: Settings,
    places: Collection[Place],
    *,
    progress: Progress,
    publishes: bool = True,
    wait_seconds: float = 0,
) -> tuple[LandingReport, Receipt | None]:
    """Land deliveries again by today's rules and mends, then build, audit and publish what is new, as one writer.

    A delivery of which neither the file nor the rules nor the mends have changed is left alone, so that
    replaying twice is replaying once.

    Args:
        places: deliveries as ``ingestion.quarantine.find_places`` gives them.
        publishes: False leaves what is landed for the next load to publish.

    Raises:
        MallardError: as ``load`` raises; a delivery that is still refused stops the publish.
    """
    from ingestion.landing import land
    from ingestion.quarantine import delivery_of
    from publishing.lock import writer_lock

    with writer_lock(settings, wait_seconds=wait_seconds, what="a replay"):
        report = land(settings, [delivery_of(settings, place) for place in places], progress)
        if report.refused:
            raise _refused(report.refused)
        return report, _publish_new(settings, progress) if publishes else None
