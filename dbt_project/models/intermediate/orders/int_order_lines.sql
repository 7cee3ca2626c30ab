with lines as (

    select * from {{ ref('stg_orders__order_items') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

currency_days as (

    select * from {{ ref('int_currency_days') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

deliveries as (

    select
        order_id,
        source_name,
        delivery_day,
        bool_or(is_incomplete) as is_incomplete
    from lines
    group by order_id, source_name, delivery_day

),

ranked_deliveries as (

    -- The newest whole delivery of an order's lines replaces all of them; one that lost a line to
    -- the quarantine does not replace what was there before it.
    select
        *,
        row_number() over (
            partition by order_id
            order by
                is_incomplete asc,
                case when not is_incomplete then delivery_day end desc,
                case when is_incomplete then delivery_day end asc,
                source_name desc
        ) as delivery_rank
    from deliveries

),

ranked_lines as (

    select
        lines.*,
        row_number() over (
            partition by lines.order_id, lines.line_number
            order by lines.row_number_in_file desc
        ) as row_rank
    from lines
    inner join ranked_deliveries
        on
            lines.order_id = ranked_deliveries.order_id
            and lines.source_name = ranked_deliveries.source_name
            and lines.delivery_day = ranked_deliveries.delivery_day
    where ranked_deliveries.delivery_rank = 1

),

priced as (

    -- A line's own cost is in its order's currency, a product's in the reporting currency.
    select
        lines.order_id,
        lines.line_number,
        lines.product_id,
        lines.quantity,
        lines.unit_price,
        lines.discount_amount,
        orders.currency,
        orders.ordered_dt,
        orders.discount_amount as order_discount_amount,
        currency_days.rate_to_reporting,
        coalesce(products.product_key, 'unknown') as product_key,
        coalesce(lines.unit_cost, products.unit_cost) as unit_cost,
        case
            when lines.unit_cost is not null then currency_days.rate_to_reporting
            else cast(1 as decimal(20, 10))
        end as unit_cost_rate
    from ranked_lines as lines
    inner join orders
        on lines.order_id = orders.order_id
    left join currency_days
        on
            orders.currency = currency_days.currency
            and orders.ordered_dt = currency_days.dt
    left join products
        on
            lines.product_id = products.product_id
            and products.product_key != 'unknown'
            and orders.ordered_dt >= products.valid_from
            and orders.ordered_dt < products.valid_to
    where lines.row_rank = 1

),

converted as (

    select
        *,
        {{ convert_line('quantity', 'unit_price', 'rate_to_reporting') }} as item_amount,
        coalesce({{ convert('discount_amount', 'rate_to_reporting') }}, 0) as line_discount_amount,
        coalesce({{ convert('order_discount_amount', 'rate_to_reporting') }}, 0)
            as order_discount_amount_converted,
        {{ convert_line('quantity', 'unit_cost', 'unit_cost_rate') }} as cost_amount
    from priced

),

totalled as (

    select
        *,
        sum(item_amount) over (partition by order_id) as order_amount,
        row_number() over (partition by order_id order by line_number desc) as line_rank
    from converted

),

shared as (

    select
        *,
        {{ money_share('order_discount_amount_converted', 'item_amount', money('order_amount')) }}
            as rounded_share
    from totalled

),

split as (

    -- The line with the highest number takes what rounding left over.
    select
        *,
        case
            when line_rank = 1
                then
                    order_discount_amount_converted
                    - (sum(rounded_share) over (partition by order_id) - rounded_share)
            else rounded_share
        end as order_discount_share
    from shared

)

select
    -- ids
    order_id,
    line_number,
    product_id,
    product_key,
    -- texts
    currency,
    -- numbers, money in reporting currency except unit_price and unit_cost
    quantity,
    unit_price,
    unit_cost,
    unit_cost_rate,
    rate_to_reporting,
    {{ money('item_amount') }} as item_amount,
    {{ money('line_discount_amount') }} as line_discount_amount,
    {{ money('order_discount_share') }} as order_discount_share,
    {{ money('line_discount_amount + order_discount_share') }} as discount_amount,
    {{ money('cost_amount') }} as cost_amount,
    -- flags
    line_rank = 1 as is_last_line
from split
