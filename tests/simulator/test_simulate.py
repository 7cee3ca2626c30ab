"""What a caller relies on: the same bytes again, every table, clear refusals."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from mallard.errors import SettingsError
from simulator.faults import DEMO_FAULTS, FAULTS
from simulator.shop import simulate

from .reading import files_of, read

TABLES = (
    "orders", "order_items", "refunds", "customers", "products", "promotions", "merchants", "reviews", "inventory",
    "fx_rates", "events", "channel_spend",
)  # fmt: skip
EVERY_DAY = ("orders", "order_items", "events", "channel_spend", "customers", "products")


def fingerprints(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def test_the_same_arguments_give_the_same_bytes_on_a_machine_in_another_zone(tmp_path):
    arguments = {"days": 4, "users": 80, "seed": 11, "faults": sorted(FAULTS)}
    simulate(tmp_path / "here", **arguments)
    code = f"from pathlib import Path; from simulator.shop import simulate; simulate(Path('there'), **{arguments!r})"
    checkout = str(Path(__file__).resolve().parents[2])
    there = os.environ | {
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "PYTHONPATH": checkout,
        "PYTHONHASHSEED": "5",
    }
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=there, check=True)
    assert fingerprints(tmp_path / "here") == fingerprints(tmp_path / "there")


def test_another_seed_is_another_shop(shop):
    first, second = fingerprints(shop(seed=7).out), fingerprints(shop(seed=8).out)
    events = [name for name in first if name.startswith("clickstream")]
    assert events
    assert all(first[name] != second[name] for name in events)


def test_every_table_of_the_feeds_is_delivered(plain):
    assert {path.name for path in plain.out.glob("[!_]*/*")} == set(TABLES)


@pytest.mark.parametrize(
    "shape", [{"days": 10, "users": 150}, {"days": 3, "users": 2}, {"days": 1, "users": 1}]
)
def test_every_day_of_the_smallest_shop_has_every_table_that_a_load_needs(shop, shape):
    report = shop(**shape, faults=("late", "duplicates"))
    wanted = [(report.first_day + timedelta(day)).isoformat() for day in range(shape["days"])]
    for table in EVERY_DAY:
        assert [path.name.split(".")[0] for path in files_of(report.out, table)] == wanted, table


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_each_format_holds_the_same_rows(shop, ending):
    arguments = {"days": 3, "users": 60, "currencies": ("USD", "EUR")}
    one, other = read(shop(**arguments, format=ending).out), read(shop(**arguments, format="mixed").out)
    for table in TABLES:
        if not files_of(shop(**arguments, format="mixed").out, table):
            continue
        columns = [row[0] for row in one.execute(f"describe {table}").fetchall() if row[0] != "place"]
        query = f"select hash(columns(*)) from (select {', '.join(columns)} from {table}) order by all"
        assert one.execute(query).fetchall() == other.execute(query).fetchall(), table


def test_a_mixed_inbox_has_every_ending(plain):
    endings = {path.name.split(".", 1)[1] for path in plain.out.glob("[!_]*/*/*")}
    assert endings == {"csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"}


def test_the_summary_says_what_the_files_hold(ugly, ugly_files):
    summary = json.loads((ugly.out / "_truth" / "summary.json").read_text())
    assert summary == ugly.summary
    for table, rows in summary["rows"].items():
        assert ugly_files.execute(f"select count(*) from raw_{table}").fetchone() == (rows,), table
        bad = sum(summary["bad_rows"].get(table, {}).values())
        good = ugly_files.execute(f"select count(*) from {table}").fetchone()[0]
        if table not in ("channel_spend", "fx_rates"):
            assert good == rows - bad, table
    for table, copies in summary["duplicates"].items():
        names = [
            row[0] for row in ugly_files.execute(f"describe raw_{table}").fetchall() if row[0] != "place"
        ]
        found = f"select sum(copies - 1) from (select count(*) as copies from raw_{table} group by {', '.join(names)})"
        assert ugly_files.execute(found).fetchone() == (copies,), table
    assert ugly_files.execute("select count(distinct event_id) from events").fetchone() == (
        summary["events"],
    )
    assert ugly_files.execute("select count(distinct order_id) from orders").fetchone() == (
        summary["orders"],
    )


def test_an_unknown_fault_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(SettingsError) as refusal:
        simulate(tmp_path, days=1, users=1, seed=1, faults=["duplicate"])
    assert all(fault in refusal.value.expected for fault in FAULTS)
    assert refusal.value.mend == "--faults duplicates"


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0}, {"users": 0}, {"seed": -1}, {"format": "xml"}, {"currencies": ("dollars",)}, {"currencies": ()},
     {"time_zone": "Mars/Olympus"}, {"products": 0}, {"whole_tables_every": 0}],
)  # fmt: skip
def test_arguments_that_cannot_be_used_are_refused(tmp_path, wrong):
    with pytest.raises(SettingsError):
        simulate(tmp_path, **({"days": 1, "users": 5, "seed": 1} | wrong))
    assert not list(tmp_path.iterdir())


def test_a_folder_with_somebodys_deliveries_is_left_alone(tmp_path):
    mine = tmp_path / "orders" / "orders" / "2025-10-01.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("order_id\n")
    with pytest.raises(SettingsError, match="did not write"):
        simulate(tmp_path, days=1, users=5, seed=1)
    assert mine.read_text() == "order_id\n"


def test_an_earlier_simulation_is_replaced_as_a_whole(tmp_path):
    simulate(tmp_path, days=3, users=20, seed=1, format="csv")
    simulate(tmp_path, days=2, users=20, seed=1, format="parquet")
    assert {path.suffix for path in tmp_path.glob("[!_]*/*/*")} == {".parquet"}
    assert len(files_of(tmp_path, "events")) == 2


def test_the_demos_faults_exist():
    assert set(DEMO_FAULTS) <= set(FAULTS)


def test_whole_tables_can_come_less_often(shop):
    report = shop(days=8, whole_tables_every=3)
    days = [path.name.split(".")[0] for path in files_of(report.out, "customers")]
    assert days == [str(date(2025, 10, 1) + timedelta(day)) for day in (0, 3, 6, 7)]
