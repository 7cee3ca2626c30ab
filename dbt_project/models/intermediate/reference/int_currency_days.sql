with run as (

    select * from {{ source('ops', 'run') }}

),

needed as (

    select distinct
        currency,
        ordered_dt as dt
    from {{ ref('int_orders') }}

    union

    select distinct
        currency,
        spend_date as dt
    from {{ ref('int_spend') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by currency, rate_date
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__fx_rates') }}

),

candidates as (

    select
        needed.currency,
        needed.dt,
        versions.rate_date,
        versions.rate_to_reporting,
        row_number() over (
            partition by needed.currency, needed.dt
            order by versions.rate_date desc
        ) as age_rank
    from needed
    left join versions
        on
            needed.currency = versions.currency
            and versions.version_rank = 1
            and versions.rate_date <= needed.dt
            and versions.rate_date >= needed.dt - {{ var('fx_max_age_days') }}

)

select
    candidates.currency,
    candidates.dt,
    candidates.rate_date,
    case
        when candidates.currency = run.currency then cast(1 as decimal(20, 10))
        else candidates.rate_to_reporting
    end as rate_to_reporting
from candidates
cross join run
where candidates.age_rank = 1
