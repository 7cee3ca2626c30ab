"""Bad rows are mended and landed again: once, only where they belong, and equal to a clean delivery."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingestion import writer as writer_module
from ingestion.contract import read_contracts
from ingestion.landing import LandingReport, collect_garbage, land
from ingestion.mend_files import export_rows, import_rows
from ingestion.mend_notes import forget, mend_rows
from ingestion.quarantine import (
    Place,
    check,
    delivery_of,
    find_places,
    read_rows,
    summarise,
)
from mallard.errors import MallardError
from mallard.settings import Settings
from tests.ingestion.conftest import DAY, Inbox, customer, item, order, query

ORDERS = Place("orders", "orders", "inbox", DAY)
ITEMS = Place("orders", "order_items", "inbox", DAY)
CUSTOMERS = Place("orders", "customers", "inbox", DAY)
ENDINGS = ["csv", "jsonl.gz", "parquet"]


def replay(inbox: Inbox, place: Place) -> LandingReport:
    report = land(inbox.settings, [delivery_of(inbox.settings, place)], inbox.said)
    collect_garbage(inbox.settings)  # `landed` reads all files of a folder
    return report


def set_where(inbox: Inbox, place: Place, found: dict[str, str | None], **values: str | None) -> None:
    """Mend the bad rows that hold ``found``."""
    wanted = {
        (row.fingerprint, row.row): row.wanted | values
        for row in read_rows(inbox.settings, place)
        if all(row.values.get(name) == value for name, value in found.items())
    }
    assert wanted
    mend_rows(inbox.settings, place, wanted)  # type: ignore[arg-type]


def edit(inbox: Inbox, place: Place, path: Path, changes: dict[int, dict[str, str]]) -> Any:
    """Export the bad rows, change cells of some by their row number as a person would, and take the file."""
    path.unlink(missing_ok=True)
    export_rows(place, read_rows(inbox.settings, place), path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(changes.get(int(row["_row"]), {}))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return mend_rows(inbox.settings, place, import_rows(path))


def account(manifest: Any) -> tuple[int, int, int, int]:
    return (manifest.rows_in, manifest.rows_landed, manifest.rows_quarantined, manifest.rows_duplicate)


def clean(tmp_path: Path, table: str, rows: list[dict[str, Any]], ending: str, key: bytes) -> Inbox:
    """Another home with the same key, into which the clean rows are landed."""
    home = tmp_path / "clean"
    home.mkdir()
    (home / "hash_key").write_bytes(key)
    other = Inbox(tmp_path / "clean-inbox", Settings(home=home))
    other.root.mkdir()
    other.rows(table, rows, ending=ending)
    other.one()
    return other


@pytest.mark.parametrize("ending", ENDINGS)
def test_mended_rows_land_as_if_the_file_had_been_clean(inbox: Inbox, tmp_path: Path, ending: str) -> None:
    rows = [order(number) for number in range(400)]
    bad = [dict(row) for row in rows]
    bad[10] |= {"status": "shiped"}
    bad[20] |= {"ordered_at": "soon", "discount_amount": "1,50"}
    bad[30] |= {"currency": None}
    inbox.rows("orders/orders", bad, ending=ending)
    assert account(inbox.one()) == (400, 397, 3, 0)
    set_where(inbox, ORDERS, {"status": "shiped"}, status="paid")
    set_where(inbox, ORDERS, {"order_id": "0020"}, ordered_at="2025-11-11T08:00:20Z", discount_amount="1.50")
    set_where(inbox, ORDERS, {"order_id": "0030"}, currency="USD")
    assert check(inbox.settings, ORDERS).rows_bad == 0
    assert inbox.quarantine("orders/orders"), "a check writes nothing"

    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (400, 400, 0, 0)
    assert manifest.rows_mended == 3
    assert not inbox.quarantine("orders/orders")
    other = clean(tmp_path, "orders/orders", rows, ending, inbox.settings.hash_key)
    assert inbox.landed("orders/orders") == other.landed("orders/orders")
    # Twice is once, by a replay and by a load.
    again = replay(inbox, ORDERS)
    assert (again.landed, again.unchanged) == ([], [manifest])
    assert inbox.land().unchanged == [manifest]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_lines_that_could_not_be_split_are_given_whole(inbox: Inbox, tmp_path: Path, ending: str) -> None:
    rows = [item(number) for number in range(400)]
    path = inbox.rows("orders/order_items", rows, ending=ending)
    lines = path.read_text().splitlines()
    header = ending == "csv"
    for number in (10, 20):
        lines[number + header] = lines[number + header][: 12 if header else 30]
    lines.insert(15, "")
    path.write_text("\n".join(lines) + "\n")
    assert account(inbox.one()) == (400, 398, 2, 0)
    assert len([1 for (flag,) in inbox.landed("orders/order_items", "_is_incomplete") if flag]) > 0

    whole = {n + 1: {name: str(value) for name, value in rows[n].items()} for n in (10, 20)}
    edit(inbox, ITEMS, tmp_path / "bad.csv", {11: whole[11]})
    (manifest,) = replay(inbox, ITEMS).landed
    assert account(manifest) == (400, 399, 1, 0)
    assert inbox.quarantine("orders/order_items", "row_number") == [(21,)]
    edit(inbox, ITEMS, tmp_path / "bad.csv", {21: whole[21]})
    (manifest,) = replay(inbox, ITEMS).landed
    assert account(manifest) == (400, 400, 0, 0)
    other = clean(tmp_path, "orders/order_items", rows, ending, inbox.settings.hash_key)
    assert inbox.landed("orders/order_items") == other.landed("orders/order_items")


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_mend_that_is_bad_itself_stays_in_the_quarantine_and_can_be_mended_further(
    inbox: Inbox, is_gone: bool
) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped", "currency": "dollars"}
    path = inbox.rows("orders/orders", rows)
    inbox.one()
    set_where(inbox, ORDERS, {"order_id": "0010"}, status="send")
    checked = check(inbox.settings, ORDERS)
    assert checked.still_bad == ((11, 12, "status_not_allowed"),)
    replay(inbox, ORDERS)
    ((reason, line, found),) = inbox.quarantine("orders/orders", "reason, line, row_json ->> 'status'")
    assert (reason, line, found) == ("status_not_allowed", 12, "send")
    if is_gone:
        path.unlink()
    set_where(inbox, ORDERS, {"status": "send"}, status="shipped")
    replay(inbox, ORDERS)
    assert inbox.quarantine("orders/orders", "reason, line") == [("currency_malformed", 12)]
    set_where(inbox, ORDERS, {"currency": "dollars"}, currency="USD")
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (400, 400, 0, 0)
    assert inbox.landed("orders/orders", "status, currency")[10] == ("shipped", "USD")


def test_a_mend_follows_its_row_in_a_changed_file_and_never_takes_another(inbox: Inbox) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped"}
    inbox.rows("orders/orders", rows)
    inbox.one()
    set_where(inbox, ORDERS, {"status": "shiped"}, status="shipped")
    # The file comes again, its rows have moved, and it has a column more.
    moved = [order(900), *rows, order(901, device="web")]
    inbox.rows("orders/orders", moved)
    manifest = inbox.one()
    assert account(manifest) == (402, 402, 0, 0)
    collect_garbage(inbox.settings)
    assert inbox.landed("orders/orders", "order_id, status, _row")[11] == ("0010", "shipped", 12)
    # Another bad row stands where the mended one stood; the row itself came back sound.
    rows[10] = order(10, status="lost")
    inbox.rows("orders/orders", rows)
    manifest = inbox.one()
    assert account(manifest) == (400, 399, 1, 0)
    assert manifest.mends_unmatched == 1
    assert any("found no bad row that holds what it held" in text for text in inbox.said.texts)
    inbox.rows("orders/orders", [order(number) for number in range(400)])
    assert account(inbox.one()) == (400, 400, 0, 0)


def test_a_file_that_was_exported_before_does_not_take_other_mends_back(inbox: Inbox, tmp_path: Path) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped", "currency": "dollars"}
    rows[20] |= {"status": "shiped"}
    inbox.rows("orders/orders", rows)
    inbox.one()

    def pending() -> list[Any]:
        return [row.pending for row in read_rows(inbox.settings, ORDERS)]

    early, late = tmp_path / "early.csv", tmp_path / "late.csv"
    export_rows(ORDERS, read_rows(inbox.settings, ORDERS), early)
    set_where(inbox, ORDERS, {"status": "shiped"}, status="shipped")
    export_rows(ORDERS, read_rows(inbox.settings, ORDERS), late)
    early.write_text(early.read_text().replace("dollars", "USD"))
    mend_rows(inbox.settings, ORDERS, import_rows(early))
    assert pending() == [{"status": "shipped", "currency": "USD"}, {"status": "shipped"}]
    # Whoever was shown a mend and takes it back means it.
    lines = late.read_text().splitlines()
    lines[2] = lines[2].replace(",shipped,", ",shiped,")
    late.write_text("\n".join(lines))
    mend_rows(inbox.settings, ORDERS, import_rows(late))
    assert pending() == [{"status": "shipped", "currency": "USD"}, None]


def test_equal_bad_rows_are_one_row_and_its_copies(inbox: Inbox) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped"}
    inbox.rows("orders/orders", [*rows, rows[10]])
    assert account(inbox.one()) == (401, 399, 1, 1)
    set_where(inbox, ORDERS, {"status": "shiped"}, status="shipped")
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (401, 400, 0, 1)


def test_a_mended_row_that_is_in_the_file_already_is_a_duplicate(inbox: Inbox) -> None:
    rows = [order(number) for number in range(400)]
    inbox.rows("orders/orders", [*rows, order(5, status="payed")])
    assert account(inbox.one()) == (401, 400, 1, 0)
    set_where(inbox, ORDERS, {"status": "payed"}, status="paid")
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (401, 400, 0, 1)


def test_a_refused_delivery_is_mended_by_its_rows(inbox: Inbox) -> None:
    rows = [order(number, status="payed" if number % 2 else "paid") for number in range(200)]
    inbox.rows("orders/orders", rows)
    assert "mallard quarantine inspect orders/orders 2025-11-11" in inbox.refusal()
    (group,) = summarise(inbox.settings, find_places(inbox.settings))
    assert (group.state, group.rows, group.example.found) == ("refused", 100, "payed")
    assert not inbox.quarantine("orders/orders"), "nothing of it is in the load audit"
    set_where(inbox, ORDERS, {"order_id": "0001"}, status="paid")
    assert check(inbox.settings, ORDERS).is_refused
    assert replay(inbox, ORDERS).refused
    set_where(inbox, ORDERS, {"status": "payed"}, status="paid")
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (200, 200, 0, 0)
    assert summarise(inbox.settings, find_places(inbox.settings)) == []


def test_after_a_rule_was_mended_a_replay_lands_the_rows(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "handed_over"}
    inbox.rows("orders/orders", rows)
    inbox.one()
    contracts = dict(read_contracts())
    old = contracts["orders", "orders"]
    columns = tuple(
        dataclasses.replace(column, allowed=(*column.allowed, "handed_over"))
        if column.name == "status"
        else column
        for column in old.columns
    )
    contracts["orders", "orders"] = dataclasses.replace(old, columns=columns, version="1.0.1+rule")
    monkeypatch.setattr(writer_module, "read_contracts", lambda: contracts)
    assert check(inbox.settings, ORDERS).rows_bad == 0
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (400, 400, 0, 0)


def test_forgotten_mends_are_taken_back(inbox: Inbox) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped"}
    inbox.rows("orders/orders", rows)
    first = inbox.one()
    set_where(inbox, ORDERS, {"status": "shiped"}, status="shipped")
    replay(inbox, ORDERS)
    assert forget(inbox.settings, ORDERS) == 1
    assert find_places(inbox.settings) == [ORDERS], "a replay of all takes it back"
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == account(first)
    assert manifest.entry_hash == first.entry_hash


def test_personal_data_are_hashes_wherever_a_mend_goes(inbox: Inbox, tmp_path: Path) -> None:
    rows = [customer(number) for number in range(400)]
    bad = [dict(row) for row in rows]
    bad[10] |= {"registered_at": "soon"}
    bad[20] |= {"registered_at": "later", "email": "old.canary@example.com"}
    path = inbox.rows("orders/customers", bad)
    lines = path.read_text().splitlines()
    lines[31] = lines[31].rsplit(",", 1)[0]
    path.write_text("\n".join(lines) + "\n")
    inbox.one()
    before = read_rows(inbox.settings, CUSTOMERS)
    assert [row.found for row in before] == ["soon", "later", "(personal, not shown)"]
    file = tmp_path / "bad.csv"
    changes = {
        11: {"registered_at": "2025-01-01T00:00:00Z"},
        21: {"registered_at": "2025-01-01T00:00:00Z", "email": rows[20]["email"]},
        31: rows[30],
    }
    export_rows(CUSTOMERS, before, file)
    assert "anary" not in file.read_text(encoding="utf-8")
    assert "55512" not in file.read_text(encoding="utf-8")
    edit(inbox, CUSTOMERS, file, changes)
    (manifest,) = replay(inbox, CUSTOMERS).landed
    assert account(manifest) == (400, 400, 0, 0)
    other = clean(tmp_path, "orders/customers", rows, "csv", inbox.settings.hash_key)
    assert inbox.landed("orders/customers") == other.landed("orders/customers")
    for kept in (one for one in inbox.settings.home.rglob("*") if one.is_file()):
        assert b"anary" not in kept.read_bytes(), kept


def test_personal_data_in_a_wrong_column_are_not_even_kept_in_a_mend(inbox: Inbox) -> None:
    rows = [customer(number) for number in range(400)]
    rows[10] |= {"region": "canary@example.com"}
    rows[20] |= {"registered_at": "soon", "region": "hidden.canary@example.com"}
    inbox.rows("orders/customers", rows)
    inbox.one()
    with pytest.raises(MallardError, match="does not belong there") as caught:
        set_where(inbox, CUSTOMERS, {"customer_id": "c10"}, region="other.canary@example.com")
    assert "canary" not in str(caught.value)
    # Its instant is mended, but the address in its region, of which only a hash is kept, is still bad.
    set_where(inbox, CUSTOMERS, {"customer_id": "c20"}, registered_at="2025-01-01")
    replay(inbox, CUSTOMERS)
    assert inbox.quarantine("orders/customers", "line, reason") == [
        (12, "region_personal"),
        (22, "region_personal"),
    ]
    for kept in (one for one in inbox.settings.home.rglob("*") if one.is_file()):
        assert b"canary" not in kept.read_bytes(), kept


NASTY = ["=1+1", "+49 170 1", "-1-2", "@SUM(A1)", "\t=1", "'quoted", "-5", "007", 'a "b", c\nd', "", "ü"]


def test_cells_are_no_formulas_and_come_back_as_they_were(inbox: Inbox, tmp_path: Path) -> None:
    rows = [order(number, status="?" if number < len(NASTY) else "paid") for number in range(2000)]
    for row, text in zip(rows, NASTY, strict=False):
        row |= {"device": text}
    inbox.rows("orders/orders", rows)
    inbox.one()
    file = tmp_path / "bad.csv"
    found = read_rows(inbox.settings, ORDERS)
    export_rows(ORDERS, found, file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        cells = [row["device"] for row in csv.DictReader(opened)]
    assert not [cell for cell in cells if cell[:1] in set("=+@\t\r") or (cell[:1] == "-" and cell != "-5")]
    read = import_rows(file)
    assert [read[row.fingerprint, row.row]["device"] for row in found] == [text or None for text in NASTY]
    done = mend_rows(inbox.settings, ORDERS, read)
    assert (done.rows, done.unchanged) == (0, len(NASTY))
    # A spreadsheet of another country saves with semicolons.
    text = file.read_text(encoding="utf-8-sig")
    lines = csv.reader(text.splitlines(keepends=True))
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened, delimiter=";").writerows(lines)
    assert import_rows(file) == read
    with pytest.raises(MallardError, match="there already"):
        export_rows(ORDERS, found, file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "not a file of bad rows"),
        ("_row,_fingerprint,status\n11,nobody,paid\n", "not a bad row"),
        ("_row,_fingerprint,status\nx,f,paid\n", "no row number or fingerprint in line 2"),
        ("_row,_fingerprint,status\n1,f\n", "2 fields in line 2"),
        ("_row,_fingerprint,status\n1,f,a\n1,f,b\n", "row 1 twice"),
        ('_row,_fingerprint,status\n1,f,"a\n', "not CSV"),
        ("_row,_fingerprint,state\n11,{print},paid\n", "no column 'state'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_writes_nothing(
    inbox: Inbox, tmp_path: Path, text: str, message: str
) -> None:
    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "shiped"}
    inbox.rows("orders/orders", rows)
    inbox.one()
    (row,) = read_rows(inbox.settings, ORDERS)
    file = tmp_path / "bad.csv"
    file.write_text(text.replace("{print}", row.fingerprint or ""))
    with pytest.raises(MallardError, match=message):
        mend_rows(inbox.settings, ORDERS, import_rows(file))
    assert not list(inbox.settings.quarantine.rglob("*.json"))


@pytest.mark.parametrize("crash", ["", "write_manifest", "Writer._write_quarantine"])
def test_where_the_file_is_gone_the_landed_and_quarantined_rows_are_landed_again(
    inbox: Inbox, tmp_path: Path, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [order(number, ordered_at=f"2025-11-11 08:00:{number % 60:02}.5") for number in range(600)]
    bad = [dict(row) for row in rows]
    bad[10] |= {"status": "shiped"}
    bad[20] |= {"status": "lost"}
    path = inbox.rows("orders/orders", [*bad, bad[7]])
    lines = path.read_text().splitlines()
    lines[31] = lines[31][:12]
    path.write_text("\n".join(lines) + "\n")
    assert account(inbox.one()) == (601, 597, 3, 1)
    kept = path.rename(tmp_path / "away.csv")
    set_where(inbox, ORDERS, {"status": "shiped"}, status="paid")
    if crash:
        # The run dies before its manifest, or between that and the quarantine file.
        with monkeypatch.context() as patch:
            patch.setattr(f"ingestion.writer.{crash}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                replay(inbox, ORDERS)
        assert len(inbox.quarantine("orders/orders")) == 3
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (601, 598, 2, 1)
    assert inbox.quarantine("orders/orders", "reason, line") == [
        ("status_not_allowed", 22), ("wrong_number_of_fields", 32),
    ]  # fmt: skip
    assert replay(inbox, ORDERS).unchanged == [manifest]
    whole = {name: str(value) for name, value in rows[30].items()}
    edit(inbox, ORDERS, tmp_path / "bad.csv", {21: {"status": "paid"}, 31: whole})
    (manifest,) = replay(inbox, ORDERS).landed
    assert account(manifest) == (601, 600, 0, 1)
    assert manifest.rows_mended == 3
    other = clean(tmp_path, "orders/orders", [*rows, rows[7]], "csv", inbox.settings.hash_key)
    columns = "* exclude (_row)"
    assert sorted(map(repr, inbox.landed("orders/orders", columns))) == sorted(
        map(repr, other.landed("orders/orders", columns))
    )
    # The file comes back: the same mends, the same rows.
    shutil.move(kept, path)
    mended = inbox.landed("orders/orders")
    assert inbox.land().unchanged == [manifest]
    assert inbox.landed("orders/orders") == mended


def test_customers_are_landed_again_without_hashing_hashes(inbox: Inbox, tmp_path: Path) -> None:
    rows = [customer(number, reset_token=f"secret{number}") for number in range(400)]
    bad = [dict(row) for row in rows]
    bad[10] |= {"registered_at": "soon"}
    path = inbox.rows("orders/customers", bad)
    inbox.one()
    path.unlink()
    set_where(inbox, CUSTOMERS, {"customer_id": "c10"}, registered_at="2025-01-01T00:00:00Z")
    replay(inbox, CUSTOMERS)
    other = clean(tmp_path, "orders/customers", rows, "csv", inbox.settings.hash_key)
    assert inbox.landed("orders/customers") == other.landed("orders/customers")


def test_lines_of_a_lost_file_that_nobody_can_place_are_not_guessed(inbox: Inbox) -> None:
    rows = [item(number) for number in range(400)]
    rows[10] |= {"quantity": 0}
    path = inbox.rows("orders/order_items", rows)
    path.write_text(path.read_text().replace("0100,1,007,2,9.99", "0100,1"))
    first = inbox.one()
    path.unlink()
    set_where(inbox, ITEMS, {"quantity": "0"}, quantity="2")
    (refused,) = replay(inbox, ITEMS).refused
    assert "1 lines that could not be split are not mended" in str(refused)
    assert len(inbox.quarantine("orders/order_items")) == 2
    assert first.data_path.exists()


def test_a_delivery_that_was_refused_and_is_gone_says_so(inbox: Inbox) -> None:
    path = inbox.rows("orders/orders", [order(1, status="payed")])
    inbox.refusal()
    path.unlink()
    with pytest.raises(MallardError, match="is gone, and nothing of it was landed") as caught:
        replay(inbox, ORDERS)
    assert "--forget" in caught.value.mend
    forget(inbox.settings, ORDERS)
    assert find_places(inbox.settings) == []


def test_what_the_source_sets_aside_is_not_mended(inbox: Inbox, tmp_path: Path) -> None:
    registry = tmp_path / "sources.yml"
    registry.write_text(
        """
