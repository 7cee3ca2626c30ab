-- Every day that a fact may point at, and a year before and after. What bots did and what was
-- spent may lie before the days of the marts, or be all that there is.
with days_of_facts as (

    select dt from {{ ref('int_days') }}

    union all

    select dt from {{ ref('fct_sessions') }}

    union all

    select dt from {{ ref('fct_channel_spend') }}

),

bounds as (

    select
        min(dt) - 366 as first_dt,
        max(dt) + 366 as last_dt
    from days_of_facts

),

days as (

    select cast(unnest(generate_series(first_dt, last_dt, interval 1 day)) as date) as dt
    from bounds
    where first_dt is not null

),

shopping_events as (

    select * from {{ ref('shopping_events') }}

),

events_of_days as (

    -- Either a fixed day of a month, or days after the nth weekday of a month.
    select
        days.dt,
        min(shopping_events.shopping_event) as shopping_event
    from days
    inner join shopping_events
        on
            (
                shopping_events.day is not null
                and month(days.dt) = shopping_events.month
                and day(days.dt) = shopping_events.day
            )
            or (
                shopping_events.nth is not null
                and isodow(days.dt - shopping_events.days_after) = shopping_events.iso_weekday
                and month(days.dt - shopping_events.days_after) = shopping_events.month
                and (day(days.dt - shopping_events.days_after) - 1) // 7 + 1 = shopping_events.nth
            )
    group by days.dt

)

select
    days.dt,
    year(days.dt) as year,
    quarter(days.dt) as quarter,
    month(days.dt) as month,
    day(days.dt) as day_of_month,
    isoyear(days.dt) as iso_year,
    week(days.dt) as iso_week,
    isodow(days.dt) as iso_weekday,
    cast(date_trunc('week', days.dt) as date) as week_dt,
    cast(date_trunc('month', days.dt) as date) as month_dt,
    isodow(days.dt) >= 6 as is_weekend,
    events_of_days.shopping_event
from days
left join events_of_days
    on days.dt = events_of_days.dt
