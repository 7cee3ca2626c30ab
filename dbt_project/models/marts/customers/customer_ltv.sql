with run as (

    select * from {{ source('ops', 'run') }}

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

refunds as (

    select * from {{ ref('fct_refunds') }}

),

spend as (

    select * from {{ ref('fct_channel_spend') }}

),

month_numbers as (

    select unnest(generate_series(0, {{ var('cohort_months') }})) as month_n

),

-- Every buyer, guests too, belongs to the month and the channel of its first paid order.
customers as (

    select
        buyer_id,
        channel,
        cast(date_trunc('month', paid_dt) as date) as cohort_month
    from orders
    where buyer_order_number = 1

),

movements as (

    select
        buyer_id,
        paid_dt as dt,
        order_amount as gmv,
        margin_amount as margin
    from orders

    union all

    -- A refund lowers the margin of the month that it is dated in, whenever its order was.
    select
        orders.buyer_id,
        refunds.refunded_dt as dt,
        cast(0 as decimal(18, 4)) as gmv,
        -refunds.amount as margin
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id

),

months as (

    -- What is dated before the cohort's month (a refund before the payment) counts from month 0.
    select
        customers.cohort_month,
        customers.channel,
        greatest(date_diff('month', customers.cohort_month, movements.dt), 0) as month_n,
        sum(movements.gmv) as gmv,
        sum(movements.margin) as margin
    from movements
    inner join customers
        on movements.buyer_id = customers.buyer_id
    group by
        customers.cohort_month,
        customers.channel,
        greatest(date_diff('month', customers.cohort_month, movements.dt), 0)

),

cohorts as (

    select
        cohort_month,
        channel,
        count(*) as customers
    from customers
    group by cohort_month, channel

),

by_channel as (

    select
        cohorts.cohort_month,
        cohorts.channel,
        month_numbers.month_n,
        cohorts.customers,
        coalesce(months.gmv, 0) as gmv,
        coalesce(months.margin, 0) as margin
    from cohorts
    cross join month_numbers
    left join months
        on
            cohorts.cohort_month = months.cohort_month
            and cohorts.channel = months.channel
            and month_numbers.month_n = months.month_n

),

with_all as (

    select * from by_channel

    union all

    select
        cohort_month,
        'all' as channel,
        month_n,
        sum(customers) as customers,
        sum(gmv) as gmv,
        sum(margin) as margin
    from by_channel
    group by cohort_month, month_n

),

spend_of_months as (

    select
        cast(date_trunc('month', dt) as date) as cohort_month,
        channel,
        sum(spend) as spend
    from spend
    group by date_trunc('month', dt), channel

    union all

    select
        cast(date_trunc('month', dt) as date) as cohort_month,
        'all' as channel,
        sum(spend) as spend
    from spend
    group by date_trunc('month', dt)

),

cumulated as (

    select
        with_all.cohort_month,
        with_all.channel,
        with_all.month_n,
        with_all.customers,
        sum(with_all.gmv) over until_month as cumulative_gmv,
        sum(with_all.margin) over until_month as cumulative_margin,
        -- spend of 0 is none; that of a running month is not all yet
        case
            when with_all.cohort_month + interval 1 month <= run.as_of + 1
                then nullif(spend_of_months.spend, 0)
        end as spend,
        with_all.cohort_month + to_months(cast(with_all.month_n + 1 as integer)) <= run.as_of + 1
            as is_mature
    from with_all
    cross join run
    left join spend_of_months
        on
            with_all.cohort_month = spend_of_months.cohort_month
            and with_all.channel = spend_of_months.channel
    window until_month as (
        partition by with_all.cohort_month, with_all.channel
        order by with_all.month_n
        rows unbounded preceding
    )

),

paid_back as (

    -- Per customer or in sum is the same: both sides are divided by the same customers.
    select
        *,
        min(month_n) filter (where is_mature and cumulative_margin >= spend) over (
            partition by cohort_month, channel
        ) as payback_month
    from cumulated

)

select
    cohort_month,
    channel,
    cast(month_n as bigint) as month_n,
    -- counts
    cast(customers as bigint) as customers,
    cast(payback_month as bigint) as payback_month,
    -- money
    case when is_mature then {{ money('cumulative_gmv') }} end as cumulative_gmv,
    case when is_mature then {{ money('cumulative_margin') }} end as cumulative_margin,
    -- averages
    case when is_mature then {{ rate('cumulative_margin', 'customers') }} end as ltv,
    {{ rate('spend', 'customers') }} as cac,
    case when is_mature then {{ rate('cumulative_margin', 'spend') }} end as ltv_to_cac,
    -- flags
    is_mature
from paid_back
