"""Events, the sessions that they make, and who of them is a bot."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from .versions import newest

if TYPE_CHECKING:
    from .days import Clock
    from .seeds import Seeds
    from .values import Row

HALF_AN_HOUR = timedelta(minutes=30)
_HOST = re.compile(r"^(?:(?:[a-z][a-z0-9+.-]*:)?//)?([^/?#]*)", re.IGNORECASE)


@dataclass(slots=True)
class Event:
    """One event that has happened by ``as_of``."""

    event_id: str
    at: datetime
    day: date
    visitor_id: str
    row: Row
    is_bot: bool = False
    session: Session | None = None

    def text(self, column: str) -> str | None:
        """An optional text column."""
        value: str | None = self.row.get(column)
        return value

    @property
    def kind(self) -> str:
        """Its ``event_type``."""
        kind: str = self.row["event_type"]
        return kind

    @property
    def order_key(self) -> tuple[datetime, str]:
        """Time, and ``event_id`` where times tie."""
        return (self.at, self.event_id)

    @property
    def user_id(self) -> str:
        """Its session's user."""
        assert self.session is not None
        return self.session.user_id

    def is_view_of(self, page_type: str) -> bool:
        """Whether it is a ``page_view`` of that type of page."""
        return self.kind == "page_view" and self.text("page_type") == page_type


@dataclass(slots=True, eq=False)
class Session:
    """A visit: its events in order, and what follows from them."""

    UNKNOWN_DEVICE: ClassVar[str] = "unknown"

    visitor_id: str
    session_id: str | None
    events: list[Event]
    channel: str = ""
    campaign_id: str = ""
    user_id: str = ""
    is_bot: bool = False

    @property
    def start(self) -> datetime:
        return self.events[0].at

    @property
    def end(self) -> datetime:
        return self.events[-1].at

    @property
    def order_key(self) -> tuple[datetime, str]:
        """When it began, and its first ``event_id`` where times tie."""
        return self.events[0].order_key

    @property
    def day(self) -> date:
        """The business day of its first event."""
        return self.events[0].day

    @property
    def device(self) -> str:
        """The first known one."""
        known = (event.text("device") for event in self.events)
        return next((device for device in known if device), self.UNKNOWN_DEVICE)

    @property
    def active_time(self) -> timedelta:
        """Its gaps added up, each counted as at most 30 minutes."""
        gaps = (later.at - earlier.at for earlier, later in pairwise(self.events))
        return sum((min(gap, HALF_AN_HOUR) for gap in gaps), timedelta())

    @property
    def is_bounce(self) -> bool:
        """Exactly one page view and nothing else but impressions."""
        kinds = Counter(event.kind for event in self.events)
        return kinds["page_view"] == 1 and set(kinds) <= {"page_view", "impression"}

    @property
    def customer_id(self) -> str | None:
        """The last customer that its events name."""
        named = (event.text("customer_id") for event in reversed(self.events))
        return next((customer for customer in named if customer), None)


def read_events(rows: list[Row], as_of: date, clock: Clock, seeds: Seeds) -> list[Event]:
    """The newest version of each event dated up to ``as_of``, in order, bots flagged by visitor-day."""
    events = [
        Event(row["event_id"], row["event_at"], clock.day(row["event_at"]), row["visitor_id"], row)
        for row in newest(rows, "event_id")
    ]
    events = sorted((event for event in events if event.day <= as_of), key=lambda event: event.order_key)
    visitor_days: dict[tuple[str, date], list[Event]] = defaultdict(list)
    for event in events:
        visitor_days[event.visitor_id, event.day].append(event)
    patterns = [pattern.lower() for pattern in seeds.bot_agents]
    for held in visitor_days.values():
        agents = {(event.text("user_agent") or "").lower() for event in held}
        is_bot = len(held) > seeds.bot_events_per_day or any(
            pattern in agent for pattern in patterns for agent in agents
        )
        for event in held:
            event.is_bot = is_bot
    return events


def cut_sessions(events: list[Event], seeds: Seeds) -> list[Session]:
    """The sessions of ``events`` (in order), sorted by their beginning, with channel and bot flag.

    Events with a ``session_id`` make a session with those of the same visitor and id; those without one are
    cut per visitor, among themselves, where more than 30 minutes pass.
    """
    named: dict[tuple[str, str], Session] = {}
    cut: dict[str, Session] = {}
    sessions: list[Session] = []
    for event in events:
        session_id = event.text("session_id")
        if session_id:
            session = named.get((event.visitor_id, session_id))
        else:
            session = cut.get(event.visitor_id)
            if session and event.at - session.end > HALF_AN_HOUR:
                session = None
        if session is None:
            session = Session(event.visitor_id, session_id, [])
            sessions.append(session)
            if session_id:
                named[event.visitor_id, session_id] = session
            else:
                cut[event.visitor_id] = session
        session.events.append(event)
        event.session = session
    for session in sessions:
        session.is_bot = session.events[0].is_bot
        session.channel, session.campaign_id = origin(session, seeds)
    return sorted(sessions, key=lambda session: session.order_key)


def host_of(url: str | None) -> str:
    """The host of an address in lower case, without user or port; empty where it names none."""
    match = _HOST.match(url or "")
    host = match.group(1).lower() if match else ""
    return re.sub(r":\d*$", "", host.rpartition("@")[2])


def outside_host(event: Event, seeds: Seeds) -> str:
    """The host of the event's referrer, empty where there is none or it is the shop's own."""
    host = host_of(event.text("referrer"))
    own = seeds.own_hosts or {host_of(event.text("page_url"))}
    return "" if host in own else host


def origin(session: Session, seeds: Seeds) -> tuple[str, str]:
    """Channel and campaign: from the first event with any ``utm_*``, else the first outside referrer."""
    utm = ("utm_source", "utm_medium", "utm_campaign")
    tagged = [event for event in session.events if any(event.text(column) for column in utm)]
    referred = [event for event in session.events if outside_host(event, seeds)]
    event = next(iter([*tagged, *referred]), None)
    if event is None:
        return "direct", ""
    source, medium, campaign = (event.text(column) or "" for column in utm)
    host = outside_host(event, seeds)
    hits = (rule.channel for rule in seeds.channel_rules if rule.matches(source, medium, host))
    return next(hits, "other"), seeds.campaigns.get(campaign, campaign)
