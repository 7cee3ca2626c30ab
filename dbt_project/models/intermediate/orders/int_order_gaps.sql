-- Paid orders with the same buyer's paid order before, by the instant of payment.
with orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

)

select
    order_id,
    buyer_id,
    order_amount,
    paid_dt,
    lag(paid_dt) over buyers_orders as previous_paid_dt,
    lead(paid_dt) over buyers_orders as next_paid_dt,
    epoch_us(paid_at) - lag(epoch_us(paid_at)) over buyers_orders as gap_microseconds
from orders
window buyers_orders as (
    partition by buyer_id
    order by paid_at, order_id
)
