{{ config(database='scratch', schema='attribution') }}

-- The touches of each paid order, in time: its buyer's sessions of the days before it and its
-- own session. An order without any has one row that says so: number 0, channel
-- `unattributed`.
with orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

sessions_of_buyers as (

    select
        orders.order_id,
        sessions.session_key
    from orders
    inner join sessions
        on
            orders.buyer_id = sessions.user_id
            and orders.ordered_at >= sessions.started_at
            and orders.ordered_at
            <= sessions.started_at + interval {{ var('attribution_window_days') }} days
    where not sessions.is_bot

),

own_sessions as (

    -- Whenever it began, and even a bot's.
    select
        order_id,
        session_key
    from orders
    where session_key is not null

),

candidates as (

    select * from sessions_of_buyers

    union

    select * from own_sessions

),

described as (

    select
        candidates.order_id,
        candidates.session_key,
        sessions.channel,
        sessions.campaign_id,
        sessions.started_at,
        sessions.first_event_id,
        bool_or(sessions.channel != 'direct') over (partition by candidates.order_id)
            as has_other_than_direct
    from candidates
    inner join sessions
        on candidates.session_key = sessions.session_key

),

touches as (

    select
        *,
        row_number() over (
            partition by order_id order by started_at, first_event_id
        ) as touch_number,
        count(*) over (partition by order_id) as touches
    from described
    where
        channel != 'direct'
        or not has_other_than_direct

)

select
    -- ids
    orders.order_id,
    orders.buyer_id,
    touches.session_key,
    case when touches.order_id is null then '' else touches.campaign_id end as campaign_id,
    -- texts
    case when touches.order_id is null then 'unattributed' else touches.channel end as channel,
    -- numbers, money in reporting currency
    case when touches.order_id is null then 0 else touches.touch_number end as touch_number,
    case when touches.order_id is null then 0 else touches.touches end as touches,
    orders.order_amount,
    orders.margin_amount,
    orders.buyer_order_number,
    -- flags: an order may have neither
    coalesce(touches.session_key = orders.session_key, false) as is_own_session,
    -- times
    touches.started_at,
    orders.ordered_at,
    orders.paid_dt,
    cast(date_trunc('month', orders.paid_dt) as date) as paid_month
from orders
left join touches
    on orders.order_id = touches.order_id
