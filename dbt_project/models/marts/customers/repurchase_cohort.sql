with run as (

    select * from {{ source('ops', 'run') }}

),

orders as (

    select
        *,
        cast(date_trunc('month', first_paid_dt) as date) as cohort_month,
        cast(date_trunc('month', paid_dt) as date) as paid_month
    from {{ ref('fct_orders') }}
    where is_paid

),

month_numbers as (

    select unnest(generate_series(0, {{ var('cohort_months') }})) as month_n

),

cohorts as (

    select
        cohort_month,
        count(distinct buyer_id) as cohort_size
    from orders
    group by cohort_month

),

months as (

    select
        cohort_month,
        date_diff('month', cohort_month, paid_month) as month_n,
        count(distinct buyer_id) as buyers,
        count(*) as orders,
        sum(order_amount) as gmv
    from orders
    group by cohort_month, paid_month

),

filled as (

    select
        cohorts.cohort_month,
        month_numbers.month_n,
        cohorts.cohort_size,
        coalesce(months.buyers, 0) as buyers,
        coalesce(months.orders, 0) as orders,
        coalesce(months.gmv, 0) as gmv
    from cohorts
    cross join month_numbers
    left join months
        on
            cohorts.cohort_month = months.cohort_month
            and month_numbers.month_n = months.month_n

),

judged as (

    -- A month is over with its last day.
    select
        filled.*,
        sum(filled.gmv) over (
            partition by filled.cohort_month
            order by filled.month_n
            rows unbounded preceding
        ) as cumulative_gmv,
        filled.cohort_month + to_months(cast(filled.month_n + 1 as integer)) <= run.as_of + 1
            as is_mature
    from filled
    cross join run

)

select
    cohort_month,
    cast(month_n as bigint) as month_n,
    -- counts
    cast(cohort_size as bigint) as cohort_size,
    cast(case when is_mature then buyers end as bigint) as buyers,
    cast(case when is_mature then orders end as bigint) as orders,
    -- rates and averages
    case when is_mature then {{ rate('buyers', 'cohort_size') }} end as buyer_rate,
    case when is_mature then {{ rate('cumulative_gmv', 'cohort_size') }} end
        as cumulative_gmv_per_customer,
    -- money
    case when is_mature then {{ money('gmv') }} end as gmv,
    -- flags
    is_mature
from judged
