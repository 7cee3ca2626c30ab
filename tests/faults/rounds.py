"""Rounds of chaos: a load is killed, the next one must mend it, and a reader polls all the while.

Each load runs in a fork of this process, which has loaded once and so has imported everything and parsed the dbt
project: a round costs seconds, and SIGKILL leaves nothing for the load to tidy up with.
"""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from mallard.errors import MallardError
from mallard.settings import Settings
from publishing import records
from publishing.versions import KEPT_VERSIONS, current_link, current_version
from tests.faults.dials import AT_RANDOM, Dial, die_later, make_plan, set_dial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_DAY = date(2025, 11, 1)
DAYS = 3
USERS = 40
# What the reader asks, in one connection: whole tables, of all three feeds.
POLLED = (
    "marts.retention",
    "core.fct_sessions",
    "core.fct_channel_spend",
    "core.dim_product",
)
MOST_SECONDS = 600


@dataclass
class Tally:
    """What happened in all rounds."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    # Dials that the load never came to: then the round has tried nothing.
    missed: list[str] = field(default_factory=list)
    answers: int = 0
    opens: int = 0
    versions: int = 0
    torn: list[str] = field(default_factory=list)
    reader_errors: list[str] = field(default_factory=list)
    failed_recoveries: list[str] = field(default_factory=list)
    recovery_seconds: list[float] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.missed or self.torn or self.reader_errors or self.failed_recoveries)


@dataclass(frozen=True)
class State:
    """Which of two contents the last day's deliveries have: of spend and products, and of events."""

    restated: bool = False
    fewer_events: bool = False


class Source:
    """A simulated shop's inbox, whose last day is delivered again and again with other contents."""

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.last = f"{FIRST_DAY + timedelta(days=DAYS - 1)}.csv"
        self.first_contents: dict[str, str] = {}

    def simulate(self) -> None:
        """Write the feeds, in a process of its own: this one must not start the threads of its libraries."""

        def run() -> None:
            from simulator.shop import simulate

            simulate(
                self.inbox,
                days=DAYS,
                users=USERS,
                seed=3,
                first_day=FIRST_DAY,
                faults=[],
                progress=None,
                format="csv",
            )

        code = join(fork(run, self.inbox.parent / "simulate.log"))
        if code:
            raise RuntimeError((self.inbox.parent / "simulate.log").read_text())

    def deliver(self, state: State) -> None:
        """Give the last day the content of a state; what has it already is not touched."""
        self._rewrite(
            "channel_spend/channel_spend", "spend", lambda old: f"{2 * float(old):.4f}", active=state.restated
        )
        self._rewrite("orders/products", "product_name", lambda old: f"{old} (new)", active=state.restated)
        self._rewrite(
            "clickstream/events", "page_url", lambda old: f"{old}?again", active=state.fewer_events, every=5
        )

    def _rewrite(
        self, table: str, column: str, change: Callable[[str], str], *, active: bool, every: int = 0
    ) -> None:
        """Change a column in all rows, or, with ``every``, leave out each so-manieth row."""
        path = self.inbox / table / self.last
        before = self.first_contents.setdefault(table, path.read_text())
        after = before
        if active:
            rows = list(csv.reader(before.splitlines()))
            number = rows[0].index(column)
            kept = [row for n, row in enumerate(rows) if not every or n == 0 or n % every]
            for row in kept[1:]:
                row[number] = change(row[number])
            draft = path.with_name(f"_{path.name}")
            with draft.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(kept)
            after = draft.read_text()
            draft.unlink()
        if path.read_text() != after:
            draft = path.with_name(f"_{path.name}")
            draft.write_text(after)
            draft.replace(path)


def on_node() -> None:
    """A node of dbt has ended: a place for a dial."""


