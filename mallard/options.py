"""What options of the command line mean."""

from __future__ import annotations

from datetime import date, datetime

from mallard.errors import SettingsError


def parse_day(text: str | None, option: str) -> date | None:
    """A day that was given as YYYY-MM-DD.

    Raises:
        SettingsError: it is none; ``option`` is named.
    """
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no day.",
            expected="a day as YYYY-MM-DD, such as 2025-11-11",
            where=option,
            mend="write it as the example",
        ) from error
