"""Begins runs in every way that Airflow knows and runs their tasks, with the pipeline recorded (see test_runs.py).

The runs are made by Airflow's own code (the timetable, the backfill, the trigger), the tasks run under its own
supervisor, and its own scheduler code then decides which runs of the warehouse DAG follow.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import types
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

calls: list[Any] = []
alerts: list[str] = []
missing: set[tuple[str, date]] = set()


def _ingest(_settings: Any, feeds: list[str], first: date | None, last: date | None, **_options: Any) -> None:
    """Records what a task asks for; the days in ``missing`` have no delivery."""
    from mallard.errors import NothingToDoError

    (feed,) = feeds
    calls.append([feed, first and first.isoformat(), last and last.isoformat()])
    if first == last and (feed, first) in missing:
        raise NothingToDoError(f"No delivery of {feed} for {first}.", mend="deliver it")


class _Alerts(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        alerts.append(record.getMessage())


def _record_pipeline() -> None:
    pipeline = types.ModuleType("mallard.pipeline")
    pipeline.ingest = _ingest  # type: ignore[attr-defined]
    sys.modules["mallard.pipeline"] = pipeline


def main(answer: str) -> None:
    _record_pipeline()
    from airflow import settings as airflow_settings
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.asset import AssetEvent
    from airflow.models.backfill import ReprocessBehavior, _create_backfill
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk.definitions.dag import _run_task
    from airflow.timetables.base import TimeRestriction
    from airflow.utils import db
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    db.initdb()
    manager = DagBundlesManager()
    session = airflow_settings.Session()
    manager.sync_bundles_to_db(session=session)
    session.commit()
    (bundle,) = manager.get_all_dag_bundles()
    bundle.initialize()

    def parse() -> BundleDagBag:
        return BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)

    sync_bag_to_db(parse(), bundle.name, bundle.version)
    session.commit()

    found: dict[str, Any] = {}
    handler = _Alerts()

    def run(name: str, dag_id: str, run_id: str) -> None:
        """Runs the tasks of one run once each; what they asked for, how they ended, what they announced."""
        calls.clear()
        alerts.clear()
        logging.getLogger("mallard.alerts").addHandler(handler)
        session.expire_all()
        dag_run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        dag_run.state = DagRunState.RUNNING
        dag_run.start_date = datetime.now(UTC)
        session.commit()
        dag_run.dag = SerializedDagModel.get(dag_id, session=session).dag
        ready, _ = dag_run.update_state(session=session)
        session.commit()
        # A task of production gets a process, and so a DAG, of its own; a run's parameters stick to the DAG object.
        dag = parse().dags[dag_id]
        for instance in ready:
            instance.try_number += 1
            _run_task(ti=instance, task=dag.task_dict[instance.task_id])
        session.expire_all()
        dag_run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        mine = (AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id == run_id)
        events = session.scalars(select(AssetEvent).where(*mine)).all()
        found[name] = {
            "type": str(getattr(dag_run.run_type, "value", dag_run.run_type)),
            "key": dag_run.partition_key,
            "asked": list(calls),
            "alerts": list(alerts),
            "states": [str(instance.state) for instance in dag_run.get_task_instances(session=session)],
            "announced": [[event.asset.name, event.partition_key] for event in events],
        }

    def by_hand(dag_id: str, **options: Any) -> str:
        made = trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.TEST, session=session, **options)
        session.commit()
        return str(made.run_id)

    def scheduled(dag_id: str) -> str:
        serialized = SerializedDagModel.get(dag_id, session=session).dag
        info = serialized.timetable.next_dagrun_info_v2(
            last_dagrun_info=None,
            restriction=TimeRestriction(earliest=None, latest=None, catchup=False),
        )
        made = serialized.create_dagrun(
            run_id=f"scheduled__{info.partition_key}",
            logical_date=info.logical_date,
            data_interval=info.data_interval,
            run_after=info.run_after,
            run_type=DagRunType.SCHEDULED,
            triggered_by=DagRunTriggeredByType.TIMETABLE,
            state=DagRunState.QUEUED,
            partition_key=info.partition_key,
            partition_date=info.partition_date,
            session=session,
        )
        session.commit()
        return str(made.run_id)

    run("scheduled", "ingest_orders", scheduled("ingest_orders"))
    for feed in ("orders", "clickstream", "channel_spend"):
        dag_id = f"ingest_{feed}"
        backfill = _create_backfill(
            dag_id=dag_id,
            from_date=datetime(2025, 11, 10, tzinfo=UTC),
            to_date=datetime(2025, 11, 12, tzinfo=UTC),
            max_active_runs=3,
            reverse=False,
            dag_run_conf={},
            triggering_user_name="test",
            reprocess_behavior=ReprocessBehavior.NONE,
        )
        made = session.execute(
            select(DagRun.partition_key, DagRun.run_id)
            .where(DagRun.dag_id == dag_id, DagRun.backfill_id == backfill.id)
            .order_by(DagRun.partition_key)
        ).all()
        missing.add(("clickstream", date(2025, 11, 12)))
        for key, run_id in made:
            run(f"backfill {feed} {key}", dag_id, run_id)

    october = {"first_day": "2025-10-01", "last_day": "2025-10-31"}
    for feed in ("orders", "clickstream", "channel_spend"):
        run(f"range {feed}", f"ingest_{feed}", by_hand(f"ingest_{feed}", conf=october))
    run("key by hand", "ingest_orders", by_hand("ingest_orders", partition_key="2025-09-01"))
    past = datetime(2025, 9, 2, tzinfo=UTC)
    run("date by hand", "ingest_orders", by_hand("ingest_orders", logical_date=past))
    run("nothing by hand", "ingest_orders", by_hand("ingest_orders"))
    backwards = {"first_day": "2025-10-02", "last_day": "2025-10-01"}
    run("backwards range", "ingest_orders", by_hand("ingest_orders", conf=backwards))

    latest = found["scheduled"]["key"]
    missing.add(("clickstream", date.fromisoformat(latest)))
    run("late feed", "ingest_clickstream", scheduled("ingest_clickstream"))

    registry = Path(answer).with_name("sources.yml")
    registry.write_text("sources: {inbox: {reader: inbox, enabled: true, feeds: [orders]}}")
    os.environ["MALLARD_SOURCES"] = str(registry)
    run("not declared", "ingest_channel_spend", scheduled("ingest_channel_spend"))

    scheduler = SchedulerJobRunner(job=Job())
    scheduler._create_dagruns_for_partitioned_asset_dags(session=session)
    session.commit()
    followed = session.scalars(select(DagRun).where(DagRun.dag_id == "warehouse")).all()
    found["warehouse"] = sorted(str(dag_run.partition_key) for dag_run in followed)
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[-1])
