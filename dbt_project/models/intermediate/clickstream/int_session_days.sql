{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

-- A session across midnight is active on both days: UV and PV go by the events' own day.
with events as (

    select * from {{ ref('int_events') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

)

select
    events.visitor_id,
    events.session_key,
    sessions.user_id,
    events.dt,
    events.is_bot,
    min(events.event_at) as first_event_at,
    count(*) as events,
    count(*) filter (where events.event_type = 'page_view') as page_views
from events
inner join sessions
    on events.session_key = sessions.session_key
group by
    events.visitor_id,
    events.session_key,
    sessions.user_id,
    events.dt,
    events.is_bot
