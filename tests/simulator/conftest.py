"""Simulated shops that the tests of this folder share, and a reader of their files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from simulator.faults import FAULTS
from simulator.shop import SimulationReport, simulate

from .reading import read

FESTIVE = date(2025, 11, 2)
"""Double 11 and Black Friday lie in the weeks after it."""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SimulationReport]:
    """A shop by its arguments, simulated once."""
    made: dict[str, SimulationReport] = {}

    def make(**arguments) -> SimulationReport:
        arguments = {"days": 8, "users": 250, "seed": 7, "format": "parquet"} | arguments
        key = repr(sorted(arguments.items()))
        if key not in made:
            made[key] = simulate(tmp_path_factory.mktemp("shop") / "inbox", **arguments)
        return made[key]

    return make


@pytest.fixture(scope="session")
def plain(shop) -> SimulationReport:
    """Five weeks without any fault, in a mixed inbox."""
    return shop(days=35, users=700, seed=1, format="mixed", first_day=FESTIVE)


@pytest.fixture(scope="session")
def ugly(shop) -> SimulationReport:
    """The same with nearly every fault and two currencies."""
    without = {"no_optional_tables", "no_session_ids"}
    return shop(
        days=35,
        users=700,
        seed=1,
        format="mixed",
        first_day=FESTIVE,
        faults=sorted(set(FAULTS) - without),
        currencies=("USD", "EUR"),
    )


@pytest.fixture(scope="session")
def plain_files(plain):
    return read(plain.out)


@pytest.fixture(scope="session")
def ugly_files(ugly):
    return read(ugly.out)


@pytest.fixture(params=["plain_files", "ugly_files"])
def files(request):
    """The files of each of the two shops."""
    return request.getfixturevalue(request.param)
