"""The environment of a local Airflow: all of it under ``MALLARD_HOME/airflow``, on loopback, phoning nobody.

``make up``, the demo and the tests start Airflow with the same environment, so that what one of them shows holds
for the others. Imports nothing of Airflow: Airflow reads its environment when it is first imported.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from pathlib import Path

from mallard.settings import CHECKOUT, Settings, from_environment

HOST = "127.0.0.1"
DEFAULT_PORT = 8080
USER = "admin"


def airflow_home(settings: Settings) -> Path:
    return settings.home / "airflow"


def port() -> int:
    """The port of the UI: ``MALLARD_AIRFLOW_PORT``, 8080 by default."""
    return int(os.environ.get("MALLARD_AIRFLOW_PORT") or DEFAULT_PORT)


def url() -> str:
    return f"http://{HOST}:{port()}"


def environment(settings: Settings) -> dict[str, str]:
    """The variables with which every process of a local Airflow runs, this process's own included.

    Makes the folder and the secrets on first use. Values that somebody set on purpose (``AIRFLOW__...`` in the
    environment) are kept, except those that would open a door or mix two Airflows up.
    """
    home = airflow_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    # The metadata database, Airflow's own configuration file and the logs: nobody else's business.
    home.chmod(0o700)
    kept = _secrets(home)
    ours = {
        "MALLARD_HOME": str(settings.home),
        "MALLARD_SOURCES": str(settings.sources_file),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(home)),
        "AIRFLOW__CORE__FERNET_KEY": kept["fernet_key"],
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port()),
        "AIRFLOW__API__BASE_URL": url(),
        "AIRFLOW__API__SECRET_KEY": kept["api_secret"],
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt_secret"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url()}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # Airflow starts its parts by name: they must be this environment's, not another's that the shell knows.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }
    defaults = {
        # Every worker process costs memory: 32 by default, 4 are plenty for four DAGs.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__API__WORKERS": "1",
        # All parts start at once: a task must not fail because the API server is not there for the first minute.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "10",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "15",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    }
    # A zone or currency that nobody set stays unset: then it follows the shop's entry in the source registry.
    if settings.time_zone != Settings.time_zone:
        ours["MALLARD_TIME_ZONE"] = settings.time_zone
    if settings.currency != Settings.currency:
        ours["MALLARD_CURRENCY"] = settings.currency
    return {**os.environ, **{name: os.environ.get(name, text) for name, text in defaults.items()}, **ours}


def password(settings: Settings) -> str:
    """The generated password of the user ``admin``; made on first use."""
    home = airflow_home(settings)
    _secrets(home)
    known: dict[str, str] = json.loads(_passwords_file(home).read_text())
    return known[USER]


def _passwords_file(home: Path) -> Path:
    return home / "passwords.json"


def _secrets(home: Path) -> dict[str, str]:
    """Keys that all parts of one Airflow must share, and the password file.

    Each is made once and readable by the owner alone.
    """
    home.mkdir(parents=True, exist_ok=True)
    passwords = _passwords_file(home)
    if not passwords.exists():
        _write_private(passwords, {USER: secrets.token_urlsafe(18)})
    keys = home / "secrets.json"
    if not keys.exists():
        # A Fernet key is 32 bytes in URL-safe base64, padding included.
        fernet = secrets.token_urlsafe(32) + "="
        _write_private(
            keys,
            {"fernet_key": fernet, "api_secret": secrets.token_hex(32), "jwt_secret": secrets.token_hex(64)},
        )
    found: dict[str, str] = json.loads(keys.read_text())
    return found


def _write_private(path: Path, content: dict[str, str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.write("\n")


def main() -> None:
    """Print the variables as shell commands: ``eval "$(python -m mallard.airflow.environment)"``."""
    variables = environment(from_environment())
    changed = {name: text for name, text in variables.items() if os.environ.get(name) != text}
    sys.stdout.writelines(f"export {name}={shlex.quote(text)}\n" for name, text in sorted(changed.items()))


if __name__ == "__main__":
    main()
