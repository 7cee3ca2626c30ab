with lines as (

    select * from {{ ref('int_order_lines') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

)

select
    -- ids
    lines.order_id,
    lines.line_number,
    lines.product_id,
    lines.product_key,
    orders.buyer_id,
    -- texts
    lines.currency,
    -- numbers, in reporting currency
    lines.quantity,
    lines.item_amount,
    lines.line_discount_amount,
    lines.order_discount_share,
    lines.discount_amount,
    lines.cost_amount,
    -- flags
    orders.is_paid,
    -- times
    orders.ordered_at,
    orders.paid_at,
    orders.ordered_dt,
    orders.paid_dt
from lines
inner join orders
    on lines.order_id = orders.order_id
