-- One row per user and business day with an event. A day of nothing but bot traffic is flagged.
with session_days as (

    select * from {{ ref('int_session_days') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

active_days as (

    select
        user_id,
        dt,
        bool_and(is_bot) as is_bot,
        cast(coalesce(sum(events) filter (where not is_bot), 0) as bigint) as events,
        cast(coalesce(sum(page_views) filter (where not is_bot), 0) as bigint) as page_views
    from session_days
    group by user_id, dt

),

begun as (

    -- Sessions and active seconds belong to the day on which the session began.
    select
        user_id,
        dt,
        count(*) as sessions,
        sum(active_seconds) as active_seconds,
        arg_min(channel, row(started_at, first_event_id)) as channel
    from sessions
    where not is_bot
    group by user_id, dt

)

select
    -- ids
    active_days.user_id,
    -- texts: of the day's first session; of a day that only ends a session from before midnight,
    -- none
    begun.channel,
    -- numbers
    active_days.events,
    active_days.page_views,
    coalesce(begun.sessions, 0) as sessions,
    coalesce(begun.active_seconds, 0) as active_seconds,
    -- flags
    active_days.is_bot,
    -- times
    active_days.dt
from active_days
left join begun
    on
        active_days.user_id = begun.user_id
        and active_days.dt = begun.dt
