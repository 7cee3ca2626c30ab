"""Rows in = rows landed + quarantined + duplicates, whatever rows come: a property of random files."""

from __future__ import annotations

import collections
import csv
import io
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mallard.settings import Settings
from tests.ingestion.conftest import Inbox, item

SOUND = 400  # so that a few bad rows stay within the allowed share

Row = dict[str, str | None]

texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8
)
values = st.one_of(
    st.none(), st.just(""), texts, st.integers(-5, 5).map(str), st.decimals(allow_nan=True, places=5).map(str),
    st.sampled_from(['"', '""', ",", "\n", " ", "é", "NULL", "1e5", "0x1", "'", ";", "\\", "3.0", "²"]),
)  # fmt: skip
odd_rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("order_id", "line_number", "product_id", "quantity", "unit_price"), values),
    ),
    max_size=4,
)


def write(inbox: Inbox, rows: list[Row], ending: str) -> None:
    names = list(item(0))
    if ending == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, names, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        inbox.write("orders/order_items", out.getvalue())
    elif ending == "jsonl":
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        inbox.write("orders/order_items", lines, ending="jsonl")
    else:
        path = inbox.write("orders/order_items", b"", ending="parquet")
        columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
        pq.write_table(pa.table(columns), path)


def is_sound(row: Row) -> bool:
    """The contract of order_items in Python, for rows of texts."""
    import re

    filled = {name: text for name, text in row.items() if text not in {None, ""}}
    if any(not (filled.get(name) or "").strip(" ") for name in item(0)):
        return False
    whole = re.compile(r"\s*[+-]?[0-9]+(\.0*)?\s*")
    numbers = [filled[name] or "" for name in ("line_number", "quantity")]
    price = filled["unit_price"] or ""
    return (
        all(whole.fullmatch(text) for text in numbers)
        and Decimal(numbers[1].strip()) > 0
        and re.fullmatch(r"\s*[+-]?[0-9]*(\.[0-9]{0,4}0*)?\s*", price) is not None
        and re.search("[0-9]", price) is not None
        and 0 <= Decimal(price.strip()) < Decimal(10) ** 14
    )


@examples(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    odd=odd_rows,
    again=st.lists(st.integers(0, SOUND - 1), max_size=5),
    ending=st.sampled_from(["csv", "jsonl", "parquet"]),
    data=st.data(),
)
def test_every_row_is_landed_quarantined_or_a_duplicate(
    odd: list[Row], again: list[int], ending: str, data: st.DataObject
) -> None:
    sound: list[Row] = [{name: str(value) for name, value in item(number).items()} for number in range(SOUND)]
    rows = (
        sound
        + [sound[number] for number in again]
        + [{**sound[0], "order_id": f"odd{n}"} | row for n, row in enumerate(odd)]
    )
    rows = [rows[position] for position in data.draw(st.permutations(range(len(rows))))]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "inbox"
        root.mkdir()
        inbox = Inbox(root, Settings(home=Path(folder) / "home"))
        write(inbox, rows, ending)
        manifest = inbox.one()
        landed: list[Any] = inbox.landed(
            "orders/order_items", "order_id, line_number, quantity, unit_price, _row"
        )
        reasons = inbox.quarantine("orders/order_items", "reason")

    def same(row: Row) -> tuple[str, ...]:
        return tuple(row.get(name) or "" for name in item(0))

    distinct = {same(row): row for row in rows}
    good = [key for key, row in distinct.items() if is_sound(row)]
    assert manifest.rows_in == len(rows)
    assert manifest.rows_in == manifest.rows_landed + manifest.rows_quarantined + manifest.rows_duplicate
    assert manifest.rows_duplicate == len(rows) - len(distinct)
    assert manifest.rows_landed == len(landed) == len(good)
    assert manifest.rows_quarantined == len(reasons) == len(distinct) - len(good)
    # Sums of money are those of the sound rows, and every landed row says where it stood.
    total = sum(int(Decimal(key[3])) * Decimal(key[4]) for key in good)
    assert sum(quantity * price for _, _, quantity, price, _ in landed) == total
    assert all(rows[position - 1]["order_id"] == name for name, _, _, _, position in landed)
    assert collections.Counter(position for *_, position in landed).most_common(1)[0][1] == 1
