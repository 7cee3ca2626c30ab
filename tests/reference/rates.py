"""Exchange rates onto the reporting currency."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING

from .days import shift
from .versions import newest

if TYPE_CHECKING:
    from datetime import date

    from .values import Row

MAX_AGE_DAYS = 7


class MissingRateError(LookupError):
    """A currency has no rate of the last 7 days: the audit would refuse."""


class Rates:
    """The latest rate of a currency that is at most 7 days old."""

    def __init__(self, rows: list[Row], currency: str) -> None:
        self.currency = currency
        self.rates: dict[str, dict[date, Fraction]] = defaultdict(dict)
        for row in newest(rows, "rate_date", "currency"):
            self.rates[row["currency"]][row["rate_date"]] = Fraction(row["rate_to_reporting"])

    def on(self, day: date, currency: str) -> Fraction:
        """Reporting currency per unit of ``currency``; the reporting currency itself is always 1.

        Raises:
            MissingRateError: no rate is dated from 7 days before ``day`` to ``day``.
        """
        if currency == self.currency:
            return Fraction(1)
        known = self.rates.get(currency, {})
        for age in range(MAX_AGE_DAYS + 1):
            if shift(day, -age) in known:
                return known[shift(day, -age)]
        message = f"no rate of {currency} in the {MAX_AGE_DAYS} days up to {day}"
        raise MissingRateError(message)
