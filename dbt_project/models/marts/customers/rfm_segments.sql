with run as (

    select * from {{ source('ops', 'run') }}

),

customers as (

    select * from {{ ref('customer_rfm') }}

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

customers_gmv as (

    select
        orders.buyer_id,
        sum(orders.order_amount) as gmv
    from orders
    cross join run
    where
        orders.paid_dt <= run.as_of
        and orders.paid_dt > run.as_of - {{ var('rfm_window_days') }}
    group by orders.buyer_id

),

members as (

    select
        customers.segment,
        count(*) as customers,
        count(*) filter (where customers.previous_segment != customers.segment) as moved_in,
        sum(customers_gmv.gmv) as gmv
    from customers
    inner join customers_gmv
        on 'c:' || customers.customer_id = customers_gmv.buyer_id
    group by customers.segment

),

leavers as (

    select
        previous_segment as segment,
        count(*) as moved_out
    from customers
    where previous_segment != segment
    group by previous_segment

),

segments as (

    select
        coalesce(members.segment, leavers.segment) as segment,
        coalesce(members.customers, 0) as customers,
        coalesce(members.moved_in, 0) as moved_in,
        coalesce(leavers.moved_out, 0) as moved_out,
        coalesce(members.gmv, 0) as gmv
    from members
    full outer join leavers
        on members.segment = leavers.segment

)

select
    run.as_of as dt,
    segments.segment,
    -- counts
    cast(segments.customers as bigint) as customers,
    cast(segments.moved_in as bigint) as moved_in,
    cast(segments.moved_out as bigint) as moved_out,
    -- money
    {{ money('segments.gmv') }} as gmv,
    -- rates
    {{ rate('segments.gmv', 'sum(segments.gmv) over ()') }} as gmv_share
from segments
cross join run
