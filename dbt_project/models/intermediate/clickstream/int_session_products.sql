{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

-- What happened to a product in a session, by business day, hour, page type and slot.
with events as (

    select *
    from {{ ref('int_events') }}
    where
        event_type in ('impression', 'click', 'add_to_cart')
        or (event_type = 'page_view' and page_type = 'detail')

),

sessions as (

    select * from {{ ref('fct_sessions') }}

)

select
    events.visitor_id,
    events.session_key,
    sessions.user_id,
    events.product_id,
    events.page_type,
    events.slot_id,
    events.dt,
    events.hour,
    events.is_bot,
    count(*) filter (where events.event_type = 'impression') as impressions,
    count(*) filter (where events.event_type = 'click') as clicks,
    count(*) filter (where events.event_type = 'page_view') as detail_views,
    count(*) filter (where events.event_type = 'add_to_cart') as carts
from events
inner join sessions
    on events.session_key = sessions.session_key
group by
    events.visitor_id,
    events.session_key,
    sessions.user_id,
    events.product_id,
    events.page_type,
    events.slot_id,
    events.dt,
    events.hour,
    events.is_bot
