"""Progress that people see in a terminal and that Airflow's log keeps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Tick = Callable[[str], None]


class Progress(Protocol):
    """Where long work reports to: ``with progress.stage("Landing", total=3) as tick: tick("orders")``."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Tick]: ...

    def say(self, text: str) -> None: ...


class LogProgress:
    """Progress as log lines, one per step: for Airflow tasks and for tests."""

    def __init__(self) -> None:
        self._log = logging.getLogger("mallard")

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Tick]:
        began = time.monotonic()
        self._log.info("%s: begins%s", name, f" ({total} steps)" if total else "")
        yield lambda text: self._log.info("%s: %s", name, text)
        self._log.info("%s: done in %.1f s", name, time.monotonic() - began)

    def say(self, text: str) -> None:
        self._log.info("%s", text)


class TerminalProgress:
    """Progress as a live bar where there is a terminal, as plain lines where there is none."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Tick]:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        began = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(f"{name} …", highlight=False)
            yield lambda _text: None
            self.console.print(f"{name}: {time.monotonic() - began:.1f} s", highlight=False)
            return
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}"),
        ]
        with Bar(*columns, TimeElapsedColumn(), console=self.console) as bar:
            task = bar.add_task(name, total=total, now="")

            def tick(text: str) -> None:
                bar.update(task, advance=1, now=text)

            yield tick
            bar.update(task, total=total or 1, completed=total or 1, now="")

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)
