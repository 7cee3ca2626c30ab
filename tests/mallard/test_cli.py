"""What a person sees who gives the command line something wrong: what, where, how to mend it, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mallard.errors import SettingsError
from mallard.settings import Settings
from mallard.show import not_landed
from publishing.lock import writer_lock


def mallard(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "mallard.cli", *arguments],
        env={**os.environ, "MALLARD_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tell(ran: subprocess.CompletedProcess[str]) -> str:
    """What it said, on one line; never a traceback."""
    assert "Traceback" not in ran.stderr + ran.stdout
    return " ".join((ran.stderr + ran.stdout).split())


def put(inbox: Path, path: str, text: str) -> None:
    file = inbox / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


ORDERS = "order_id,ordered_at,status,currency\n1,2025-11-01T10:00:00Z,placed,USD\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "words"),
    [
        (["--from", "11/02/2025"], {}, 2, ["--from", "YYYY-MM-DD", "11/02/2025"]),
        (["--from", "2025-11-03", "--to", "2025-11-01"], {}, 2, ["--from is after --to"]),
        (["--source", "shopfy"], {}, 2, ["shopfy", "inbox"]),
        ([], {"MALLARD_TIME_ZONE": "Europe/Londn"}, 2, ["Europe/Londn", "MALLARD_TIME_ZONE"]),
        ([], {"MALLARD_CURRENCY": "dollar"}, 2, ["dollar", "MALLARD_CURRENCY"]),
        (["--from", "2025-12-24", "--to", "2025-12-24"], {}, 6, ["2025-12-24", "2025-11-01"]),
    ],
)
def test_wrong_words_are_explained(tmp_path, arguments, variables, code, words) -> None:
    put(tmp_path / "inbox", "orders/orders/2025-11-01.csv", ORDERS)
    ran = mallard(tmp_path / "home", "load", "--inbox", str(tmp_path / "inbox"), *arguments, **variables)
    assert ran.returncode == code
    for word in words:
        assert word in tell(ran)


@pytest.mark.parametrize(
    ("path", "text", "code", "words"),
    [
        ("orders/ordrs/2025-11-01.csv", ORDERS, 3, ["ordrs", "orders"]),
        ("orders/orders/yesterday.csv", ORDERS, 3, ["yesterday"]),
        ("orders/orders/2025-11-02.csv", "order_id,ordered_at,currency\n1,2025-11-02,USD\n", 3, ["status"]),
        ("orders/orders/2025-11-02.csv", ORDERS.splitlines()[0] + "\n", 3, ["2025-11-02.csv"]),
        ("orders/orders/2025-11-02.parquet", "no parquet", 3, ["2025-11-02.parquet"]),
        (
            "orders/orders/2025-11-02.csv",
            ORDERS + "2,soon,placed,USD\n",
            3,
            ["ordered_at", "soon", "2025-11-02.csv"],
        ),
    ],
)
def test_a_bad_delivery_is_refused_whole(tmp_path, path, text, code, words) -> None:
    put(tmp_path / "inbox", path, text)
    ran = mallard(tmp_path / "home", "load", "--inbox", str(tmp_path / "inbox"))
    assert ran.returncode == code
    for word in words:
        assert word in tell(ran)
    assert not list((tmp_path / "home").rglob("2025-11-02*.parquet"))
    assert not (tmp_path / "home" / "published" / "current.duckdb").exists()


def test_an_empty_inbox_is_told(tmp_path) -> None:
    (tmp_path / "inbox").mkdir()
    ran = mallard(tmp_path / "home", "load", "--inbox", str(tmp_path / "inbox"))
    assert ran.returncode == 6
    assert str(tmp_path / "inbox") in tell(ran)


def test_a_second_load_is_told_who_is_first(tmp_path) -> None:
    settings = Settings(home=tmp_path / "home")
    with writer_lock(settings, what="a load"):
        ran = mallard(settings.home, "load", "--inbox", str(tmp_path))
    assert ran.returncode == 5
    assert str(os.getpid()) in tell(ran)


@pytest.mark.parametrize("arguments", [["query", "select 1"], ["rollback"]])
def test_nothing_published_is_no_traceback(tmp_path, arguments) -> None:
    ran = mallard(tmp_path / "home", *arguments)
    assert ran.returncode == 6
    assert "publish" in tell(ran)


@pytest.mark.parametrize("arguments", [["status"], ["publishes"], ["publishes", "--json"]])
def test_an_empty_home_can_be_looked_at(tmp_path, arguments) -> None:
    ran = mallard(tmp_path / "home", *arguments)
    assert ran.returncode == 0
    assert tell(ran)


def test_deliveries_that_came_after_any_run_looked_are_told(tmp_path) -> None:
    settings = Settings(home=tmp_path)
    for day in ("2025-11-01", "2025-11-02"):
        path = tmp_path / "inbox/orders/orders" / f"{day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ORDERS)
    (tmp_path / "inbox/orders/orders/notes.txt").write_text("no delivery")
    assert [one.name for one in not_landed(settings, [])] == [
        "orders/orders of 2025-11-01",
        "orders/orders of 2025-11-02",
    ]


@pytest.mark.parametrize(
    ("place", "words"), [("", ["MALLARD_HOME", "no folder"]), ("x", ["Not a directory"])]
)
def test_a_home_that_cannot_be_is_told(tmp_path, place, words) -> None:
    put(tmp_path / "inbox", "orders/orders/2025-11-01.csv", ORDERS)
    (tmp_path / "file").touch()
    ran = mallard(tmp_path / "file" / place, "load", "--inbox", str(tmp_path / "inbox"))
    assert ran.returncode in {1, 2}
    for word in [str(tmp_path / "file"), *words]:
        assert word in tell(ran)


def test_a_user_without_a_name_is_asked_for_one(tmp_path, monkeypatch) -> None:
    from mallard.cli import publish

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setenv("MALLARD_HOME", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", unknown)
    with pytest.raises(SettingsError, match="Who decides") as caught:
        publish(accept=["deliveries.volume_is_there"], because="a bank holiday", by="")
    assert "--by" in caught.value.mend


def test_a_misspelt_model_is_told_with_the_nearest(tmp_path) -> None:
    assert "to mend: mallard try gmv_daily" in tell(mallard(tmp_path, "try", "gmv_dayly"))
    assert "to mend: mallard try customer_rfm" in tell(mallard(tmp_path, "try", "customers_rfm"))


def test_help_loads_nothing_heavy(tmp_path) -> None:
    code = (
        "import sys, mallard.cli\n"
        "heavy = {'duckdb', 'dbt', 'pandas', 'airflow', 'great_expectations', 'numpy', 'pyarrow'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