class DialProgress:
    """Nobody looks; each node of dbt is a place to be killed at."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
        is_dbt = name == "Computing the warehouse"
        # Looked up at each call: a dial replaces it.
        yield lambda text: globals()["on_node"]() if is_dbt else None

    def say(self, text: str) -> None:
        """Nobody listens."""


def fork(work: Callable[[], Any], log: Path) -> int:
    """Do something in a fork of this process; what it says and how it fails goes to ``log``."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.alarm(MOST_SECONDS)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def join(child: int) -> int:
    """Wait for a fork; its exit code, or minus the number of the signal that killed it."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


class Rounds:
    """A home that lives through all rounds, and what is known of it."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.folder = folder
        self.dice = dice
        self.settings = Settings(home=folder / "home")
        self.source = Source(folder)
        self.state = State()
        self.references: dict[State, dict[str, str]] = {}
        # Which state each version may show.
        self.states: dict[int, State] = {}
        self.tally = Tally()
        self.seconds = 0.0

    def begin(self) -> None:
        """Make the source, and publish the first version, in this very process: its forks find all at hand."""
        self.source.simulate()
        began = time.monotonic()
        self.source.deliver(self.state)
        self._load(self.settings)
        self.seconds = time.monotonic() - began
        self.references[self.state] = ask_everything(self.settings)
        self.states[self._live()] = self.state

    def run(self, rounds: int, tell: Callable[[str], None]) -> Tally:
        """Kill and mend so many times."""
        stop, seen = self.folder / "stop", self.folder / "seen.txt"
        reader = fork(lambda: poll(current_link(self.settings), stop, seen), self.folder / "reader.log")
        try:
            for dial in make_plan(rounds, self.dice):
                self._round(dial)
                tell(f"{dial.step}: {dial}" if dial.module else f"{dial.step} {dial.delay:.0%}")
        except KeyboardInterrupt:
            # Ctrl-C reaches the forks, too: what the round that it met has done is not counted.
            self.tally.rounds -= 1
        finally:
            stop.touch()
            code = join(reader)
        if code:
            self.tally.reader_errors.append((self.folder / "reader.log").read_text() or f"ended with {code}")
        self.judge(seen)
        return self.tally

    def _round(self, dial: Dial) -> None:
        tally = self.tally
        tally.rounds += 1
        self.state = self._next_state()
        self.source.deliver(self.state)
        if self.state not in self.references:
            self.references[self.state] = self._load_clean()
        # Two loads publish at most twice, and a number that a killed one has used up is not used again.
        for version in range(self._live() + 1, self._live() + 4):
            self.states[version] = self.state
        where = f"round {tally.rounds}, {dial.step}, {dial}"
        code = join(fork(lambda: self._die(dial), self.folder / "killed.log"))
        if code == -signal.SIGKILL:
            tally.kills[dial.step] += 1
        elif code == 0 and dial.step == AT_RANDOM:
            tally.kills["at random, but the load had ended"] += 1
        elif code == 0:
            tally.missed.append(where)
        else:
            tally.failed_recoveries.append(f"{where}: failed with {code}\n{self._log('killed')}")
        killed = self._live()
        began = time.monotonic()
        code = join(fork(lambda: self._load(self.settings), self.folder / "next.log"))
        self.seconds = time.monotonic() - began
        tally.recovery_seconds.append(self.seconds)
        mended = self._live()
        problems = [f"the next load failed with {code}\n{self._log('next')}"] if code else []
        if not problems:
            problems += self._compare()
        if mended != killed:
            # Only a publish removes what was replaced; a load with nothing to do leaves it to the next.
            problems += self._leftovers()
        tally.failed_recoveries += [f"{where}: {problem}" for problem in problems]

    def _next_state(self) -> State:
        """Spend and products are restated each time; events, for which all is computed anew, at times."""
        flips = self.tally.rounds % 10 == 0
        return State(not self.state.restated, self.state.fewer_events != flips)

    def _load(self, settings: Settings) -> None:
        from mallard import pipeline

        pipeline.load(settings, progress=DialProgress(), inbox=self.source.inbox)

    def _die(self, dial: Dial) -> None:
        if dial.step == AT_RANDOM:
            die_later(dial.delay * self.seconds)
        else:
            set_dial(dial)
        self._load(self.settings)

    def _load_clean(self) -> dict[str, str]:
        """What a clean run, in one go in a home of its own, publishes of the source as it is now."""
        settings = Settings(home=self.folder / "clean")
        code = join(fork(lambda: self._load(settings), self.folder / "clean.log"))
        if code:
            raise RuntimeError(self._log("clean"))
        found = ask_everything(settings)
        shutil.rmtree(settings.home)
        return found

    def _compare(self) -> list[str]:
        expected = self.references[self.state]
        try:
            found = ask_everything(self.settings)
        except duckdb.Error as error:
            return [f"what is published cannot be read: {error}"]
        return [
            f"{table} is {found.get(table)}, in a clean run {expected.get(table)}"
            for table in sorted(expected.keys() | found.keys())
            if expected.get(table) != found.get(table)
        ]

    def _leftovers(self) -> list[str]:
        """What a load that published must have tidied up after the one that was killed."""
        from ingestion.landing import read_manifests

        settings = self.settings
        named = {manifest.data_path for manifest in read_manifests(settings)}
        found = [path for path in settings.landing.rglob("*.parquet") if path not in named]
        found += list(settings.home.rglob(".tmp-*"))
        found += list(settings.published.glob(".*"))
        found += [*settings.work.glob("landing-*"), *settings.work.glob("*.compact.*")]
        versions = sorted(settings.published.glob("warehouse-*"))
        if len(versions) > KEPT_VERSIONS:
            found += versions[:-KEPT_VERSIONS]
        told = [f"left behind: {path.relative_to(settings.home)}" for path in found]
        half = [one.version for one in records.read_records(settings) if one.state == "publishing"]
        return told + [f"left behind: the record of version {version} at publishing" for version in half]

    def _live(self) -> int:
        try:
            version = current_version(self.settings)
        except MallardError:
            # Told where the round compares; further rounds go by the last number that was given.
            return max(one.version for one in records.read_records(self.settings))
        return version.version if version else 0

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def judge(self, seen: Path) -> None:
        """Every answer is of one version, whole, and no version comes after a later one."""
        tally = self.tally
        expected = {
            version: digest({table: self.references[state][table] for table in POLLED})
            for version, state in self.states.items()
        }
        last, versions = 0, set()
        for line in seen.read_text().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "opens":
                tally.opens += int(rest)
                continue
            if kind == "error":
                tally.reader_errors.append(rest)
                continue
            tally.answers += 1
            version = int(kind)
            versions.add(version)
            if expected.get(version) != rest:
                tally.torn.append(f"version {version} is not what a clean run publishes")
            if version < last:
                tally.torn.append(f"version {version} after {last}")
            last = version
        tally.versions = len(versions)


