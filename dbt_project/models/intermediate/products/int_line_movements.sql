{{ config(database='scratch', schema='orders') }}

-- What order lines do to the figures of a day: placed on one, paid for on another, refunded on a
-- third. What has no line in its order (the discounts of an order without lines, a refund of a
-- line that is not there) is a row without line_number, of the product `unknown`.
with days as (

    select * from {{ ref('int_days') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

lines as (

    select * from {{ ref('fct_order_items') }}

),

refund_lines as (

    select * from {{ ref('int_refund_lines') }}

),

placed as (

    select
        order_id,
        line_number,
        'placed' as movement,
        ordered_dt as dt,
        item_amount as placed_gmv
    from lines

),

paid as (

    select
        lines.order_id,
        lines.line_number,
        'paid' as movement,
        lines.paid_dt as dt,
        lines.item_amount as gmv,
        case when not orders.is_suspicious then lines.item_amount end as gmv_excl_suspicious,
        lines.discount_amount,
        lines.cost_amount,
        lines.quantity as units
    from lines
    inner join orders
        on lines.order_id = orders.order_id
    where lines.is_paid

),

paid_without_lines as (

    select
        order_id,
        'paid' as movement,
        paid_dt as dt,
        discount_amount
    from orders
    where
        is_paid
        and lines = 0
        and discount_amount != 0

),

refunded as (

    select
        order_id,
        line_number,
        'refunded' as movement,
        refunded_dt as dt,
        amount as refund_amount,
        returned_cost_amount
    from refund_lines

),

movements as (

    select * from placed

    union all by name

    select * from paid

    union all by name

    select * from paid_without_lines

    union all by name

    select * from refunded

)

select
    -- ids
    movements.order_id,
    movements.line_number,
    coalesce(lines.product_id, 'unknown') as product_id,
    coalesce(lines.product_key, 'unknown') as product_key,
    orders.buyer_id,
    -- texts
    movements.movement,
    -- numbers, in reporting currency; what a movement does not touch is 0
    coalesce(movements.gmv, 0) as gmv,
    coalesce(movements.placed_gmv, 0) as placed_gmv,
    coalesce(movements.gmv_excl_suspicious, 0) as gmv_excl_suspicious,
    coalesce(movements.discount_amount, 0) as discount_amount,
    coalesce(movements.refund_amount, 0) as refund_amount,
    coalesce(movements.cost_amount, 0) as cost_amount,
    coalesce(movements.returned_cost_amount, 0) as returned_cost_amount,
    coalesce(movements.units, 0) as units,
    -- times
    movements.dt
from movements
inner join days
    on movements.dt = days.dt
inner join orders
    on movements.order_id = orders.order_id
left join lines
    on
        movements.order_id = lines.order_id
        and movements.line_number = lines.line_number
