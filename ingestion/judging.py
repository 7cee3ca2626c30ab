"""Whether a staged delivery may land, and what to say where it may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.conform import expected_of
from ingestion.files import UnsoundError
from ingestion.tables import line_sql
from mallard.errors import DeliveryRefusedError

if TYPE_CHECKING:
    import datetime as dt

    import duckdb

    from ingestion.contract import Contract
    from ingestion.deliveries import Delivery
    from ingestion.reading import Opened

# The longest part of a bad value that a message shows.
_SHOWN = 80


@dataclass(frozen=True)
class Facts:
    """What a staged delivery counts.

    ``misfits`` and ``unreadable`` lines are among the ``bad`` rows; ``set_aside`` ones, by the source's entry,
    are not. All of them are among ``rows_in``.
    """

    misfits: int
    rows_in: int
    set_aside: int
    bad: int
    unreadable: int
    has_doubles: bool
    first_day: dt.date | None
    last_day: dt.date | None


@dataclass(frozen=True)
class Checked:
    """What landing would make of a delivery.

    ``still_bad`` are mended rows that are bad all the same (row, line, reason); ``unmatched`` the numbers of
    the mends that found no row.
    """

    rows_in: int
    rows_bad: int
    is_refused: bool
    rows_mended: int
    unmatched: tuple[int, ...]
    still_bad: tuple[tuple[int, int | None, str], ...]


def judge(
    connection: duckdb.DuckDBPyConnection, contract: Contract, share: float, facts: Facts, opened: Opened
) -> None:
    """Refuse a staged delivery without rows where some are expected, or with too many bad ones.

    Raises:
        UnsoundError: it is refused, because of its first bad row in the order of the file.
    """
    if contract.expects_rows and facts.rows_in == facts.set_aside:
        raise UnsoundError(
            "All of its rows are set aside." if facts.rows_in else "The delivery is empty.",
            expected="at least one row",
            found=f"{facts.rows_in:,} rows, none of this table" if facts.rows_in else "no rows",
            mend="deliver the day again; which tables may be empty is said in their contracts",
        )
    # Rounded, because 0.01 times 2,900 may be a hair under 29.
    if facts.bad > round(share * facts.rows_in, 6):
        raise _too_many(connection, contract, share, facts, opened)


def _too_many(
    connection: duckdb.DuckDBPyConnection, contract: Contract, share: float, facts: Facts, opened: Opened
) -> UnsoundError:
    row, line, reason, name, value = connection.execute(
        f"""
        select
            coalesce(_position, record, staged.rowid + 1), {line_sql(opened)}, _reason, _column,
            _row_json ->> ('/' || _column),
        from staged
        left join places on places.row_id = staged.rowid
        where _reason is not null and not _is_set_aside
        union all
        select record, line, reason, '', null from misfits
        order by 1 limit 1
        """
    ).fetchall()[0]
    shown = "nothing" if value is None else repr(value[:_SHOWN])
    if contract.pii and value is not None:
        # A value in the wrong column may be personal, too.
        shown = "a value that is not shown, as the table holds personal data"
    return UnsoundError(
        f"{facts.bad:,} of {facts.rows_in:,} rows are bad ({facts.bad / facts.rows_in:.1%}), "
        f"more than the allowed {share:.1%}.",
        expected=f"in {name}: {expected_of(contract, name, reason)}" if name else "rows that can be read",
        found=f"{shown} ({reason})" if name else reason,
        row=row,
        line=line,
        column=name,
        mend="mend the source and deliver the day again",
    )


def refusal(delivery: Delivery, error: UnsoundError) -> DeliveryRefusedError:
    """What is wrong with a delivery, with its name and place."""
    places = [("line", error.line), ("row", error.row), ("column", error.column)]
    where = [
        f"source {delivery.source.name}, {delivery.path}",
        *(f"{name} {at}" for name, at in places if at),
    ]
    return DeliveryRefusedError(
        f"{delivery.name} was refused: {error.summary}",
        expected=error.expected,
        found=error.found,
        where=", ".join(where),
        mend=error.mend,
    )
