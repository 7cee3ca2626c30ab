"""What all DAGs have in common: owner, tags, retries, timeouts, schedule, assets. One place to change each."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import (
    Asset,
    CronPartitionTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
)

from mallard.airflow.alerts import alert
from mallard.airflow.handover import OvertakenError
from mallard.errors import (
    BusyError,
    DeliveryRefusedError,
    GateRefusedError,
    NothingToDoError,
    SettingsError,
)
from mallard.settings import from_environment

OWNER = "data-engineering"


class Tag(StrEnum):
    """A tag says how a failure is to be taken; its meaning is part of it."""

    INGEST = "ingest"
    WAREHOUSE = "warehouse"
    DAILY = "daily"
    BLOCKS_PUBLISH = "blocks-publish"
    READERS_SEE_IT = "readers-see-it"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Tag.INGEST: "lands one feed's deliveries; touches nothing that readers see",
    Tag.WAREHOUSE: "builds, audits and publishes the warehouse",
    Tag.DAILY: "expected once a day: two days without a green run is an incident",
    Tag.BLOCKS_PUBLISH: "while it fails, the new day is not published and readers stay on the last version",
    Tag.READERS_SEE_IT: "its result is what dashboards and people read",
}


# ---- assets: what the DAGs hand to each other ------------------------------------------------------------------

LANDED_ORDERS = Asset(name="landed_orders", uri="mallard://landing/orders")
LANDED_CLICKSTREAM = Asset(name="landed_clickstream", uri="mallard://landing/clickstream")
LANDED_CHANNEL_SPEND = Asset(name="landed_channel_spend", uri="mallard://landing/channel_spend")
PUBLISHED_WAREHOUSE = Asset(name="published_warehouse", uri="mallard://published/current")


# ---- schedule --------------------------------------------------------------------------------------------------


def daily_deliveries() -> CronPartitionTimetable:
    """One run per delivery day, at the midnight that ends it, keyed by the day (``2025-11-11``).

    Midnight, not a kinder hour: the key of a run is a tick of this clock, and ``airflow backfill create --to-date
    2025-11-11`` means the midnight of that day, so that with a later hour it would leave the last day out. A feed
    that is not there yet at midnight is waited for (``LATE_FEED``).
    """
    return CronPartitionTimetable(
        "0 0 * * *",
        timezone=from_environment().time_zone,
        run_offset=-1,
        key_format="%Y-%m-%d",
        # A DAG that is new to this Airflow begins with the day that ended last, at whatever hour it is unpaused;
        # without this, it would only do so in the first tenth of the day.
        run_immediately=True,
    )


# ---- retries: what a second try can mend, and what only a person can ---------------------------------------------

_ONLY_A_PERSON = RetryRule(
    exception=[DeliveryRefusedError, GateRefusedError, OvertakenError, SettingsError, ValueError],
    action=RetryAction.FAIL,
    reason="The same input fails the same way: a person has to look.",
)
_SOMEBODY_WRITES = RetryRule(
    exception=BusyError,
    retry_delay=timedelta(minutes=2),
    reason="Another run is writing: wait for it.",
)

LATE_FEED_RETRIES = 12
LATE_FEED = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=NothingToDoError,
            # 12 tries half an hour apart: a feed may be six hours late before it is an alert.
            retry_delay=timedelta(minutes=30),
            reason="The delivery has not come yet.",
        ),
        _ONLY_A_PERSON,
        _SOMEBODY_WRITES,
    ],
)
WRITER_RETRIES = 5
WRITER = ExceptionRetryPolicy(rules=[_ONLY_A_PERSON, _SOMEBODY_WRITES])

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retry_delay": timedelta(minutes=5),
    "on_failure_callback": alert,
}

# The landing of one feed is one file after the other under the feed's lock: more tasks at a time would only hold
# slots of the executor while they wait for it.
INGEST_TASK: dict[str, Any] = {
    "retries": LATE_FEED_RETRIES,
    "retry_policy": LATE_FEED,
    "execution_timeout": timedelta(hours=2),
    "max_active_tis_per_dag": 1,
}
# Waiting for a late feed included.
INGEST_TIMEOUT = timedelta(hours=12)
WAREHOUSE_TIMEOUT = timedelta(hours=8)


# ---- the range of days that a run by hand may be given ---------------------------------------------------------


def range_params() -> dict[str, Param]:
    """``first_day`` and ``last_day``: a backfill of any length in one run."""
    return {
        "first_day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First delivery day",
            description="Lands the deliveries from this day on, in this one run. Empty: no lower limit.",
        ),
        "last_day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Last delivery day",
            description="The last delivery day of the range, inclusive. Empty: no upper limit.",
        ),
    }
