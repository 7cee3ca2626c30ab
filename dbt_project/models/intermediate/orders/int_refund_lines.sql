with refunds as (

    select *
    from {{ ref('int_refunds') }}
    where not is_waiting

),

orders as (

    select * from {{ ref('int_orders') }}

),

lines as (

    select * from {{ ref('int_order_lines') }}

),

order_totals as (

    select
        order_id,
        sum(item_amount) as order_amount
    from lines
    group by order_id

),

one_line as (

    -- A refund of a line that the order does not have (any more) is `unknown`'s: line_number is
    -- NULL.
    select
        refunds.refund_id,
        refunds.order_id,
        lines.line_number,
        refunds.kind,
        refunds.refunded_at,
        refunds.refunded_dt,
        refunds.amount,
        case
            when refunds.kind = 'return' and orders.is_paid
                then {{ convert_line(
                    'coalesce(refunds.quantity, lines.quantity)',
                    'lines.unit_cost',
                    'lines.unit_cost_rate',
                ) }}
        end as returned_cost_amount
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id
    left join lines
        on
            refunds.order_id = lines.order_id
            and refunds.line_number = lines.line_number
    where refunds.line_number is not null

),

whole_order_shares as (

    select
        refunds.refund_id,
        refunds.order_id,
        lines.line_number,
        refunds.kind,
        refunds.refunded_at,
        refunds.refunded_dt,
        refunds.amount as refund_amount,
        lines.is_last_line,
        case
            when refunds.kind = 'return' and orders.is_paid then lines.cost_amount
        end as returned_cost_amount,
        {{ money_share(
            'refunds.amount', 'lines.item_amount', money('order_totals.order_amount')
        ) }} as rounded_share
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id
    left join lines
        on refunds.order_id = lines.order_id
    left join order_totals
        on refunds.order_id = order_totals.order_id
    where refunds.line_number is null

),

whole_order as (

    -- The line with the highest number takes what rounding left over; an order without lines
    -- leaves all of it to `unknown`.
    select
        refund_id,
        order_id,
        line_number,
        kind,
        refunded_at,
        refunded_dt,
        case
            when line_number is null then refund_amount
            when is_last_line
                then
                    refund_amount
                    - (sum(rounded_share) over (partition by refund_id) - rounded_share)
            else rounded_share
        end as amount,
        returned_cost_amount
    from whole_order_shares

),

allocated as (

    select * from one_line

    union all by name

    select * from whole_order

)

select
    -- ids
    refund_id,
    order_id,
    line_number,
    -- texts
    kind,
    -- numbers, in reporting currency
    {{ money('amount') }} as amount,
    {{ money('returned_cost_amount') }} as returned_cost_amount,
    -- times
    refunded_at,
    refunded_dt
from allocated
