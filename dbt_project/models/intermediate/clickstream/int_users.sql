-- Each user's first active day and the channel of its first session; bots are none.
with user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

session_days as (

    select *
    from {{ ref('int_session_days') }}
    where not is_bot

),

first_days as (

    select
        user_id,
        min(dt) as first_dt
    from user_days
    group by user_id

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

first_sessions as (

    -- The earliest session of no bot; where all of a person lies in sessions that a bot began,
    -- the earliest of those.
    select
        session_days.user_id,
        arg_min(
            sessions.session_key,
            row(sessions.is_bot, sessions.started_at, sessions.first_event_id)
        ) as first_session_key
    from session_days
    inner join sessions
        on session_days.session_key = sessions.session_key
    group by session_days.user_id

)

select
    first_days.user_id,
    sessions.channel as first_channel,
    sessions.campaign_id as first_campaign_id,
    first_sessions.first_session_key,
    first_days.first_dt,
    cast(date_trunc('week', first_days.first_dt) as date) as first_week
from first_days
inner join first_sessions
    on first_days.user_id = first_sessions.user_id
inner join sessions
    on first_sessions.first_session_key = sessions.session_key
