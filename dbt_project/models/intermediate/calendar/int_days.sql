-- Every business day from the first order or event (of no bot) to as_of: the spine of all marts by
-- day.
with run as (

    select * from {{ source('ops', 'run') }}

),

firsts as (

    select min(least(ordered_dt, paid_dt)) as first_dt
    from {{ ref('fct_orders') }}

    union all

    select min(dt) as first_dt
    from {{ ref('fct_user_days') }}
    where not is_bot

),

bounds as (

    select
        min(firsts.first_dt) as first_dt,
        min(run.as_of) as as_of
    from firsts
    cross join run

)

select
    cast(unnest(generate_series(first_dt, as_of, interval 1 day)) as date) as dt,
    first_dt,
    as_of
from bounds
where first_dt is not null
