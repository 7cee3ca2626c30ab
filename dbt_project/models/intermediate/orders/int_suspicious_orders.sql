-- Orders that look made up, by the rules in seeds/suspicious_rules.csv; one row per order and
-- rule.
with orders as (

    select * from {{ ref('int_order_amounts') }}

),

lines as (

    select * from {{ ref('int_order_lines') }}

),

rules as (

    select *
    from {{ ref('suspicious_rules') }}
    where is_enabled

),

tracked_sales_channels as (

    select * from {{ ref('tracked_sales_channels') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

merchants as (

    select * from {{ ref('dim_merchant') }}

),

customers_tracked_orders as (

    select
        customer_id,
        count(*) as tracked_orders
    from orders
    where
        customer_id is not null
        and session_key is not null
    group by customer_id

),

untracked as (

    -- The order itself has no session, so all the tracked ones of its customer are other orders.
    select
        orders.order_id,
        rules.rule_id
    from orders
    inner join rules
        on rules.rule_id = 'untracked'
    inner join customers_tracked_orders
        on
            orders.customer_id = customers_tracked_orders.customer_id
            and customers_tracked_orders.tracked_orders >= rules.at_least
    where
        orders.session_key is null
        and (
            orders.sales_channel is null
            or orders.sales_channel in (select sales_channel from tracked_sales_channels)
        )

),

paid_products as (

    select distinct
        orders.order_id,
        orders.customer_id,
        lines.product_id,
        epoch_us(orders.paid_at) as paid_us,
        rules.at_least,
        rules.within_minutes * 60000000 as within_us
    from orders
    inner join lines
        on orders.order_id = lines.order_id
    inner join rules
        on rules.rule_id = 'burst'
    where
        orders.is_paid
        and orders.customer_id is not null

),

repeated as (

    -- Few customers buy one product so often: only these need the look around each order.
    select
        customer_id,
        product_id
    from paid_products
    group by customer_id, product_id
    having count(*) >= max(at_least)

),

windows as (

    -- Every window of the rule's length that begins with an order.
    select
        first_orders.customer_id,
        first_orders.product_id,
        first_orders.paid_us as begins_us,
        first_orders.paid_us + max(first_orders.within_us) as ends_us
    from paid_products as first_orders
    inner join repeated
        on
            first_orders.customer_id = repeated.customer_id
            and first_orders.product_id = repeated.product_id
    inner join paid_products as others
        on
            first_orders.customer_id = others.customer_id
            and first_orders.product_id = others.product_id
            and others.paid_us >= first_orders.paid_us
            and others.paid_us <= first_orders.paid_us + first_orders.within_us
    group by
        first_orders.order_id,
        first_orders.customer_id,
        first_orders.product_id,
        first_orders.paid_us
    having count(*) >= max(first_orders.at_least)

),

burst as (

    select
        paid_products.order_id,
        'burst' as rule_id
    from paid_products
    inner join windows
        on
            paid_products.customer_id = windows.customer_id
            and paid_products.product_id = windows.product_id
            and paid_products.paid_us >= windows.begins_us
            and paid_products.paid_us <= windows.ends_us

),

own_shop as (

    select
        orders.order_id,
        rules.rule_id
    from orders
    inner join lines
        on orders.order_id = lines.order_id
    inner join products
        on lines.product_key = products.product_key
    inner join merchants
        on products.merchant_id = merchants.merchant_id
    inner join rules
        on rules.rule_id = 'own_shop'
    where orders.buyer_id = 'c:' || merchants.owner_customer_id

),

suspicious as (

    select * from untracked

    union

    select * from burst

    union

    select * from own_shop

)

select
    order_id,
    rule_id
from suspicious
