with users as (

    select * from {{ ref('int_users') }}

),

user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

run as (

    select * from {{ source('ops', 'run') }}

),

day_numbers as (

    select cast(unnest({{ var('retention_days') }}) as bigint) as day_n

),

cohorts as (

    select
        first_dt as cohort_dt,
        first_channel as channel,
        count(*) as cohort_size
    from users
    group by first_dt, first_channel

),

returns as (

    select
        users.first_dt as cohort_dt,
        users.first_channel as channel,
        day_numbers.day_n,
        count(*) as retained
    from users
    cross join day_numbers
    inner join user_days
        on
            users.user_id = user_days.user_id
            and users.first_dt + cast(day_numbers.day_n as integer) = user_days.dt
    group by users.first_dt, users.first_channel, day_numbers.day_n

),

by_channel as (

    select
        cohorts.cohort_dt,
        cohorts.channel,
        day_numbers.day_n,
        cohorts.cohort_size,
        coalesce(returns.retained, 0) as retained
    from cohorts
    cross join day_numbers
    left join returns
        on
            cohorts.cohort_dt = returns.cohort_dt
            and cohorts.channel = returns.channel
            and day_numbers.day_n = returns.day_n

),

with_all as (

    select * from by_channel

    union all

    select
        cohort_dt,
        'all' as channel,
        day_n,
        sum(cohort_size) as cohort_size,
        sum(retained) as retained
    from by_channel
    group by cohort_dt, day_n

),

judged as (

    select
        with_all.*,
        with_all.cohort_dt + cast(with_all.day_n as integer) <= run.as_of as is_mature
    from with_all
    cross join run

)

select
    cohort_dt,
    channel,
    day_n,
    -- counts
    cast(cohort_size as bigint) as cohort_size,
    cast(case when is_mature then retained end as bigint) as retained,
    -- rates
    case when is_mature then {{ rate('retained', 'cohort_size') }} end as retention_rate,
    -- flags
    is_mature
from judged