sources:
  shop:
    enabled: true
    reader: inbox
    feeds: [orders]
    tables:
      orders/orders:
        sql: >-
          select * exclude (_row), _row, case when device = 'test' then 'a_test_order' end as _set_aside from delivery
"""
    )
    inbox.settings = dataclasses.replace(inbox.settings, sources_file=registry)
    rows = [order(number, device="test" if number == 5 else "web") for number in range(400)]
    rows[10] |= {"status": "shiped"}
    path = inbox.rows("orders/orders", rows)
    inbox.one(source="shop")
    place = dataclasses.replace(ORDERS, source="shop")
    groups = summarise(inbox.settings, find_places(inbox.settings))
    assert {(group.reason, group.state) for group in groups} == {
        ("a_test_order", "set aside"), ("status_not_allowed", "quarantined"),
    }  # fmt: skip
    with pytest.raises(MallardError, match="set aside by the source's entry"):
        set_where(inbox, place, {"order_id": "0005"}, device="web")
    set_where(inbox, place, {"status": "shiped"}, status="shipped")
    for is_gone in (False, True):
        if is_gone:
            path.unlink()
            forget(inbox.settings, place)
        report = land(inbox.settings, [delivery_of(inbox.settings, place)], inbox.said)
        (manifest,) = report.landed
        assert account(manifest) == (400, 399, 1, 0)
        assert manifest.quarantine_reasons == {"a_test_order": 1}


def test_the_commands_list_inspect_and_mend(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mallard.quarantine import app

    rows = [order(number) for number in range(400)]
    rows[10] |= {"status": "[red]shiped\x1b[2J"}
    inbox.rows("orders/orders", rows)
    inbox.one()
    monkeypatch.setenv("MALLARD_HOME", str(inbox.settings.home))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output + repr(result.exception)
        assert "\x1b[2J" not in result.output
        assert all(
            len(line) <= 80 or "mallard quarantine" in line or "/" in line
            for line in result.output.splitlines()
        )
        return result.output

    assert "status_not_allowed" in run("list")
    assert "[red]shiped·[2J" in run("list", "orders", "--reason", "status_not_allowed")
    (shown,) = json.loads(run("list", "--json"))
    assert (shown["rows"], shown["line"], shown["column"]) == (1, 12, "status")
    assert "No bad rows match" in run("list", "clickstream")
    assert "one of placed, paid" in " ".join(run("inspect", "orders/orders", "2025-11-11").split())
    assert "nothing would change" in run("mend", "orders/orders", "2025-11-11")
    out = run("mend", "orders/orders", "2025-11-11", "--set", "status=shipped", "--where", "_line=12")
    assert "Mended: 1 row of orders/orders of 2025-11-11 (changed: status in 1)" in out
    assert "Of 400 rows, 0 would be bad, 1 would land as mended" in out
    assert "1 mended, not landed yet" in run("list")
    file = tmp_path / "bad.csv"
    run("inspect", "orders/orders", "2025-11-11", "--csv", str(file))
    assert ",shipped," in file.read_text()
    assert "Mended: 1 row of" in run("mend", "orders/orders", "2025-11-11", str(file))
    assert "Nothing was published" in run("replay", "--no-publish")
    assert run("list").strip() == "No bad rows."
    assert query(
        f"select count(*) from '{inbox.settings.landing}/*/*/*/*.parquet' where status = 'shipped'"
    ) == [(1,)]
