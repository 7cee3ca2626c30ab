"""Build, audit and publish the warehouse from all that is new.

**What it does.** `build` makes a candidate: a copy of the published file in which dbt computes the visitors of new
events anew, and all other tables in full. `audit` runs every check on it and writes a receipt. `publish` renames the
audited file into place and repoints `published/current.duckdb`: readers see the old version or the new one, never a
mixture. Where nothing new was landed, `build` says so, the other two are skipped, and the run is green.

**When it runs.** As soon as the three feeds have landed the same delivery day. It does not build *that day* but all
that is new, so it is right in any order, after a gap, and twice; one run at a time. The safety net is the next
day's run: whatever a failed or missed run left over is still new to it. For the same reason there is nothing to
backfill here: backfill the feeds.

**By hand.** *Trigger*, without a configuration. It does no harm: where nothing is new, nothing is done.

**When it fails**, there is one alert, and readers stay on the last published version.

| failed task | what happened | what to do |
| --- | --- | --- |
| `build` | dbt could not build a model; its log names it | mend the model, then *Clear* the run |
| `build`, busy | somebody runs `mallard load` | nothing: it is tried again every two minutes |
| `audit` | a check that blocks said no; the log says which, where and how many | mend the cause (rule, row or delivery), then *Trigger* anew; or, where the finding is right this once, `mallard publish --accept CHECK --because "…"`; never clear `publish` alone |
| `publish` | somebody published meanwhile, or the disk is full | *Trigger* anew: it builds on what is published now |

A bad version that passed its checks: `mallard rollback`, in seconds.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, IdentityMapper, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from mallard.airflow.handover import take_candidate, take_receipt
from mallard.airflow.policy import (
    DEFAULT_ARGS,
    LANDED_CHANNEL_SPEND,
    LANDED_CLICKSTREAM,
    LANDED_ORDERS,
    PUBLISHED_WAREHOUSE,
    WAREHOUSE_TIMEOUT,
    WRITER,
    WRITER_RETRIES,
    Tag,
)
from mallard.progress import LogProgress
from mallard.settings import from_environment

with DAG(
    dag_id="warehouse",
    description="Builds, audits and publishes the warehouse from all that is new",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(
        assets=LANDED_ORDERS & LANDED_CLICKSTREAM & LANDED_CHANNEL_SPEND,
        default_partition_mapper=IdentityMapper(),
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=WAREHOUSE_TIMEOUT,
    default_args=DEFAULT_ARGS,
    tags=[Tag.WAREHOUSE, Tag.DAILY, Tag.BLOCKS_PUBLISH, Tag.READERS_SEE_IT],
):

    @task(retries=WRITER_RETRIES, retry_policy=WRITER, execution_timeout=timedelta(hours=4))
    def build() -> str:
        """Build a candidate from all that is new; the id of its run."""
        from mallard import pipeline

        candidate = pipeline.build(from_environment(), LogProgress())
        if candidate is None:
            raise AirflowSkipException("Nothing new was landed since the last published version.")
        return candidate.run_id

    @task(retries=WRITER_RETRIES, retry_policy=WRITER, execution_timeout=timedelta(hours=2))
    def audit(candidate_id: str) -> str:
        """Run every check on the candidate and write its receipt."""
        from mallard import pipeline

        settings = from_environment()
        receipt = pipeline.audit(settings, take_candidate(settings, candidate_id), LogProgress())
        return receipt.run_id

    @task(
        outlets=[PUBLISHED_WAREHOUSE],
        retries=WRITER_RETRIES,
        retry_policy=WRITER,
        execution_timeout=timedelta(minutes=30),
    )
    def publish(candidate_id: str) -> int:
        """Put the audited candidate in the readers' place; the number of the version."""
        from mallard import pipeline

        settings = from_environment()
        candidate = take_candidate(settings, candidate_id)
        receipt = take_receipt(settings, candidate_id)
        return pipeline.publish(settings, candidate, receipt, LogProgress()).version

    publish(audit(build()))
