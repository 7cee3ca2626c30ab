"""Writing deliveries: columns of numbers become files, byte for byte the same each time."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from simulator.arrays import Ints, Rows, take
from simulator.layout import DATE, MONEY, RATE, TIME, Defect, Table, Words

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FORMATS = ("mixed", "csv", "jsonl", "parquet")
_BAD_ID = "bad-"
_MANY_ROWS = 200
"""Only files of at least as many rows get a bad one: it stays within the 1 % that a contract allows."""


class Inbox:
    """Writes files into ``<out>/<feed>/<table>/<day>.<ending>``."""

    def __init__(self, out: Path, *, format: str, faults: frozenset[str], new_column_from: str) -> None:  # noqa: A002 - the word of the command line
        self.out = out
        self.format = format
        self.faults = faults
        self.new_column_from = new_column_from
        self.rows: Counter[str] = Counter()
        self.files = 0
        self.bad_rows: dict[str, Counter[str]] = {}
        self._projections: dict[tuple[str, bool], tuple[str, list[str]]] = {}
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("set TimeZone = 'UTC'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def write(self, table: Table, day: str, batches: list[Rows]) -> None:
        """Write a table's delivery of a day. Nothing is written where there are no rows.

        Batches are turned into texts one at a time: a festival's day need not fit into memory as such.
        """
        batches = [batch for batch in batches if _size(batch)]
        size = sum(map(_size, batches))
        if not size:
            return
        ending = table.mixed if self.format == "mixed" else self.format
        is_text = not ending.endswith("parquet")
        sql, names = self._projection(table, is_text=is_text)
        if "new_columns" in self.faults and day >= self.new_column_from:
            sql, names = f"select *, 'seen' as shop_note from ({sql})", [*names, "shop_note"]
        sample = pa.Table.from_batches([_batch(table, take(batches[0], np.arange(1)), is_text=is_text)])
        rest = (_batch(table, batch, is_text=is_text) for batch in batches)
        self._connection.register("delivered", pa.RecordBatchReader.from_batches(sample.schema, rest))
        defects = self._defects(table, size, is_text=is_text)
        if defects:
            self._connection.register("sample", sample)
        path = self.out / table.feed / table.name / f"{day}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = path.with_name(f"{day}.{ending.removesuffix('.gz')}")
        if is_text:
            self._copy(sql, plain)
            self._append(sql, names, plain, defects)
            if plain != path:
                _compress(plain, path)
        else:
            spoilt = f" union all {self._bad_rows(sql, names, defects, day)}" if defects else ""
            self._copy(f"({sql}){spoilt}", plain)
        self._connection.unregister("delivered")
        self.rows[table.name] += size + len(defects)
        self.files += 1

    def _copy(self, sql: str, path: Path) -> None:
        options = {
            ".csv": "format csv, header true",
            ".jsonl": "format json",
            ".parquet": "format parquet, compression zstd",
        }[path.suffix]
        self._connection.execute(f"copy ({sql}) to '{str(path).replace(chr(39), chr(39) * 2)}' ({options})")

    def _projection(self, table: Table, *, is_text: bool) -> tuple[str, list[str]]:
        """SQL from memory's columns to the delivered ones; in text files, instants and money are texts."""
        found = self._projections.get((table.name, is_text))
        if found:
            return found
        nothing = {name: np.zeros(0, dtype=np.int64) for name in columns_in_memory(table)}
        self._connection.register(
            "delivered", pa.Table.from_batches([_batch(table, nothing, is_text=is_text)])
        )
        columns = ", ".join(f"{sql} as {name}" for name, sql in table.columns.items())
        sql = f"select {columns} from delivered"
        described = self._connection.execute(f"describe {sql}").fetchall()
        if is_text:
            texts = []
            for name, kind, *_ in described:
                if kind == "TIMESTAMP":
                    texts.append(f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%gZ') as {name}")
                elif kind.startswith("DECIMAL") or kind == "DATE":
                    texts.append(f"{name}::varchar as {name}")
                else:
                    texts.append(name)
            sql = f"select {', '.join(texts)} from ({sql})"
        found = sql, [row[0] for row in described]
        self._projections[table.name, is_text] = found
        return found

    def _defects(self, table: Table, size: int, *, is_text: bool) -> list[Defect]:
        """The defects of this file, each once, one per 200 rows at most."""
        if "bad_rows" not in self.faults or size < _MANY_ROWS:
            return []
        fitting = [defect for defect in table.defects if is_text or not defect.is_for_text]
        chosen = fitting[: size // _MANY_ROWS]
        self.bad_rows.setdefault(table.name, Counter()).update(defect.reason for defect in chosen)
        return chosen

    def _bad_rows(self, sql: str, names: list[str], defects: list[Defect], day: str) -> str:
        """SQL for one more row per defect, with a key of its own; the rest is as in the file's first row."""
        good = sql.replace("from delivered", "from sample")
        rows = []
        for number, defect in enumerate(defects):
            spoilt = {names[0]: f"'{_BAD_ID}{day}-{number}'"}
            value = f"'{defect.value}'" if isinstance(defect.value, str) else defect.value
            spoilt[defect.column] = "null" if value is None else str(value)
            changes = ", ".join(f"{value} as {name}" for name, value in spoilt.items())
            rows.append(f"(select * replace ({changes}) from ({good}))")
        return " union all ".join(rows)

    def _append(self, sql: str, names: list[str], path: Path, defects: list[Defect]) -> None:
        """Add bad rows at the end of a text file, which is where a reader that samples does not look."""
        if not defects:
            return
        keys = ", ".join(f"{name}::varchar as {name}" for name in names)
        rows = self._bad_rows(f"select {keys} from ({sql})", names, defects, path.name.split(".")[0])
        with path.open("a", encoding="utf-8", newline="") as file:
            for values in self._connection.execute(rows).fetchall():
                if path.suffix == ".csv":
                    csv.writer(file, lineterminator="\n").writerow(values)
                else:
                    row = dict(zip(names, values, strict=True))
                    file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def columns_in_memory(table: Table) -> list[str]:
    """The columns in memory that a table's files are made of."""
    return list(
        dict.fromkeys(kind.column if isinstance(kind, Words) else name for name, kind in table.kinds.items())
    )


def write_parquet(path: Path, columns: Rows, kinds: dict[str, str | Words]) -> None:
    """Write rows as they are in memory: the truth's files."""
    import pyarrow.parquet as pq

    arrays = {}
    for name, kind in kinds.items():
        array = _array(kind, columns[kind.column if isinstance(kind, Words) else name], is_text=False)
        arrays[name] = array.dictionary_decode() if isinstance(kind, Words) else array
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path, compression="zstd")


def _size(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _batch(table: Table, rows: Rows, *, is_text: bool) -> Any:
    arrays = [
        _array(kind, rows[kind.column if isinstance(kind, Words) else name], is_text=is_text)
        for name, kind in table.kinds.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(table.kinds))


def _array(kind: str | Words, values: Ints, *, is_text: bool) -> Any:
    """A column of numbers as Arrow has it; negative ones are missing, except in signed money.

    The arrays are made from their bytes: it is exact, and does not load pandas.
    """
    valid = None
    if kind != "signed_money" and len(values) and int(values.min()) < 0:
        valid = pa.py_buffer(np.packbits(values >= 0, bitorder="little"))

    def array(type_: Any, content: Any) -> Any:
        return pa.Array.from_buffers(type_, len(values), [valid, pa.py_buffer(np.ascontiguousarray(content))])

    if isinstance(kind, Words):
        codes = array(pa.int32(), np.maximum(values, 0).astype(np.int32))
        return pa.DictionaryArray.from_arrays(codes, _texts(tuple(kind.words)))
    if kind == TIME:
        return array(
            pa.timestamp("us", tz=None if is_text else "UTC"), values.astype(np.int64, copy=False) * 1000
        )
    if kind == DATE:
        return array(pa.date32(), values.astype(np.int32))
    if kind == "flag":
        return array(pa.bool_(), np.packbits(values > 0, bitorder="little"))
    if kind in (MONEY, "signed_money", RATE):
        # Rates are in millionths and have ten places.
        words = np.empty((len(values), 2), dtype=np.int64)
        words[:, 0] = values * 10_000 if kind == RATE else values
        words[:, 1] = values >> 63  # the sign
        return array(pa.decimal128(20, 10) if kind == RATE else pa.decimal128(18, 4), words)
    return array(pa.int64(), values.astype(np.int64, copy=False))


@cache
def _texts(words: tuple[str | None, ...]) -> Any:
    encoded = [(word or "").encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    valid = np.packbits([word is not None for word in words], bitorder="little")
    return pa.StringArray.from_buffers(
        len(words), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)), pa.py_buffer(valid)
    )


def _compress(plain: Path, path: Path) -> None:
    """Gzip a file without its name and time, so that the same rows give the same bytes."""
    with (
        plain.open("rb") as source,
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 3, raw, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed, 1 << 20)
    plain.unlink()
