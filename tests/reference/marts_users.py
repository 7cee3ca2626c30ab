"""Who came and came back: ``active_users``, ``retention``, ``retention_weekly``."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from .days import shift, week_of
from .values import Row, rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Facts
    from .identity import User

RETENTION_DAYS = (1, 3, 7, 14, 30, 60, 90)
RETENTION_WEEKS = range(13)


def active_users(facts: Facts) -> list[Row]:
    """One row per day."""
    active_on: dict[date, set[str]] = defaultdict(set)
    for user in facts.users.values():
        for day in user.active_days:
            active_on[day].add(user.user_id)

    def active_in(days: int, last: date) -> int | None:
        first = shift(last, 1 - days)
        if facts.first_day is None or first < facts.first_day:
            return None
        return len(set().union(*(active_on[shift(first, number)] for number in range(days))))

    rows: list[Row] = []
    for day in facts.days:
        users = active_on[day]
        sessions = facts.sessions_on.get(day, [])
        active = sum((session.active_time for session in sessions), timedelta())
        new_users = sum(facts.users[user].first_day == day for user in users)
        payers = users & {order.buyer for order in facts.paid_on.get(day, [])}
        mau = active_in(30, day)
        rows.append(
            {
                "dt": day,
                "dau": len(users),
                "wau": active_in(7, day),
                "mau": mau,
                "new_users": new_users,
                "returning_users": len(users) - new_users,
                "stickiness": rate(len(users), mau),
                "sessions_per_user": rate(len(sessions), len(users)),
                "active_seconds_per_user": rate(
                    Fraction(active // timedelta(microseconds=1), 10**6), len(users)
                ),
                "bounce_rate": rate(sum(session.is_bounce for session in sessions), len(sessions)),
                "payer_rate": rate(len(payers), len(users)),
            }
        )
    return rows


def cohorts(facts: Facts, *, weekly: bool) -> Iterator[tuple[date, str, list[User]]]:
    """(first day or week, channel of the first session or ``all``, users) of each cohort with a user."""
    found: dict[tuple[date, str], list[User]] = defaultdict(list)
    for user in facts.users.values():
        first = week_of(user.first_day) if weekly else user.first_day
        found[first, user.first_session.channel].append(user)
        found[first, "all"].append(user)
    for (first, channel), users in found.items():
        yield first, channel, users


def retention(facts: Facts) -> list[Row]:
    """One row per cohort day, channel and number of days."""
    rows: list[Row] = []
    for cohort_dt, channel, users in cohorts(facts, weekly=False):
        for day_n in RETENTION_DAYS:
            day = shift(cohort_dt, day_n)
            is_mature = day <= facts.as_of
            retained = sum(day in user.active_days for user in users)
            rows.append(
                {
                    "cohort_dt": cohort_dt,
                    "channel": channel,
                    "day_n": day_n,
                    "cohort_size": len(users),
                    "retained": retained if is_mature else None,
                    "retention_rate": rate(retained, len(users)) if is_mature else None,
                    "is_mature": is_mature,
                }
            )
    return rows


def retention_weekly(facts: Facts) -> list[Row]:
    """One row per cohort week, channel and number of weeks; a week is mature when it is over."""
    rows: list[Row] = []
    for cohort_week, channel, users in cohorts(facts, weekly=True):
        for week_n in RETENTION_WEEKS:
            week = shift(cohort_week, 7 * week_n)
            is_mature = shift(week, 6) <= facts.as_of
            retained = sum(any(week_of(day) == week for day in user.active_days) for user in users)
            rows.append(
                {
                    "cohort_week": cohort_week,
                    "channel": channel,
                    "week_n": week_n,
                    "cohort_size": len(users),
                    "retained": retained if is_mature else None,
                    "retention_rate": rate(retained, len(users)) if is_mature else None,
                    "is_mature": is_mature,
                }
            )
    return rows
