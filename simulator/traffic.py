"""A day's visits: who comes, when, by which way, on which device, and all the events of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator import pages as walking
from simulator.arrays import HOUR, MINUTE, NONE, Flags, Ints, Rows, pick, rank_in_groups, stream, take
from simulator.catalogue import SEARCHES, Catalogue
from simulator.touches import DIRECT, FIRST_WEIGHTS, IS_DEEP, LATER_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.calendar import Calendar
    from simulator.pages import Pages
    from simulator.people import People

# Two sessions of a household never touch, so that those without an id are cut as they were lived.
_BREAK = 31 * MINUTE
_MOST_SESSIONS = 3
# People who are held in memory with their events at a time: some quarter of a million events.
_CHUNK = 25_000


@dataclass
class Browsing:
    """Sessions of a day with their events, both in the order of ``session`` numbers.

    ``sessions`` has person, visitor, device, variant, begins_at, touch, nth (of the household's day), customer (at
    the end), guest (bought as one). ``events`` has the columns of the feed, and ``at_session``: a place in ``sessions``.
    ``purchases`` has, for each order to be: at_session, ordered_at.
    """

    sessions: Rows
    events: Rows
    purchases: Rows
    carted: Rows
    """What each buying session put into its cart: at_session, product."""


class Traffic:
    """Makes the sessions of one day after the other."""

    def __init__(
        self, calendar: Calendar, people: People, catalogue: Catalogue, *, seed: int, faults: frozenset[str]
    ) -> None:
        self.calendar = calendar
        self.people = people
        self.catalogue = catalogue
        self.seed = seed
        self.faults = faults
        self.sessions = 0
        self.events = 0
        # The experiment on product pages runs in the middle of the simulated time.
        self.experiment = range(calendar.days // 5, max(calendar.days * 4 // 5, calendar.days // 5 + 1))

    def browse(self, day: int) -> Iterator[Browsing]:
        """The visits of a day, of some ten thousand people at a time."""
        rng = stream(self.seed, 5, day)
        coming = self.people.coming(rng, day)
        for first in range(0, len(coming), _CHUNK):
            yield self._browse(rng, day, coming[first : first + _CHUNK])

    def _browse(self, rng: np.random.Generator, day: int, coming: Ints) -> Browsing:
        people, calendar = self.people, self.calendar
        size = len(coming)
        again = 3 if calendar.festival[day] > 5 else 1
        times = 1 + (rng.random(size) < 0.14 * again) + (rng.random(size) < 0.03 * again)
        # Two who share a device come twice at most: together they stay under 500 events a day.
        times = np.where(people.is_sharing[coming], np.minimum(times, _MOST_SESSIONS - 1), times)
        person = np.repeat(coming, times)
        device = people.device_of[
            person, (people.has_second_device[person] & (rng.random(len(person)) < 0.3)) * 1
        ]
        is_first_visit = people.visitor_of[device] < 0
        touch = np.where(
            is_first_visit, pick(rng, FIRST_WEIGHTS, len(person)), pick(rng, LATER_WEIGHTS, len(person))
        )
        variant = self._variant(people.device_of[person, 0])
        eagerness = people.propensity[person].astype(np.float64)
        eagerness = eagerness * (1.4 if calendar.festival[day] > 5 else 1.0)
        if day in self.experiment:
            eagerness = eagerness * np.where(variant == 1, 1.2, 1.0)
        pages = walking.walk(rng, self.catalogue, is_deep=IS_DEEP[touch], eagerness=eagerness)

        length = int(calendar.starts[day + 1] - calendar.starts[day])
        hour = pick(rng, calendar.hours, len(person))
        offset = hour * HOUR + rng.integers(0, HOUR, len(person))
        kept, begins_at, nth = self._without_overlaps(
            day, person, calendar.starts[day] + np.minimum(offset, length - 1), pages.durations
        )
        pages = pages.keep(kept)
        person, device, touch, variant = person[kept], device[kept], touch[kept], variant[kept]
        # Now and then a browser forgets its cookies, and its person is a new visitor.
        forgets = device[(rng.random(len(kept)) < 0.008) & ~people.is_sharing[person]]
        people.visitor_of[forgets] = NONE
        people.logged_in[forgets] = NONE
        sessions: Rows = {
            "session": self.sessions + np.arange(len(kept)),
            "person": person,
            "visitor": people.visitors_of(device),
            "begins_at": begins_at,
            "touch": touch,
            "nth": nth,
            "device": device,
            "variant": variant,
        }
        self.sessions += len(kept)
        login_page = self._logins(rng, pages, sessions)
        sessions["guest"] = (pages.is_buying & (login_page == NONE)).astype(np.int64)
        return self._with_events(rng, day, pages, sessions, login_page)

    def _variant(self, device: Ints) -> Ints:
        """Half of the people see the one variant, half the other, by a hash of their first device."""
        return (device * 2_654_435_761 >> 13) & 1

    def _without_overlaps(
        self, day: int, person: Ints, wanted: Ints, durations: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """The sessions that find a place in the day of their household, when they begin, the how-manieth each is."""
        busy = self.people.busy_until
        household = self.people.household[person]
        order = np.lexsort((wanted, household))
        rank = rank_in_groups(household[order])
        begins_at = np.full(len(person), NONE)
        for nth in range(int(rank.max(initial=-1)) + 1):
            now = order[rank == nth]
            homes = household[now]
            begins = np.maximum(wanted[now], busy[homes] + _BREAK)
            fits = begins < self.calendar.starts[day + 1]
            begins_at[now[fits]] = begins[fits]
            busy[homes[fits]] = (begins + durations[now])[fits]
        has_place = begins_at[order] >= 0
        kept = order[has_place]
        return kept, begins_at[kept], rank[has_place]

    def _logins(self, rng: np.random.Generator, pages: Pages, sessions: Rows) -> Ints:
        """The page of each session from which on its person is logged in: NONE where that never happens."""
        people, person, device = self.people, sessions["person"], sessions["device"]
        size = len(person)
        is_known = people.customer_of[person] >= 0
        stays = is_known & (people.logged_in[device] == person) & (rng.random(size) < 0.85)
        is_guest = pages.is_buying & ~stays & (rng.random(size) < np.where(is_known, 0.06, 0.3))
        random_page = (rng.random(size) * pages.counts).astype(np.int64)
        # Who shares a device has reason to say who is there.
        wants = rng.random(size) < np.where(people.is_sharing[person], 0.4, np.where(is_known, 0.16, 0.025))
        login = np.where(wants & ~is_guest, random_page, NONE)
        # Who buys logs in on the page before the confirmation, at the latest.
        buys = pages.is_buying & ~is_guest
        login = np.where(buys & ((login < 0) | (login > pages.counts - 2)), pages.counts - 2, login)
        login = np.where(stays, 0, login)
        # Nobody logs in after the last day has ended.
        at = np.where(
            login >= 0, sessions["begins_at"] + pages.began_at[pages.begins + np.maximum(login, 0)], NONE
        )
        login = np.where(at < self.calendar.end, login, NONE)
        happens = login >= 0

        fresh = np.flatnonzero(happens & ~is_known)
        fresh = fresh[np.lexsort((at[fresh], person[fresh]))]
        fresh = fresh[rank_in_groups(person[fresh]) == 0]
        fresh = fresh[np.argsort(at[fresh], kind="stable")]
        people.register(rng, person[fresh], at[fresh] - 1)
        remembers = np.flatnonzero(happens & (rng.random(size) < 0.8))
        people.logged_in[device[remembers]] = person[remembers]
        sessions["customer"] = np.where(happens, people.customer_of[person], NONE)
        return login

    def _with_events(
        self, rng: np.random.Generator, day: int, pages: Pages, sessions: Rows, login_page: Ints
    ) -> Browsing:
        catalogue, calendar = self.catalogue, self.calendar
        device, variant = sessions["device"], sessions["variant"]
        seen = walking.happen(rng, catalogue, pages)
        row, session = seen.row, pages.session[seen.row]
        page_at = sessions["begins_at"][pages.session] + pages.began_at
        promotion = self._promotion(rng, day, len(pages.page))
        is_view = seen.kind == walking.VIEW
        events: Rows = {
            "at_session": session,
            "happened": page_at[row] + seen.after,
            "visitor": sessions["visitor"][session],
            "customer": np.where(
                (login_page[session] >= 0) & (pages.place[row] >= login_page[session]),
                sessions["customer"][session],
                NONE,
            ),
            "kind": seen.kind,
            "page": pages.page[row],
            "product": seen.product,
            "slot": seen.slot,
            "query": np.where(seen.kind == walking.SEARCHED, rng.integers(0, len(SEARCHES), len(row)), NONE),
            "promotion": np.where(is_view & (pages.page[row] == walking.ACTIVITY), promotion[row], NONE),
            "touch": np.where(is_view, self._page_touches(rng, pages, sessions["touch"])[row], NONE),
            "device": self.people.device_kind[device][session].astype(np.int64),
            "agent": self.people.device_agent[device][session].astype(np.int64),
            "variant": np.where(
                (day in self.experiment) & is_view & (pages.page[row] == walking.DETAIL),
                variant[session],
                NONE,
            ),
        }
        events["kept_id"] = self._kept_ids(rng, pages, sessions, row).astype(np.int64)

        # An order is placed just before its confirmation shows, and it and its purchase event happen, or neither.
        last = pages.begins + pages.counts - 1
        told_at = page_at[last] + pages.dwell[last] * 7 // 10
        buying = np.flatnonzero(pages.is_buying & (told_at < calendar.end))
        purchases = {"at_session": buying, "ordered_at": page_at[last[buying]] - 300}
        carts = np.flatnonzero(pages.is_carting & pages.is_buying[pages.session])
        carted = {"at_session": pages.session[carts], "product": pages.product[carts]}
        happened = events["happened"] < calendar.end
        return Browsing(sessions, take(events, happened) if not happened.all() else events, purchases, carted)

    def _page_touches(self, rng: np.random.Generator, pages: Pages, touch: Ints) -> Ints:
        """What each page view carries: the session's touch on its first page, another one on some later page."""
        touches = np.where(pages.place == 0, touch[pages.session], NONE)
        again = (pages.place > 0) & (pages.page < walking.CART) & (rng.random(len(pages.page)) < 0.004)
        touches[again] = pick(rng, LATER_WEIGHTS, int(again.sum()))
        touches[again & (touches == DIRECT)] = NONE
        return touches

    def _promotion(self, rng: np.random.Generator, day: int, size: int) -> Ints:
        running = self.catalogue.promotions.running(self.calendar, day)
        return running[rng.integers(0, len(running), size)] if len(running) else np.full(size, NONE)

    def _kept_ids(self, rng: np.random.Generator, pages: Pages, sessions: Rows, row: Ints) -> Flags:
        """Which events have their session's id: all, if it is not for the fault."""
        if "no_session_ids" in self.faults:
            return np.zeros(len(row), dtype=np.bool_)
        if "lost_session_ids" not in self.faults:
            return np.ones(len(row), dtype=np.bool_)
        luck = rng.random(len(sessions["session"]))
        # In most of the sessions hit all ids are lost, in some those from a random page on.
        loses_from = np.where(luck < 0.06, 0, np.where(luck < 0.08, 1, 99))
        return pages.place[row] < loses_from[pages.session[row]]
