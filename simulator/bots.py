"""Visitors who are no people: crawlers by their user agent, scripts by their diligence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator import pages as walking
from simulator.arrays import HOUR, NONE, SECOND, Rows, stream, take, within_groups
from simulator.touches import DIRECT

if TYPE_CHECKING:
    from simulator.calendar import Calendar
    from simulator.catalogue import Catalogue

AGENTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.32.3",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0 Safari/537.36",
    "curl/8.9.1",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
)
FIRST_AGENT = 100
"""Agents from this number on are those of bots."""
MOST_EVENTS = 500
"""A visitor with more events than this on a day is a bot; with exactly as many it is not yet one."""


def crawl(
    catalogue: Catalogue, calendar: Calendar, day: int, *, seed: int, visitors: int, people: int
) -> tuple[Rows, Rows]:
    """A day's events of bots, and those of the keen visitor who stays just below the limit.

    ``visitors`` is the first number that no visitor has yet, ``people`` how many came on the day.
    """
    rng = stream(seed, 8, day)
    crawlers = max(2, people // 150)
    counts = rng.integers(5, 90, crawlers)
    has_script = day % 5 == 2
    if has_script:
        counts = np.r_[counts, rng.integers(MOST_EVENTS + 1, MOST_EVENTS + 250), MOST_EVENTS]
    group, place = within_groups(counts)
    # All within the day: a session's and an event's day are the same.
    begins = calendar.starts[day] + 2 * HOUR + rng.integers(0, 15 * HOUR, len(counts))
    gap = rng.integers(1 * SECOND, 20 * SECOND, len(counts))
    is_crawler = group < crawlers
    size = len(group)
    nothing = np.full(size, NONE)
    events: Rows = {
        "at_session": group,
        "session": np.where(is_crawler, NONE, group),
        "nth": np.where(is_crawler, NONE, 0),
        "session_day": np.full(size, day),
        "kept_id": (~is_crawler).astype(np.int64),
        "happened": begins[group] + place * gap[group],
        "visitor": visitors + group,
        "customer": nothing,
        "kind": np.full(size, walking.VIEW),
        "page": np.full(size, walking.DETAIL),
        "product": catalogue.draw(rng, size),
        "slot": nothing,
        "query": nothing,
        "promotion": nothing,
        "order": nothing,
        "by_id": np.zeros(size, dtype=np.int64),
        "is_paid": np.zeros(size, dtype=np.int64),
        "touch": np.where(place == 0, DIRECT, NONE),
        "device": np.zeros(size, dtype=np.int64),
        "agent": np.where(is_crawler, FIRST_AGENT + group % len(AGENTS), 0),
        "variant": nothing,
    }
    is_keen = group == (len(counts) - 1 if has_script else NONE)
    return take(events, ~is_keen), take(events, is_keen)
