{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

with events as (

    select * from {{ ref('int_events') }}

),

visitors as (

    select * from {{ ref('int_visitors') }}

),

session_channels as (

    select * from {{ ref('int_session_channels') }}

),

sessions as (

    select
        visitor_id,
        session_key,
        any_value(session_id) as session_id,
        min(event_at) as started_at,
        max(event_at) as ended_at,
        arg_min(event_id, event_number) as first_event_id,
        arg_min(dt, event_number) as dt,
        arg_min(is_bot, event_number) as is_bot,
        arg_max(customer_id, event_number) filter (where customer_id is not null)
            as named_customer_id,
        arg_min(device, event_number) filter (where device is not null) as device,
        count(*) as events,
        count(*) filter (where event_type = 'page_view') as page_views,
        count(*) filter (where event_type not in ('page_view', 'impression')) as other_events,
        sum(
            case
                when gap_microseconds > {{ var('session_gap_minutes') }} * 60000000
                    then {{ var('session_gap_minutes') }} * 60000000
                else gap_microseconds
            end
        ) as active_microseconds,
        min(event_at) filter (where event_type = 'page_view' and page_type = 'detail')
            as viewed_at,
        min(event_number) filter (where event_type = 'page_view' and page_type = 'detail')
            as viewed_number,
        min(event_at) filter (where event_type = 'add_to_cart') as any_carted_at,
        min(event_at) filter (
            where event_type = 'checkout' or (event_type = 'page_view' and page_type = 'checkout')
        ) as any_checked_out_at,
        max(event_at) filter (
            where event_type = 'checkout' or (event_type = 'page_view' and page_type = 'checkout')
        ) as last_checked_out_at
    from events
    group by visitor_id, session_key

),

first_carts as (

    -- The first cart at or after the first view: not always the first cart of the session.
    select
        sessions.session_key,
        min(events.event_at) as carted_at
    from events
    inner join sessions
        on events.session_key = sessions.session_key
    where
        events.event_type = 'add_to_cart'
        and events.event_at >= sessions.viewed_at
    group by sessions.session_key

),

page_paths as (

    -- The page types up to the first detail page; runs of one type count once.
    select
        events.session_key,
        array_to_string(
            list(events.page_type order by events.event_number), '>'
        ) as page_path
    from (
        select
            listed.session_key,
            listed.event_number,
            listed.page_type,
            lag(listed.page_type) over (
                partition by listed.session_key order by listed.event_number
            ) as page_type_before
        from events as listed
        inner join sessions
            on listed.session_key = sessions.session_key
        where
            listed.event_type = 'page_view'
            and listed.page_type in ('home', 'list', 'search', 'activity', 'detail')
            and listed.event_number <= sessions.viewed_number
    ) as events
    where events.page_type is distinct from events.page_type_before
    group by events.session_key

)

select
    -- ids
    sessions.session_key,
    sessions.visitor_id,
    sessions.session_id,
    sessions.first_event_id,
    coalesce(sessions.named_customer_id, visitors.customer_id) as customer_id,
    coalesce('c:' || sessions.named_customer_id, visitors.user_id) as user_id,
    coalesce(session_channels.campaign_id, '') as campaign_id,
    -- texts
    coalesce(session_channels.channel, 'direct') as channel,
    coalesce(sessions.device, 'unknown') as device,
    session_channels.utm_source,
    session_channels.utm_medium,
    session_channels.utm_campaign,
    session_channels.referrer_host,
    page_paths.page_path,
    -- numbers
    sessions.events,
    sessions.page_views,
    cast(coalesce(sessions.active_microseconds, 0) as decimal(24, 0)) * 0.000001 as active_seconds,
    -- flags
    sessions.is_bot,
    sessions.page_views = 1 and sessions.other_events = 0 as is_bounce,
    sessions.viewed_at is not null as has_viewed,
    sessions.any_carted_at is not null as has_carted,
    sessions.any_checked_out_at is not null as has_checked_out,
    first_carts.carted_at is not null as is_carted,
    coalesce(sessions.last_checked_out_at >= first_carts.carted_at, false) as is_checked_out,
    -- times
    sessions.started_at,
    sessions.ended_at,
    sessions.dt
from sessions
inner join visitors
    on sessions.visitor_id = visitors.visitor_id
left join session_channels
    on sessions.session_key = session_channels.session_key
left join first_carts
    on sessions.session_key = first_carts.session_key
left join page_paths
    on sessions.session_key = page_paths.session_key
