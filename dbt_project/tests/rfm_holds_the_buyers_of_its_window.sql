-- What: customer_rfm holds exactly the customers who paid an order in its window, each
-- once, and the segments add up to them.
-- Why: a mailing by segment must reach every customer once.
-- A returned row is a customer who is missing or too many, or a segment total that is off.
with customers as (

    select * from {{ ref('customer_rfm') }}

),

buyers as (

    select distinct substr(orders.buyer_id, 3) as customer_id
    from {{ ref('fct_orders') }} as orders
    cross join {{ source('ops', 'run') }} as run
    where
        orders.is_paid
        and starts_with(orders.buyer_id, 'c:')
        and orders.paid_dt <= run.as_of
        and orders.paid_dt > run.as_of - {{ var('rfm_window_days') }}

),

totals as (

    select
        (select count(*) from customers) as customers,
        (select coalesce(sum(segments.customers), 0) from {{ ref('rfm_segments') }} as segments)
            as customers_of_segments

)

select
    coalesce(customers.customer_id, buyers.customer_id) as customer_id,
    'in one of customer_rfm and the buyers of the window only' as problem
from customers
full outer join buyers
    on customers.customer_id = buyers.customer_id
where
    customers.customer_id is null
    or buyers.customer_id is null

union all

select
    null as customer_id,
    'rfm_segments has ' || customers_of_segments || ' customers of ' || customers as problem
from totals
where customers_of_segments != customers
