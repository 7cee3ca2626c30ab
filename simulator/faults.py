"""The dials: what can be wrong with a feed that a warehouse has to live with."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mallard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

FAULTS: dict[str, str] = {
    "late": "1 % of the events and orders arrive 1 to 3 days after they happened",
    "duplicates": "rows come twice: in the same file, and events once more in the next delivery",
    "bad_rows": "a row in a few hundred does not fit its contract and has to be quarantined",
    "restated_spend": "ad platforms deliver a day's spend again 1, 2, 7 and 20 days later with other figures",
    "bots": "crawlers, and visitors with more than 500 events a day",
    "lost_session_ids": "8 % of the sessions have events without session_id",
    "no_session_ids": "neither events nor orders have a session_id at all",
    "session_ids_per_visitor": "a session_id is unique only together with its visitor_id",
    "fx_gaps": "no exchange rates on weekends",
    "brushing": "some merchants buy from themselves, and some orders come in bursts",
    "amended_orders": "some orders come again with other lines before they are paid",
    "new_columns": "half-way, files gain a column that no contract knows",
    "no_optional_tables": "no promotions, merchants, reviews, inventory or exchange rates are delivered",
}

DEMO_FAULTS = ("late", "duplicates", "restated_spend", "bad_rows")


def checked(faults: Collection[str]) -> frozenset[str]:
    """The faults asked for.

    Raises:
        SettingsError: one of them is not known; the message lists those that are.
    """
    for fault in faults:
        if fault not in FAULTS:
            near = difflib.get_close_matches(fault, FAULTS, 1)
            raise SettingsError(
                f"There is no fault {fault!r} to simulate.",
                expected=", ".join(FAULTS),
                found=fault,
                where="--faults",
                mend=f"--faults {near[0] if near else ','.join(DEMO_FAULTS)}",
            )
    return frozenset(faults)
