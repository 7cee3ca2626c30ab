with run as (

    select * from {{ source('ops', 'run') }}

),

users as (

    select * from {{ ref('int_users') }}

),

user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

week_numbers as (

    select unnest(generate_series(0, {{ var('retention_weeks') }})) as week_n

),

user_weeks as (

    select distinct
        user_id,
        cast(date_trunc('week', dt) as date) as week
    from user_days

),

cohorts as (

    select
        first_week as cohort_week,
        first_channel as channel,
        count(*) as cohort_size
    from users
    group by first_week, first_channel

),

returns as (

    select
        users.first_week as cohort_week,
        users.first_channel as channel,
        (user_weeks.week - users.first_week) // 7 as week_n,
        count(*) as retained
    from users
    inner join user_weeks
        on users.user_id = user_weeks.user_id
    group by users.first_week, users.first_channel, user_weeks.week

),

by_channel as (

    select
        cohorts.cohort_week,
        cohorts.channel,
        week_numbers.week_n,
        cohorts.cohort_size,
        coalesce(returns.retained, 0) as retained
    from cohorts
    cross join week_numbers
    left join returns
        on
            cohorts.cohort_week = returns.cohort_week
            and cohorts.channel = returns.channel
            and week_numbers.week_n = returns.week_n

),

with_all as (

    select * from by_channel

    union all

    select
        cohort_week,
        'all' as channel,
        week_n,
        sum(cohort_size) as cohort_size,
        sum(retained) as retained
    from by_channel
    group by cohort_week, week_n

),

judged as (

    -- A week is over with its Sunday.
    select
        with_all.*,
        with_all.cohort_week + cast(7 * with_all.week_n + 6 as integer) <= run.as_of as is_mature
    from with_all
    cross join run

)

select
    cohort_week,
    channel,
    cast(week_n as bigint) as week_n,
    -- counts
    cast(cohort_size as bigint) as cohort_size,
    cast(case when is_mature then retained end as bigint) as retained,
    -- rates
    case when is_mature then {{ rate('retained', 'cohort_size') }} end as retention_rate,
    -- flags
    is_mature
from judged