def ask_everything(settings: Settings) -> dict[str, str]:
    """Rows and an order-free checksum of every published table of core and marts."""
    with duckdb.connect(str(current_link(settings)), read_only=True) as connection:
        names = connection.execute(
            """
            select schema_name || '.' || table_name from duckdb_tables()
            where schema_name in ('core', 'marts') order by all
            """
        ).fetchall()
        return {name: checksum(connection, name) for (name,) in names}


def checksum(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """How many rows a table has, and a hash of them that does not depend on their order."""
    rows = connection.execute(
        f"select count(*), coalesce(sum(hash(t)::hugeint), 0)::varchar from {table} as t"
    ).fetchall()
    return f"{rows[0][0]} {rows[0][1]}"


def digest(answers: dict[str, str]) -> str:
    """The answers of one poll in short."""
    return hashlib.sha256(repr(sorted(answers.items())).encode()).hexdigest()[:16]


def poll(link: Path, stop: Path, seen: Path) -> None:
    """Poll the published file as a BI tool does, a new connection each time, until ``stop`` is there."""
    signal.alarm(0)
    opens = 0
    with seen.open("w", buffering=1) as file:
        while not stop.exists():
            try:
                with duckdb.connect(str(link), read_only=True, config={"threads": 1}) as connection:
                    version = connection.execute("select version from ops.run").fetchall()[0][0]
                    answers = {table: checksum(connection, table) for table in POLLED}
                file.write(f"{version} {digest(answers)}\n")
                # A query takes long, opening does not: a link that is gone for a moment is found by opening often.
                for _ in range(100):
                    link.open("rb").close()
                    opens += 1
                    time.sleep(0.002)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is counted
                file.write(f"error {type(error).__name__}: {str(error).splitlines()[0]}\n")
                time.sleep(0.05)
        file.write(f"opens {opens}\n")
