{%- set dimensions = [
    'channel', 'category_l1', 'category_l2', 'category_l3', 'brand', 'merchant', 'region',
    'device', 'promotion', 'member_tier', 'sales_channel',
] -%}

with movements as (

    select * from {{ ref('int_line_movements') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

-- What is known of the order and of the line's product, on the day of the order; the rest is
-- `unknown`.
described as (

    select
        movements.*,
        orders.channel,
        orders.region,
        orders.device,
        orders.member_tier,
        orders.sales_channel,
        coalesce(orders.promotion_id, 'unknown') as promotion,
        coalesce(products.category_l1, 'unknown') as category_l1,
        coalesce(products.category_l2, 'unknown') as category_l2,
        coalesce(products.category_l3, 'unknown') as category_l3,
        coalesce(products.brand, 'unknown') as brand,
        coalesce(products.merchant_id, 'unknown') as merchant,
        case
            when movements.movement = 'paid' and movements.line_number is not null
                then movements.order_id
        end as paid_order_id
    from movements
    inner join orders
        on movements.order_id = orders.order_id
    inner join products
        on movements.product_key = products.product_key

),

members as (

    {% for dimension in dimensions -%}
    select
        dt,
        '{{ dimension }}' as dimension,
        {{ dimension }} as member,
        sum(gmv) as gmv,
        sum(placed_gmv) as placed_gmv,
        sum(gmv_excl_suspicious) as gmv_excl_suspicious,
        sum(discount_amount) as discount_amount,
        sum(refund_amount) as refund_amount,
        sum(cost_amount) as cost_amount,
        sum(returned_cost_amount) as returned_cost_amount,
        sum(units) as units,
        count(distinct paid_order_id) as orders
    from described
    group by dt, {{ dimension }}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select
    dt,
    dimension,
    member,
    -- money
    {{ money('gmv') }} as gmv,
    {{ money('placed_gmv') }} as placed_gmv,
    {{ money('gmv_excl_suspicious') }} as gmv_excl_suspicious,
    {{ money('discount_amount') }} as discount_amount,
    {{ money('refund_amount') }} as refund_amount,
    {{ money('gmv - discount_amount - refund_amount') }} as net_revenue,
    {{ money(
        'gmv - discount_amount - refund_amount - cost_amount + returned_cost_amount'
    ) }} as gross_margin,
    -- counts
    cast(units as bigint) as units,
    cast(orders as bigint) as orders
from members
