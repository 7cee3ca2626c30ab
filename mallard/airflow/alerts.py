"""One alert per failure that nobody but a person mends.

Airflow calls ``alert`` when a task has failed for good, never while it still retries. Tasks that did not run
because an earlier one failed do not call it, so that one failure is one alert. A feed that still does not come is
the incident of the day on which it was first missed: it is told once, until it comes again. It writes to the task's log; a team
that wants mail, chat or a pager adds its notifier here and nowhere else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("mallard.alerts")


def alert(context: Mapping[str, Any]) -> None:
    """Say what failed, for which day, why, and where the runbook is; of a feed that does not come, once."""
    since = _known_since(context)
    if since:
        log.warning("%s still has not come; the alert of %s stands", context["ti"].dag_id, since)
        return
    log.error("%s", describe(context))


def _known_since(context: Mapping[str, Any]) -> str:
    """The day since which a feed is missed that this failure is about, too; empty where this is news."""
    from mallard.airflow.incidents import open_incident
    from mallard.errors import NothingToDoError
    from mallard.settings import from_environment

    error, run = context.get("exception"), context["dag_run"]
    if not isinstance(error, NothingToDoError) or run.partition_key is None:
        return ""
    return open_incident(from_environment(), context["ti"].dag_id, run.partition_key)


def describe(context: Mapping[str, Any]) -> str:
    """The alert as one text; built apart from the sending, so that a test can read it.

    The parts of a MallardError (where, expected, found, to mend) are in the text of the exception.
    """
    task = context["ti"]
    run = context["dag_run"]
    day = run.partition_key or "no single day"
    error = context.get("exception")
    reason = "no exception was recorded" if error is None else str(error) or type(error).__name__
    return "\n".join(
        [
            f"ALERT {task.dag_id}.{task.task_id} failed for {day} after {task.try_number} tries.",
            *(f"  {line}" for line in reason.splitlines()),
            f"  run: {task.run_id}",
            f"  runbook: the documentation of the DAG {task.dag_id} in Airflow's UI",
            "  readers: stay on the last published version",
        ]
    )
