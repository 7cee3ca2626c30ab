-- What the marts leave out, per day and reason: counted, so that nothing vanishes silently.
with bot_events as (

    select
        dt,
        'bot_events' as reason,
        sum(events) as how_many
    from {{ ref('int_session_days') }}
    where is_bot
    group by dt

),

bot_sessions as (

    select
        dt,
        'bot_sessions' as reason,
        count(*) as how_many
    from {{ ref('fct_sessions') }}
    where is_bot
    group by dt

),

suspicious_orders as (

    select
        ordered_dt as dt,
        'suspicious_orders' as reason,
        count(*) as how_many
    from {{ ref('fct_orders') }}
    where is_suspicious
    group by ordered_dt

),

waiting_refunds as (

    select
        refunded_dt as dt,
        'waiting_refunds' as reason,
        count(*) as how_many
    from {{ ref('int_refunds') }}
    where is_waiting
    group by refunded_dt

),

excluded as (

    select * from bot_events

    union all

    select * from bot_sessions

    union all

    select * from suspicious_orders

    union all

    select * from waiting_refunds

)

select
    dt,
    reason,
    cast(how_many as bigint) as how_many
from excluded
