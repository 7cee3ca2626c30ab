"""What is known today and delivered later."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from simulator.arrays import Ints, Rows, take


class Outbox:
    """Rows by table and day of delivery. Memory holds what is not delivered yet, and no more."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._due: dict[tuple[str, int], list[Rows]] = defaultdict(list)

    def put(self, table: str, days: Ints, rows: Rows) -> None:
        """Keep rows for these days of delivery, in their order. What would come after the last day never comes."""
        if not len(days):
            return
        first = int(days[0])
        if (days == first).all():
            if first < self._days:
                self._due[table, first].append(rows)
            return
        order = np.argsort(days, kind="stable")
        sorted_days = days[order]
        edges = np.flatnonzero(np.r_[True, sorted_days[1:] != sorted_days[:-1]])
        for begin, end in zip(edges, [*edges[1:], len(days)], strict=True):
            day = int(sorted_days[begin])
            if day < self._days:
                self._due[table, day].append(take(rows, order[begin:end]))

    def collect(self, table: str, day: int) -> list[Rows]:
        """Hand out what is due, batch by batch."""
        return self._due.pop((table, day), [])
