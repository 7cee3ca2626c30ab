"""SQL over a staged delivery: what lands, and what goes to the quarantine.

``staged`` has the rows, ``doubles`` the row ids of exact duplicates that are dropped, ``misfits`` the csv rows
with too many or too few fields, ``unreadable`` the JSON lines that are no objects, ``places`` where rows stand
in a text file (empty where that follows from counting), ``mended`` the rows that a mend has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.files import identifier, literal
from ingestion.places import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    from ingestion.contract import Contract
    from ingestion.deliveries import Delivery
    from ingestion.files import Relation
    from ingestion.reading import Opened
    from mallard.settings import Settings

_KEPT = "staged.rowid not in (select row_id from doubles)"
_PLACED = "staged left join places on places.row_id = staged.rowid"

REFUSED = ".refused"


def quarantine_path(settings: Settings, delivery: Delivery) -> Path:
    """Where a delivery's bad rows are kept; there is no file where it has none."""
    return (
        settings.quarantine
        / delivery.feed
        / delivery.table
        / delivery.source.name
        / f"{delivery.day}.parquet"
    )


def refused_path(settings: Settings, delivery: Delivery) -> Path:
    """Where the bad rows of a delivery are kept that was refused as a whole: they are not in the load audit."""
    return quarantine_path(settings, delivery).with_suffix(REFUSED)


def partition_sql(contract: Contract) -> str:
    """The UTC day of a staged row's partition column, NULL for tables that are delivered whole."""
    for number, column in enumerate(contract.columns):
        if column.name == contract.partition_column:
            return f"c{number}::date"
    return "null::date"


def line_sql(opened: Opened) -> str:
    """Where a staged row stands: its physical line in a text file (NULL if it cannot be told), else its row."""
    if not opened.is_text:
        return "coalesce(places.line, _position, staged.rowid + 1)"
    header = 1 if opened.relation.format == "csv" else 0
    # Where nothing had to be placed, every record is a line.
    return f"case when places.row_id is null then staged.rowid + 1 + {header} else places.line end"


def reasons_sql() -> str:
    """Rows for the quarantine by reason, the most frequent first."""
    return f"""
        select reason, count(*)
        from (
            select _reason as reason from staged where _reason is not null and {_KEPT}
            union all
            select reason from misfits
        )
        group by reason
        order by 2 desc, reason
    """


def landed_sql(
    delivery: Delivery,
    contract: Contract,
    relation: Relation,
    extras: tuple[str, ...],
    *,
    has_bad: bool,
    has_doubles: bool,
) -> str:
    """The rows that land, in file order, with the columns that landing adds.

    What is never needed where nothing is wrong is left out: a plain scan keeps the order by itself and is
    three times as fast.
    """
    columns = [f"c{number} as {identifier(column.name)}" for number, column in enumerate(contract.columns)]
    columns += [f"x{number} as {identifier(name)}" for number, name in enumerate(extras)]
    incomplete = _incomplete(contract, relation, delivery.source.delimiter) if has_bad else "false"
    position, source = "staged.rowid + 1", "staged"
    if has_bad:
        position, source = "places.record, staged.rowid + 1", _PLACED
    return f"""
        select
            {", ".join(columns)},
            date '{delivery.day}' as _delivery,
            coalesce(_position, {position}) as _row,
            {incomplete} as _is_incomplete,
            {literal(delivery.source.name)} as _source,
        from {source}
        where {"_reason is null" if has_bad else "true"} and {_KEPT if has_doubles else "true"}
        {"order by staged.rowid" if has_bad or has_doubles else ""}
    """


def _incomplete(contract: Contract, relation: Relation, delimiter: str) -> str:
    """Whether a bad row is among those that are replaced together with this one.

    Of a row that cannot even be split, what stands where the columns belong is taken: it may mark a row too
    many, which only keeps what was landed before.
    """
    numbers = {column.name: number for number, column in enumerate(contract.columns)}
    names = contract.replaced_together
    if not names:
        return "false"
    keys = [f"c{numbers[name]}" for name in names]
    of_bad = f"select {', '.join(keys)} from staged where _reason is not null and not _is_set_aside"
    of_misfits = of_unreadable = ""
    if relation.format == "csv":
        fields = ", ".join(
            f"try_cast(trim(string_split(text, {literal(delimiter)})[{relation.names.index(name) + 1}], '\" ') "
            f"as {contract.column(name).sql_type})"
            for name in names
        )
        of_misfits = f"union select {fields} from misfits"
    if relation.format == "jsonl":
        fields = ", ".join(
            f"""try_cast(regexp_extract(text, '"{name}"\\s*:\\s*"?([^",}}]*)', 1) as {contract.column(name).sql_type})"""
            for name in names
        )
        of_unreadable = f"union select {fields} from unreadable"
    same = " and ".join(f"broken.k{number} = staged.{key}" for number, key in enumerate(keys))
    named = ", ".join(f"k{number}" for number in range(len(keys)))
    return f"exists (select 1 from ({of_bad} {of_misfits} {of_unreadable}) as broken ({named}) where {same})"


def quarantine_sql(delivery: Delivery, contract: Contract, line: str) -> str:
    """The bad rows, with why, and where they stand (``line`` of ``line_sql``).

    A line that could not be split is kept as it is, unless the table holds personal data. ``fingerprint`` is
    what a mend knows the row by: of what the source holds, before ``mend`` (as JSON) changed it.
    """
    whole = "null" if contract.pii else "to_json({'_line': text})::varchar"
    fixed = f"""
        {literal(delivery.feed)} as feed,
        {literal(delivery.table)} as table_name,
        {literal(delivery.source.name)} as source,
        date '{delivery.day}' as delivery
    """
    file = literal(str(delivery.path))
    return f"""
        select *
        from (
            select
                {fixed},
                _reason as reason,
                _column as column_name,
                case when _reason = '{UNREADABLE}' then {whole} else _row_json end as row_json,
                {file} as source_file,
                {line} as line,
                coalesce(_position, places.record, staged.rowid + 1) as row_number,
                coalesce(mended.fingerprint, unreadable.fingerprint, _fingerprint) as fingerprint,
                mended.mend as mend,
                _is_set_aside as is_set_aside,
            from {_PLACED}
            left join unreadable on unreadable.row_id = staged.rowid
            left join mended on mended.row_id = staged.rowid
            where _reason is not null and {_KEPT}
            union all
            select {fixed}, reason, null, {whole}, {file}, line, record, fingerprint, null, false from misfits
        )
        order by row_number
    """
