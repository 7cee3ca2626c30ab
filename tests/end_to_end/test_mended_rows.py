"""A shop whose rows were mended ends as the shop whose files were clean from the start."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from ingestion.landing import read_manifests
from ingestion.mend_files import export_rows, import_rows
from ingestion.mend_notes import mend_rows
from ingestion.quarantine import find_places, read_rows
from mallard import pipeline
from mallard.errors import DeliveryRefusedError
from mallard.progress import LogProgress
from mallard.settings import Settings
from tests.end_to_end.shops import Shop, checksums, load, make_shop, published

pytestmark = pytest.mark.slow

# Rows to spoil, by table: one column of a row becomes what it cannot be, or a row loses its end (None).
SPOILED = {
    "orders/orders": {2: ("status", "shiped"), 5: ("ordered_at", "soon")},
    "orders/order_items": {1: ("quantity", "-1"), 7: None},
    "orders/customers": {3: ("registered_at", "soon"), 9: None},
    "orders/products": {0: ("unit_cost", "1,50")},
    "clickstream/events": {4: ("event_type", "page_veiw"), 8: None},
    "channel_spend/channel_spend": {1: ("spend", "many")},
}


def spoil(path: Path, spoiled: dict[int, tuple[str, str] | None]) -> list[dict[str, str]]:
    """Spoil rows of a csv file; its clean rows."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(rows[0])
        for number, row in enumerate(rows):
            change = spoiled.get(number, ("", ""))
            cells = list((row | dict([change]) if change and change[0] else row).values())
            out.writerow(cells if change else cells[:3])
    return rows


def test_a_mended_shop_equals_a_clean_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = make_shop(tmp_path / "clean", days=2, users=150, seed=5, format="csv")
    dirty = Shop(tmp_path / "dirty", clean.days)
    shutil.copytree(clean.inbox, dirty.inbox)
    rows = {
        (table, path.stem): spoil(path, spoiled)
        for table, spoiled in SPOILED.items()
        for path in sorted((dirty.inbox / table).glob("*.csv"))
    }
    settings, other = Settings(home=tmp_path / "home"), Settings(home=tmp_path / "other")
    # Both warehouses hash by one key.
    other.home.mkdir()
    (other.home / "hash_key").write_bytes(settings.hash_key)

    # Small files are refused whole, large ones land without their bad rows.
    with pytest.raises(DeliveryRefusedError):
        load(settings, dirty)
    landed = {manifest.table for manifest in read_manifests(settings) if manifest.rows_quarantined}
    assert "events" in landed
    assert "orders" not in landed
    places = find_places(settings)
    assert {(f"{place.feed}/{place.table}", str(place.day)) for place in places} == set(rows)
    for place in places:
        file = tmp_path / "bad.csv"
        file.unlink(missing_ok=True)
        export_rows(place, read_rows(settings, place), file)
        mended = import_rows(file)
        for print_, number in mended:
            row = rows[f"{place.feed}/{place.table}", str(place.day)][number - 1]
            mended[print_, number] = {name: value or None for name, value in row.items()}
        mend_rows(settings, place, mended)

    # A replay that dies after its rows landed is not lost, and not done twice.
    with monkeypatch.context() as patch:
        patch.setattr("mallard.build.run_dbt", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.replay(settings, places, progress=LogProgress())
    report, receipt = pipeline.replay(settings, places, progress=LogProgress())
    assert (report.landed, receipt is not None) == ([], True)
    assert pipeline.replay(settings, places, progress=LogProgress())[1] is None

    load(other, clean)
    assert checksums(settings) == checksums(other)
    audit = "select * exclude (source_file, delivered_at, content_hash, landed_content) from ops.load_audit order by all"
    assert published(settings, audit).equals(published(other, audit))
    assert published(settings, "select * from ops.quarantine").is_empty()
