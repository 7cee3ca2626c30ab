-- How often one step of a path followed another, per calendar month of payment. Conversion
-- paths are the channels of the touches of each order paid in the month; null paths those of
-- the month's sessions of each user who paid none, `direct` out where there is anything else.
with touches as (

    select *
    from {{ ref('int_touches') }}
    where touch_number > 0

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

sessions as (

    select
        *,
        cast(date_trunc('month', dt) as date) as month
    from {{ ref('fct_sessions') }}
    where not is_bot

),

buyers_of_months as (

    select distinct
        buyer_id,
        cast(date_trunc('month', paid_dt) as date) as month
    from orders

),

conversion_steps as (

    select
        paid_month as month,
        channel as to_state,
        coalesce(
            lag(channel) over (partition by order_id order by touch_number), '(start)'
        ) as from_state,
        touch_number = touches as is_last
    from touches

),

sessions_without_order as (

    select
        sessions.month,
        sessions.user_id,
        sessions.session_key,
        sessions.channel,
        sessions.started_at,
        sessions.first_event_id,
        bool_or(sessions.channel != 'direct') over (
            partition by sessions.month, sessions.user_id
        ) as has_other_than_direct
    from sessions
    left join buyers_of_months
        on
            sessions.month = buyers_of_months.month
            and sessions.user_id = buyers_of_months.buyer_id
    where buyers_of_months.buyer_id is null

),

null_steps as (

    select
        month,
        channel as to_state,
        coalesce(lag(channel) over users_sessions, '(start)') as from_state,
        lead(channel) over users_sessions is null as is_last
    from sessions_without_order
    where
        channel != 'direct'
        or not has_other_than_direct
    window users_sessions as (
        partition by month, user_id
        order by started_at, first_event_id
    )

),

steps as (

    select
        month,
        from_state,
        to_state
    from conversion_steps

    union all

    select
        month,
        to_state as from_state,
        '(conversion)' as to_state
    from conversion_steps
    where is_last

    union all

    select
        month,
        from_state,
        to_state
    from null_steps

    union all

    select
        month,
        to_state as from_state,
        '(null)' as to_state
    from null_steps
    where is_last

)

select
    month,
    from_state,
    to_state,
    count(*) as times
from steps
group by month, from_state, to_state
