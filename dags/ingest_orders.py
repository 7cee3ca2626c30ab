"""Land the orders feed, day by day.

**What it does.** The shop's system of record: orders and their lines, refunds, customers, products, and what else the shop delivers (promotions, merchants, reviews, inventory, exchange rates). It lands the delivery in `landing/orders/`, with a manifest
that accounts for every row, and moves bad rows to `quarantine/orders/`. A delivery that comes again replaces the
earlier one; an unchanged one is skipped. Readers see nothing of it: the `warehouse` DAG publishes, once all three feeds
have landed the same day.

**When it runs.** Every midnight of the shop's time zone, for the delivery day that has just ended. A feed that is late is
tried again every half hour for six hours. Each scheduled run also looks through the seven days before for files that
came late or came again.

**By hand.** *Trigger* with `first_day` and `last_day` lands a range of days in one run (a backfill of years); with a
partition key such as `2025-11-11`, that day; with neither, all that the inbox holds. One run per day:
`airflow backfill create --dag-id ingest_orders --from-date 2025-11-01 --to-date 2025-11-30`.
After a run by hand of this feed alone, trigger `warehouse`: by itself it waits for the other two feeds' same day,
or for the next midnight, which builds all that is new.

**When it fails**, there is one alert, and readers stay on the last published version. A feed that stays away for days is
told on the first of them only, until it comes again.

| the log says | what happened | what to do |
| --- | --- | --- |
| nothing there for the day | the feed did not come within six hours | ask the owners of the order system; when the file is there, *Clear* the run, or leave it to tomorrow's |
| delivery refused | file, column, row and value are in the log; nothing of the file was landed | have the file mended and delivered again under the same name, then *Clear* the run; or mend its bad rows with `mallard quarantine` |
| another run is writing | a landing of this feed takes long | nothing: it is tried again every two minutes |
| no space left | the disk of `MALLARD_HOME` is full | make room, then *Clear* the run |
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from mallard.airflow.landing import land_feed
from mallard.airflow.policy import (
    DEFAULT_ARGS,
    INGEST_TASK,
    INGEST_TIMEOUT,
    LANDED_ORDERS,
    Tag,
    daily_deliveries,
    range_params,
)

with DAG(
    dag_id="ingest_orders",
    description="Lands the shop's orders, lines, refunds, customers and products, day by day",
    doc_md=__doc__,
    schedule=daily_deliveries(),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=INGEST_TIMEOUT,
    params=range_params(),
    default_args=DEFAULT_ARGS,
    tags=[Tag.INGEST, Tag.DAILY, Tag.BLOCKS_PUBLISH],
):

    @task(outlets=[LANDED_ORDERS], **INGEST_TASK)
    def land(**context: Any) -> None:
        """Land the orders deliveries of this run's days."""
        land_feed("orders", LANDED_ORDERS, context)

    land()
