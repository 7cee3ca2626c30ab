"""Who a visitor is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from .sessions import Event, Session


@dataclass(slots=True)
class User:
    """Somebody who was active, bots left out."""

    user_id: str
    active_days: set[date]
    first_session: Session
    sessions: list[Session] = field(default_factory=list)

    @property
    def first_day(self) -> date:
        """The first active day ever."""
        return min(self.active_days)


def known_visitors(events: list[Event]) -> dict[str, str]:
    """visitor_id -> user_id of every visitor: a customer where its events name exactly one."""
    named: dict[str, set[str]] = defaultdict(set)
    for event in events:
        named[event.visitor_id].update(filter(None, [event.text("customer_id")]))
    return {
        visitor: f"c:{next(iter(customers))}" if len(customers) == 1 else f"v:{visitor}"
        for visitor, customers in named.items()
    }


def name_sessions(sessions: list[Session], visitors: dict[str, str]) -> None:
    """Give each session its user: the last customer that it names, else its visitor's."""
    for session in sessions:
        customer = session.customer_id
        session.user_id = f"c:{customer}" if customer else visitors[session.visitor_id]


def active_users(events: list[Event], sessions: list[Session]) -> dict[str, User]:
    """user_id -> user, from events and sessions (in order) of no bot.

    A user whose only events of no bot lie in a bot's session (begun the day before) has that session first.
    """
    users: dict[str, User] = {}
    for event in events:
        if not event.is_bot and event.session is not None:
            user = users.setdefault(event.user_id, User(event.user_id, set(), event.session))
            user.active_days.add(event.day)
    for session in sessions:
        if not session.is_bot:
            users[session.user_id].sessions.append(session)
    for user in users.values():
        if user.sessions:
            user.first_session = user.sessions[0]
    return users
