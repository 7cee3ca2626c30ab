"""``mallard`` as a command, in a small warehouse, many times: a process that has everything at hand and forks.

The tests start one per session (``lab`` in conftest.py); each command is the real one, with its own environment,
exit code and output, and costs what the load itself costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mallard.settings import Settings
from tests.faults.dials import Dial, set_dial


@dataclass(frozen=True)
class Fault:
    """What happens where the dial says: ``fill`` the disk of ``path``, ``wait`` until it is there, or die."""

    dial: Dial
    act: str = "die"
    path: str = ""


@dataclass(frozen=True)
class Ran:
    """A command that has ended; ``text`` is all that it said, on one line."""

    code: int
    text: str


@dataclass
class Lab:
    """The test's side: a small checkout, a source, and the process that forks."""

    folder: Path
    outputs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        from tests.faults.small_warehouse import copy_checkout

        tree = copy_checkout(self.folder / "checkout", whole=False)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MALLARD_")
        } | {"PYTHONPATH": str(tree), "MALLARD_HASH_KEY": "lab", "COLUMNS": "200"}
        environment["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.lab", str(self.folder)],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "lab.log").open("w"),
            text=True,
        )
        assert self._hear() == "ready", (self.folder / "lab.log").read_text()[-3000:]

    @property
    def inbox(self) -> Path:
        """A simulated inbox of three days; not to be changed."""
        return self.folder / "inbox"

    @property
    def home(self) -> Path:
        """A home in which the inbox is published; not to be changed."""
        return self.folder / "home"

    def start(self, home: Path, *arguments: str, fault: Fault | None = None, **variables: str) -> int:
        """Begin a command."""
        output = self.folder / f"output-{len(self.outputs)}.txt"
        self.outputs.append(output)
        self._say(
            {
                "arguments": arguments,
                "variables": {"MALLARD_HOME": str(home), **variables},
                "fault": asdict(fault) if fault else None,
                "output": str(output),
            }
        )
        return int(self._hear())

    def wait(self, pid: int) -> Ran:
        """The end of a command; ``text`` is what the newest command has said."""
        return self._end(pid, self.outputs[-1])

    def run(self, home: Path, *arguments: str, fault: Fault | None = None, **variables: str) -> Ran:
        """A command from its beginning to its end; never a traceback."""
        ran = self.wait(self.start(home, *arguments, fault=fault, **variables))
        assert "Traceback" not in ran.text, ran.text[:300] + " … " + ran.text[-700:]
        return ran

    def _end(self, pid: int, output: Path) -> Ran:
        self._say({"wait": pid})
        return Ran(int(self._hear()), " ".join(output.read_text().split()))

    def _say(self, command: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def fill_disk(path: Path, leave: int = 0) -> None:
    """Write a file until its disk has no room left but for so many bytes."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            free = os.statvfs(path.parent)
            room = free.f_bavail * free.f_frsize - leave
            if room <= 0 or not file.write(bytes(min(room, 1 << 20))):
                break


def _set_fault(said: dict[str, Any]) -> None:
    dial, path = Dial(**said["dial"]), Path(said["path"])

    def wait() -> None:
        path.with_suffix(".reached").touch()
        deadline = time.monotonic() + 300
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    set_dial(dial, {"die": None, "fill": lambda: fill_disk(path), "wait": wait}[said["act"]])


def _command(said: dict[str, Any]) -> None:
    os.environ.update(said["variables"])
    time.tzset()
    sys.argv = ["mallard", *said["arguments"]]
    if said["fault"]:
        _set_fault(said["fault"])
    from mallard.cli import main

    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


def serve(folder: Path) -> None:
    """Publish once, then fork for every command that comes on standard input."""
    import random

    from tests.faults.rounds import Rounds, fork, join

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    Rounds(folder, random.Random(1)).begin()
    assert Settings(home=folder / "home").published.is_dir()
    answers.write("ready\n")
    for line in sys.stdin:
        said = json.loads(line)
        if "wait" in said:
            answers.write(f"{join(said['wait'])}\n")
        else:
            answers.write(f"{fork(lambda said=said: _command(said), Path(said['output']))}\n")


def make_lab() -> Lab:
    """A lab in a folder of its own below the temporary ones."""
    return Lab(Path(tempfile.mkdtemp(prefix="mallard-lab-")))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
