"""``airflow standalone`` as ``mallard up`` runs it: the same parts, nothing listening beyond loopback.

Run as ``python -m mallard.airflow.parts`` with the environment of ``mallard.airflow.environment``.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from airflow.cli.commands import standalone_command

if TYPE_CHECKING:
    from types import FrameType

_WITH_LOG_SERVER = {"scheduler", "triggerer"}


class _Part(standalone_command.SubCommand):  # type: ignore[misc]  # Airflow is not typed here
    """A part of Airflow without its log server.

    The scheduler and the triggerer serve their log files on all interfaces, and no setting says otherwise. On one
    machine nobody needs that: the UI reads the same files.
    """

    def __init__(self, parent: Any, name: str, command: list[str], env: dict[str, str]) -> None:
        extra = ["--skip-serve-logs"] if name in _WITH_LOG_SERVER else []
        super().__init__(parent, name, [*command, *extra], env)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Airflow stops its parts on Ctrl-C only; a terminated parent would leave them behind.
    raise KeyboardInterrupt


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    standalone_command.SubCommand = _Part
    standalone_command.StandaloneCommand().run()


if __name__ == "__main__":
    main()
