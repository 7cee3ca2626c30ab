"""The one task of an ingest DAG: land the days that its run is for, then announce them to the warehouse."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from mallard.airflow.days import resolve
from mallard.airflow.incidents import close_incident
from mallard.errors import DeliveryRefusedError, NothingToDoError
from mallard.progress import LogProgress
from mallard.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from airflow.sdk import Asset

    from mallard.settings import Settings

log = logging.getLogger("mallard")


def land_feed(feed: str, landed: Asset, context: Mapping[str, Any]) -> None:
    """Land ``feed`` for the run's days and announce the run's key on ``landed``.

    Raises:
        NothingToDoError: the delivery of a scheduled run has not come yet; a later try may find it.
        AirflowFailException: the run was asked for days that have no delivery; no later try will find one.
        DeliveryRefusedError: a delivery cannot be used; nothing of it was landed.
    """
    # Heavy (DuckDB, Arrow): imported where a task runs, never where the file is parsed.
    from mallard import pipeline

    settings = from_environment()
    progress = LogProgress()
    run = context["dag_run"]
    days = resolve(
        run_type=str(getattr(run.run_type, "value", run.run_type)),
        partition_key=run.partition_key,
        logical_date=run.logical_date,
        run_after=run.run_after,
        params=context["params"],
        time_zone=settings.time_zone,
    )
    sources = _sources_with(settings, feed)
    if not sources:
        # A shop without this feed: the warehouse waits for three announcements, so this one must come, too.
        log.info("%s: no source of this shop has this feed; there is nothing to land", feed)
    for source in sources:
        if days.look_back:
            _land_late_files(settings, feed, source, days.look_back, progress)
        log.info("%s: landing %s of the source %s", feed, days, source)
        try:
            pipeline.ingest(settings, [feed], days.first, days.last, source=source, progress=progress)
        except NothingToDoError as nothing:
            if days.waits:
                raise
            raise AirflowFailException(str(nothing)) from nothing
    if days.waits and (since := close_incident(settings, run.dag_id)):
        log.info("%s has come again; it was missed since %s", feed, since)
    context["outlet_events"][landed].add_partitions(days.key)


def _sources_with(settings: Settings, feed: str) -> list[str]:
    """The names of the enabled sources that declare the feed."""
    from ingestion.registry import choose_sources

    return [source.name for source in choose_sources(settings) if feed in source.feeds]


def _land_late_files(
    settings: Settings, feed: str, source: str, days: tuple[date, date], progress: LogProgress
) -> None:
    """Land what came late, or came again, for the days before; what is still missing there had its own alert."""
    from mallard import pipeline

    first, last = days
    try:
        pipeline.ingest(settings, [feed], first, last, source=source, progress=progress)
    except NothingToDoError:
        log.info("%s: nothing came for the days %s to %s", feed, first, last)
    except DeliveryRefusedError as refused:
        # Its own day's run failed over it, or will when it is cleared: one incident, one alert.
        log.warning("%s: a delivery of the days %s to %s is refused\n%s", feed, first, last, refused)
