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

first_sessions as (

    select
        user_id,
        arg_min(channel, row(started_at, session_key)) as first_channel,
        arg_min(session_key, row(started_at, session_key)) as first_session_key
    from session_days
    group by user_id

)

select
    first_days.user_id,
    first_sessions.first_channel,
    first_sessions.first_session_key,
    first_days.first_dt,
    cast(date_trunc('week', first_days.first_dt) as date) as first_week
from first_days
inner join first_sessions
    on first_days.user_id = first_sessions.user_id
