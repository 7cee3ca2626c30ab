"""Table contracts: the Open Data Contract Standard files under ``ingestion/contracts``, read once.

A contract file is the one place that says which columns a table has, of which type, which are required,
which values are allowed, what is personal, and how large a share of bad rows a delivery may have. Casts
and quarantine reasons are derived from it (``ingestion/conform.py``).
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mallard.errors import SettingsError

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, SchemaProperty

CONTRACTS = Path(__file__).resolve().parent / "contracts"

# The types that landing writes. The key is what a contract's `physicalType` may say.
KINDS = {
    "VARCHAR": "text",
    "TIMESTAMPTZ": "instant",
    "DATE": "date",
    "DECIMAL(18,4)": "decimal",
    "DECIMAL(20,10)": "decimal",
    "BIGINT": "integer",
}

# Columns that landing itself adds, and their types; no source may bring its own of these names.
TECHNICAL_COLUMNS = {
    "_delivery": "DATE",
    "_row": "BIGINT",
    "_is_incomplete": "BOOLEAN",
    "_source": "VARCHAR",
}


@dataclass(frozen=True)
class Column:
    """One column of a contract. ``minimum`` and ``maximum`` are literals as the YAML has them.

    ``hashed_as`` (``email``, ``phone``) says that only a keyed hash lands, ``scrubbed_as`` (``url``, ``words``) that
    what is personal or gives access is taken out of the text first.
    """

    name: str
    sql_type: str
    description: str = ""
    is_required: bool = False
    is_key: bool = False
    allowed: tuple[str, ...] = ()
    minimum: str | None = None
    is_minimum_exclusive: bool = False
    maximum: str | None = None
    pattern: str | None = None
    hashed_as: str | None = None
    scrubbed_as: str | None = None

    @property
    def kind(self) -> str:
        """``text``, ``instant``, ``date``, ``decimal`` or ``integer``."""
        return KINDS[self.sql_type]

    @property
    def is_pii(self) -> bool:
        return self.hashed_as is not None

    @property
    def range_in_words(self) -> str:
        parts = []
        if self.minimum is not None:
            parts.append(f"{'above' if self.is_minimum_exclusive else 'at least'} {self.minimum}")
        if self.maximum is not None:
            parts.append(f"at most {self.maximum}")
        return " and ".join(parts)


@dataclass(frozen=True)
class Contract:
    """One table's contract.

    ``allowed_bad_share`` is in 0…1. ``replaced_together`` are the columns whose rows a newer delivery
    replaces as one (an order's lines, a channel's day). ``version`` carries a hash of the rules, so that a
    changed rule lands a delivery anew even where nobody raised the number.
    """

    feed: str
    table: str
    version: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_column: str | None
    allowed_bad_share: float
    expects_rows: bool
    is_main: bool
    replaced_together: tuple[str, ...] = ()
    path: Path = field(default=Path(), compare=False)

    @property
    def name(self) -> str:
        return f"{self.feed}/{self.table}"

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)

    @property
    def pii(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_pii)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@functools.cache
def read_contracts(folder: Path = CONTRACTS) -> dict[tuple[str, str], Contract]:
    """All contracts by (feed, table), in the order of their files.

    Raises:
        SettingsError: a file is no ODCS v3 contract or says what ingestion cannot do.
    """
    contracts = {}
    for path in sorted(folder.glob("*/*.yml")):
        contract = read_contract(path)
        contracts[contract.feed, contract.table] = contract
    return contracts


def read_contract(path: Path) -> Contract:
    """One contract file; its feed and table are its folder's and its own name.

    Raises:
        SettingsError: as ``read_contracts``.
    """
    import pydantic
    import yaml
    from open_data_contract_standard.model import OpenDataContractStandard

    try:
        # The C loader: a dozen contracts cost a second otherwise.
        with path.open(encoding="utf-8") as file:
            document = OpenDataContractStandard(**yaml.load(file, Loader=yaml.CSafeLoader))
    except (pydantic.ValidationError, yaml.YAMLError, TypeError) as error:
        raise _wrong(path, "is not a data contract", str(error)) from error
    if not (document.apiVersion or "").startswith("v3."):
        raise _wrong(path, "is not an ODCS v3 contract", f"apiVersion {document.apiVersion!r}")
    if not document.schema_ or len(document.schema_) != 1:
        raise _wrong(path, "must hold exactly one table", f"{len(document.schema_ or [])} tables")
    table = document.schema_[0]
    if (document.domain, table.name) != (path.parent.name, path.stem):
        raise _wrong(path, "lies in the wrong place", f"domain {document.domain!r}, table {table.name!r}")
    return _contract(path, document, table)


def _contract(path: Path, document: OpenDataContractStandard, table: SchemaObject) -> Contract:
    properties = table.properties or []
    columns = tuple(_column(path, item) for item in properties)
    keyed = sorted(
        (item for item in properties if item.primaryKey), key=lambda item: item.primaryKeyPosition or 0
    )
    key = tuple(str(item.name) for item in keyed)
    partitioned = [str(item.name) for item in properties if item.partitioned]
    together = tuple(_custom(table, "replacedTogether") or ())
    names = {column.name for column in columns}
    if not key:
        raise _wrong(path, "names no primary key", "no property with primaryKey: true")
    if unknown := [name for name in together if name not in names]:
        raise _wrong(path, "replaces rows by a column that it does not have", ", ".join(unknown))
    expects_rows, share = False, 0.01
    for rule in table.quality or []:
        if rule.metric == "rowCount" and rule.mustBeGreaterThan is not None:
            expects_rows = True
        if rule.metric == "invalidValues" and rule.unit == "percent" and rule.mustBeLessOrEqualTo is not None:
            share = rule.mustBeLessOrEqualTo / 100
    rules: dict[str, Any] = {
        "columns": [{k: v for k, v in asdict(column).items() if k != "description"} for column in columns],
        "key": key,
        "partition_column": partitioned[0] if partitioned else None,
        "allowed_bad_share": share,
        "expects_rows": expects_rows,
        "replaced_together": together,
    }
    digest = hashlib.sha256(json.dumps(rules, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return Contract(
        feed=path.parent.name,
        table=path.stem,
        version=f"{document.version}+{digest}",
        description=" ".join((document.description.purpose or "").split()) if document.description else "",
        grain=table.dataGranularityDescription or "",
        columns=columns,
        key=key,
        partition_column=rules["partition_column"],
        allowed_bad_share=share,
        expects_rows=expects_rows,
        is_main="main" in (table.tags or []),
        replaced_together=together,
        path=path,
    )


def _column(path: Path, item: SchemaProperty) -> Column:
    name, sql_type = str(item.name), str(item.physicalType)
    if sql_type not in KINDS:
        raise _wrong(path, f"gives {name} a type that landing does not write", sql_type, " ".join(KINDS))
    options = item.logicalTypeOptions or {}
    is_exclusive = "exclusiveMinimum" in options
    low = options.get("exclusiveMinimum", options.get("minimum"))
    high = options.get("maximum")
    return Column(
        name=name,
        sql_type=sql_type,
        description=item.description or "",
        is_required=bool(item.required),
        is_key=bool(item.primaryKey),
        allowed=tuple(str(value.value) for value in item.enum or ()),
        minimum=None if low is None else str(low),
        is_minimum_exclusive=is_exclusive,
        maximum=None if high is None else str(high),
        pattern=options.get("pattern"),
        hashed_as=_custom(item, "hashedAs"),
        scrubbed_as=_custom(item, "scrubbedAs"),
    )


def _custom(item: SchemaObject | SchemaProperty, name: str) -> Any:
    return next((entry.value for entry in item.customProperties or [] if entry.property == name), None)


def _wrong(path: Path, what: str, found: str, expected: str = "") -> SettingsError:
    return SettingsError(
        f"The contract {path.parent.name}/{path.name} {what}.",
        expected=expected,
        found=found,
        where=str(path),
    )
