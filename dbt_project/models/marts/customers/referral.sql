with run as (

    select * from {{ source('ops', 'run') }}

),

customers as (

    select *
    from {{ ref('dim_customer') }}
    where
        is_current
        and customer_key != 'unknown'

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

referred_customers as (

    select
        customers.customer_id,
        customers.referrer_customer_id,
        cast(date_trunc('month', {{ business_day('customers.registered_at') }}) as date) as month
    from customers
    cross join run
    where
        customers.referrer_customer_id is not null
        and customers.registered_at < run.as_of_end

),

sales as (

    select
        buyer_id,
        sum(order_amount) as gmv
    from orders
    group by buyer_id

),

active_customers as (

    select
        cast(date_trunc('month', dt) as date) as month,
        count(distinct user_id) as customers
    from user_days
    where starts_with(user_id, 'c:')
    group by date_trunc('month', dt)

),

months as (

    select
        referred_customers.month,
        count(distinct referred_customers.referrer_customer_id) as referrers,
        count(*) as referred,
        count(sales.buyer_id) as referred_buyers,
        coalesce(sum(sales.gmv), 0) as referred_gmv
    from referred_customers
    left join sales
        on 'c:' || referred_customers.customer_id = sales.buyer_id
    group by referred_customers.month

)

select
    months.month,
    -- counts
    cast(months.referrers as bigint) as referrers,
    cast(months.referred as bigint) as referred,
    cast(months.referred_buyers as bigint) as referred_buyers,
    -- money
    {{ money('months.referred_gmv') }} as referred_gmv,
    -- averages
    {{ rate('months.referred', 'active_customers.customers') }} as k_factor
from months
left join active_customers
    on months.month = active_customers.month
