with orders as (

    select * from {{ ref('int_order_amounts') }}

),

customers as (

    select * from {{ ref('dim_customer') }}

),

promotions as (

    select * from {{ ref('dim_promotion') }}

),

suspicious as (

    select
        order_id,
        string_agg(rule_id, ',' order by rule_id) as suspicious_rules
    from {{ ref('int_suspicious_orders') }}
    group by order_id

),

numbered as (

    -- A buyer's orders in the order of payment; the first one's day makes a new buyer.
    select
        order_id,
        row_number() over (
            partition by buyer_id order by paid_at, order_id
        ) as buyer_order_number,
        min(paid_dt) over (partition by buyer_id) as first_paid_dt
    from orders
    where is_paid

)

select
    -- ids
    orders.order_id,
    orders.customer_id,
    coalesce(customers.customer_key, 'unknown') as customer_key,
    orders.buyer_id,
    orders.visitor_id,
    orders.session_key,
    coalesce(orders.campaign_id, '') as campaign_id,
    orders.promotion_id,
    coalesce(promotions.promotion_key, 'unknown') as promotion_key,
    -- texts
    orders.status,
    orders.currency,
    coalesce(orders.channel, 'unattributed') as channel,
    orders.order_device as device,
    coalesce(orders.sales_channel, 'unknown') as sales_channel,
    coalesce(orders.ship_region, 'unknown') as region,
    coalesce(customers.member_tier, 'unknown') as member_tier,
    suspicious.suspicious_rules,
    -- numbers, in reporting currency
    orders.rate_to_reporting,
    orders.order_amount,
    orders.order_discount_amount as discount_amount,
    orders.cost_amount,
    orders.costed_amount,
    {{ money('orders.order_amount - orders.order_discount_amount - orders.cost_amount') }}
        as margin_amount,
    orders.refund_amount,
    orders.units,
    orders.lines,
    numbered.buyer_order_number,
    -- flags
    orders.is_paid,
    orders.is_cancelled,
    orders.has_refund,
    orders.has_return,
    suspicious.order_id is not null as is_suspicious,
    coalesce(orders.paid_dt = numbered.first_paid_dt, false) as is_first_paid_day,
    -- times
    orders.ordered_at,
    orders.paid_at,
    orders.shipped_at,
    orders.promised_at,
    orders.delivered_at,
    orders.cancelled_at,
    orders.ordered_dt,
    orders.paid_dt,
    {{ business_day('orders.delivered_at') }} as delivered_dt,
    numbered.first_paid_dt
from orders
left join customers
    on
        orders.customer_id = customers.customer_id
        and customers.customer_key != 'unknown'
        and orders.ordered_dt >= customers.valid_from
        and orders.ordered_dt < customers.valid_to
left join promotions
    on orders.promotion_id = promotions.promotion_id
left join suspicious
    on orders.order_id = suspicious.order_id
left join numbered
    on orders.order_id = numbered.order_id
