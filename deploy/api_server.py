"""Starts Airflow's API server (the UI) in a container, with the password of ``.env``.

Airflow's simple auth manager reads its passwords from a file and would make one up that only the log knows.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def write_passwords(path: Path, password: str) -> None:
    """The password file of the one user, readable by this process's user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps({"admin": password}) + "\n")


def main() -> None:
    password = os.environ.pop("AIRFLOW_ADMIN_PASSWORD", "")
    if not password:
        sys.exit("AIRFLOW_ADMIN_PASSWORD is not set: run make env, which writes .env")

    from airflow.configuration import conf

    write_passwords(Path(conf.get("core", "simple_auth_manager_passwords_file")), password)
    os.execvp("airflow", ["airflow", "api-server"])  # noqa: S606 - there is no shell to start it in


if __name__ == "__main__":
    main()
