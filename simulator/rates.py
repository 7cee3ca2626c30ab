"""Exchange rates: a slow random walk per currency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.arrays import Ints, Rows, stream

if TYPE_CHECKING:
    from simulator.calendar import Calendar

# Dollars for one unit, roughly those of 2025; half a dollar for those not listed.
_DOLLARS = {
    "USD": 1.0, "EUR": 1.16, "GBP": 1.34, "CHF": 1.25, "CAD": 0.72, "AUD": 0.65, "JPY": 0.0067, "CNY": 0.14, "INR": 0.0113,
}  # fmt: skip


class Rates:
    """Rates to the reporting currency (the first one) in millionths, by currency and day.

    Rates of two more currencies than the shop's own are delivered: a treasury does not ask what is used.
    """

    def __init__(
        self, calendar: Calendar, currencies: tuple[str, ...], *, seed: int, faults: frozenset[str]
    ) -> None:
        self.calendar = calendar
        others = [code for code in ("EUR", "GBP", "USD") if code not in currencies][:2]
        self.codes = (*currencies, *others)
        rng = stream(seed, 6)
        steps = rng.normal(0, 0.004, (len(self.codes), calendar.days)).cumsum(axis=1)
        level = np.array([_DOLLARS.get(code, 0.5) / _DOLLARS.get(currencies[0], 0.5) for code in self.codes])[
            :, None
        ]
        self._rates = np.maximum(np.rint(level * np.exp(steps) * 1_000_000), 1).astype(np.int64)
        self._rates[0] = 1_000_000
        # The first day always has one: without any, nothing could be converted.
        self.is_open = np.ones(calendar.days, dtype=np.bool_)
        if "fx_gaps" in faults:
            self.is_open = np.array(
                [day == 0 or calendar.date(day).weekday() < 5 for day in range(calendar.days)]
            )
            for day in np.flatnonzero(~self.is_open):
                self._rates[:, day] = self._rates[:, day - 1]

    def of(self, currency: Ints, day: Ints) -> Ints:
        """The rate that counts on each day: its own, else the latest before it."""
        rates: Ints = self._rates[currency, day]
        return rates

    def rows(self, day: int) -> Rows:
        """The day's delivery; no rows on a day without a fixing."""
        currency = np.arange(1, len(self.codes)) if self.is_open[day] else np.zeros(0, dtype=np.int64)
        days = np.full(len(currency), self.calendar.first_ordinal + day)
        return {"rate_date": days, "currency": currency, "rate": self._rates[currency, day]}
