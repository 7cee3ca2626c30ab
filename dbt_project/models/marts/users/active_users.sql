with days as (

    select * from {{ ref('int_days') }}

),

user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

orders as (

    select * from {{ ref('fct_orders') }}

),

first_days as (

    select
        user_id,
        min(dt) as first_dt
    from user_days
    group by user_id

),

windows as (

    select unnest([7, 30]) as window_days

),

changes as (

    {{ distinct_window_changes('user_days', 'windows', 'user_id') }}

),

changes_of_days as (

    select
        dt,
        sum(change) filter (where window_days = 7) as wau_change,
        sum(change) filter (where window_days = 30) as mau_change
    from changes
    group by dt

),

running as (

    select
        days.dt,
        days.first_dt,
        sum(coalesce(changes_of_days.wau_change, 0)) over (
            order by days.dt rows unbounded preceding
        ) as wau,
        sum(coalesce(changes_of_days.mau_change, 0)) over (
            order by days.dt rows unbounded preceding
        ) as mau
    from days
    left join changes_of_days
        on days.dt = changes_of_days.dt

),

active as (

    select
        user_days.dt,
        count(*) as dau,
        count(*) filter (where user_days.dt = first_days.first_dt) as new_users
    from user_days
    inner join first_days
        on user_days.user_id = first_days.user_id
    group by user_days.dt

),

begun as (

    select
        dt,
        count(*) as sessions,
        sum(active_seconds) as active_seconds,
        count(*) filter (where is_bounce) as bounces
    from sessions
    group by dt

),

payers as (

    select
        user_days.dt,
        count(distinct orders.buyer_id) as payers
    from user_days
    inner join orders
        on
            user_days.user_id = orders.buyer_id
            and user_days.dt = orders.paid_dt
    group by user_days.dt

),

joined as (

    select
        running.dt,
        coalesce(active.dau, 0) as dau,
        case when running.dt >= running.first_dt + 6 then running.wau end as wau,
        case when running.dt >= running.first_dt + 29 then running.mau end as mau,
        coalesce(active.new_users, 0) as new_users,
        coalesce(begun.sessions, 0) as sessions,
        coalesce(begun.active_seconds, 0) as active_seconds,
        coalesce(begun.bounces, 0) as bounces,
        coalesce(payers.payers, 0) as payers
    from running
    left join active on running.dt = active.dt
    left join begun on running.dt = begun.dt
    left join payers on running.dt = payers.dt

)

select
    dt,
    -- counts
    cast(dau as bigint) as dau,
    cast(wau as bigint) as wau,
    cast(mau as bigint) as mau,
    cast(new_users as bigint) as new_users,
    cast(dau - new_users as bigint) as returning_users,
    -- rates and averages
    {{ rate('dau', 'mau') }} as stickiness,
    {{ rate('sessions', 'dau') }} as sessions_per_user,
    {{ rate('active_seconds', 'dau') }} as active_seconds_per_user,
    {{ rate('bounces', 'sessions') }} as bounce_rate,
    {{ rate('payers', 'dau') }} as payer_rate
from joined
