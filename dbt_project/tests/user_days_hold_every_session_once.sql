-- What: fct_user_days, fct_sessions and the days of sessions agree on sessions, events, page views
-- and active seconds of everyone but bots.
-- Why: all three are kept per visitor from run to run; a visitor that is forgotten in one of them
-- but not in the others would count twice.
-- A returned row is a total on which they disagree.
with user_days as (

    select
        coalesce(sum(sessions), 0) as sessions,
        coalesce(sum(active_seconds), 0) as active_seconds,
        coalesce(sum(events), 0) as events,
        coalesce(sum(page_views), 0) as page_views
    from {{ ref('fct_user_days') }}
    where not is_bot

),

sessions as (

    select
        count(*) as sessions,
        coalesce(sum(active_seconds), 0) as active_seconds
    from {{ ref('fct_sessions') }}
    where not is_bot

),

session_days as (

    select
        coalesce(sum(events), 0) as events,
        coalesce(sum(page_views), 0) as page_views
    from {{ ref('int_session_days') }}
    where not is_bot

),

all_events as (

    select
        (select coalesce(sum(events), 0) from {{ ref('fct_sessions') }}) as events_of_sessions,
        (select coalesce(sum(events), 0) from {{ ref('int_session_days') }}) as events_of_days

)

select
    user_days.sessions,
    sessions.sessions as sessions_of_sessions,
    user_days.events,
    session_days.events as events_of_session_days,
    all_events.events_of_sessions,
    all_events.events_of_days
from user_days
cross join sessions
cross join session_days
cross join all_events
where
    user_days.sessions != sessions.sessions
    or user_days.active_seconds != sessions.active_seconds
    or user_days.events != session_days.events
    or user_days.page_views != session_days.page_views
    or all_events.events_of_sessions != all_events.events_of_days
