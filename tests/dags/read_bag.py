"""Parses the DAG files as Airflow does, with the network blocked, and writes what it found (see test_bag.py)."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def _no_network(*_arguments: Any, **_options: Any) -> NoReturn:
    raise OSError("a DAG file reached for the network while it was parsed")


def main(answer: str) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    socket.socket.connect = _no_network  # type: ignore[method-assign]
    socket.getaddrinfo = _no_network
    before = set(sys.modules)
    bag = DagBag()
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    dags = {
        dag_id: {
            "owner": dag.owner,
            "tags": sorted(dag.tags),
            "doc": dag.doc_md,
            "module_doc": sys.modules[dag.get_task(dag.task_ids[0]).python_callable.__module__].__doc__,
            "description": dag.description,
            "file": dag.fileloc,
            "catchup": dag.catchup,
            "timeout": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
            "max_active_runs": dag.max_active_runs,
            "params": dict(dag.params),
            "schedule": DagSerialization.to_dict(dag)["dag"]["timetable"],
            "tasks": {
                task.task_id: {
                    "retries": task.retries,
                    "delay": task.retry_delay.total_seconds(),
                    "policy": task.retry_policy.serialize() if task.retry_policy else None,
                    "timeout": task.execution_timeout.total_seconds() if task.execution_timeout else None,
                    "alerts": [callback.__name__ for callback in _as_list(task.on_failure_callback)],
                    "outlets": [asset.name for asset in task.outlets],
                    "downstream": sorted(task.downstream_task_ids),
                    "doc": task.python_callable.__doc__,
                }
                for task in dag.tasks
            },
        }
        for dag_id, dag in bag.dags.items()
    }
    # Imported last: what parsing loads is counted above.
    from mallard.airflow.policy import Tag

    with Path(answer).open("w") as file:
        json.dump(
            {
                "dags": dags,
                "errors": bag.import_errors,
                "tag_meanings": {tag.value: tag.meaning for tag in Tag},
                "loaded": sorted(loaded),
                "seconds": {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats},
            },
            file,
        )


def _as_list(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found] if found else []


if __name__ == "__main__":
    main(sys.argv[-1])
