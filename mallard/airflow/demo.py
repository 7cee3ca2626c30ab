"""The real DAGs over a range of days, in one process: one start of Airflow instead of one per run.

Airflow's own ``DAG.test`` runs them: the DAG files, their parameters, their tasks, callbacks and asset events as in
production, recorded in the metadata database that ``mallard up`` shows. What it leaves out is the waiting: there
is no scheduler, so the four runs follow each other at once, and nothing is tried again.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

from mallard.airflow.environment import airflow_home, environment
from mallard.errors import MallardError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from mallard.progress import Progress, Tick
    from mallard.settings import Settings

INGEST_DAGS = ("ingest_orders", "ingest_clickstream", "ingest_channel_spend")
ALL_DAGS = (*INGEST_DAGS, "warehouse")


def run_dags(settings: Settings, first_day: date, last_day: date, inbox: Path, progress: Progress) -> None:
    """Run the three ingest DAGs for the delivery days ``first_day`` to ``last_day``, then the warehouse DAG.

    The inbox source is read from ``inbox``.

    Raises:
        MallardError: a DAG run failed; the error says which task, why, and where its log is.
    """
    log_file = airflow_home(settings) / "logs" / "runs.log"
    # The variable by which a deployment says where its inbox lies.
    env = environment(settings) | {"MALLARD_INBOX_PATH": str(inbox)}
    log_file.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    with log_file.open("w") as log, os.fdopen(read_end) as pipe:
        process = subprocess.Popen(
            [sys.executable, "-m", "mallard.airflow.demo", str(write_end), str(first_day), str(last_day)],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
        )
        os.close(write_end)
        try:
            events = _read(pipe)
            with progress.stage("Starting Airflow") as tick:
                _follow(events, "airflow", tick, log_file)
            for dag_id in ALL_DAGS:
                with progress.stage(f"DAG {dag_id}") as tick:
                    _follow(events, dag_id, tick, log_file)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()


def _read(pipe: IO[str]) -> Iterator[dict[str, str]]:
    for line in pipe:
        yield json.loads(line)


def _follow(events: Iterator[dict[str, str]], step: str, tick: Tick, log_file: Path) -> None:
    """Show what one step says until it is over.

    Raises:
        MallardError: it failed, or the process ended before it was over.
    """
    alert = ""
    for event in events:
        if "alert" in event:
            alert = event["alert"]
        elif "text" in event:
            tick(event["text"])
        elif event.get("over") == step:
            if event["state"] == "success":
                return
            break
    raise MallardError(
        f"Airflow's run of {step} did not succeed.",
        found=alert or "the process ended before the run was over",
        where=str(log_file),
        mend="read the end of that log; mallard load does the same steps without Airflow",
    )


class _ToPipe(logging.Handler):
    """Passes what the tasks log as progress, and their alerts, on to the process that shows them."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__(logging.INFO)
        self.pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        kind = "alert" if record.name == "mallard.alerts" else "text"
        self.tell({kind: record.getMessage()})

    def tell(self, event: dict[str, Any]) -> None:
        self.pipe.write(json.dumps(event) + "\n")
        self.pipe.flush()


def _run_all(descriptor: int, first_day: str, last_day: str) -> int:
    """The child's work: its environment is the local Airflow's, so that Airflow may be imported."""
    with os.fdopen(descriptor, "w") as pipe:
        handler = _ToPipe(pipe)
        handler.tell({"text": "importing Airflow"})

        from airflow.dag_processing.dagbag import DagBag
        from airflow.utils import db

        handler.tell({"text": "preparing its database"})
        db.initdb()
        handler.tell({"text": "reading the DAG files"})
        bag = DagBag()
        logging.getLogger("mallard").addHandler(handler)
        logging.getLogger("mallard").setLevel(logging.INFO)
        handler.tell({"over": "airflow", "state": "failed" if bag.import_errors else "success"})

        for dag_id in ALL_DAGS:
            dag = bag.dags[dag_id]
            for task in dag.tasks:
                # Somebody sits in front of this: say at once what failed instead of waiting for a better time.
                task.retries = 0
            days = {"first_day": first_day, "last_day": last_day}
            run = dag.test(run_conf=days if dag_id in INGEST_DAGS else None)
            handler.tell({"over": dag_id, "state": str(getattr(run.state, "value", run.state))})
            if run.state != "success":
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(_run_all(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
