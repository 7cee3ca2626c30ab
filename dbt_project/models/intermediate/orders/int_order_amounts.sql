-- An order's money in reporting currency, and who bought: everything about it that needs no other
-- order.
with orders as (

    select * from {{ ref('int_orders') }}

),

currency_days as (

    select * from {{ ref('int_currency_days') }}

),

order_sessions as (

    select * from {{ ref('int_order_sessions') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

visitors as (

    select * from {{ ref('int_visitors') }}

),

line_totals as (

    select
        order_id,
        sum(item_amount) as order_amount,
        sum(line_discount_amount) as line_discount_amount,
        sum(cost_amount) as cost_amount,
        sum(item_amount) filter (where cost_amount is not null) as costed_amount,
        sum(quantity) as units,
        count(*) as lines
    from {{ ref('int_order_lines') }}
    group by order_id

),

refund_totals as (

    select
        order_id,
        sum(amount) as refund_amount,
        bool_or(kind = 'return') as has_return
    from {{ ref('int_refunds') }}
    where not is_waiting
    group by order_id

)

select
    orders.*,
    currency_days.rate_to_reporting,
    order_sessions.session_key,
    sessions.channel,
    sessions.campaign_id,
    coalesce(orders.device, sessions.device, 'unknown') as order_device,
    case
        when orders.customer_id is not null then 'c:' || orders.customer_id
        when sessions.user_id is not null then sessions.user_id
        when visitors.user_id is not null then visitors.user_id
        when orders.visitor_id is not null then 'v:' || orders.visitor_id
        else 'o:' || orders.order_id
    end as buyer_id,
    {{ money('coalesce(line_totals.order_amount, 0)') }} as order_amount,
    {{ money(
        'coalesce(line_totals.line_discount_amount, 0) + coalesce('
        ~ convert('orders.discount_amount', 'currency_days.rate_to_reporting') ~ ', 0)'
    ) }} as order_discount_amount,
    {{ money('coalesce(line_totals.cost_amount, 0)') }} as cost_amount,
    {{ money('coalesce(line_totals.costed_amount, 0)') }} as costed_amount,
    {{ money('coalesce(refund_totals.refund_amount, 0)') }} as refund_amount,
    cast(coalesce(line_totals.units, 0) as bigint) as units,
    coalesce(line_totals.lines, 0) as lines,
    refund_totals.order_id is not null as has_refund,
    coalesce(refund_totals.has_return, false) as has_return
from orders
left join currency_days
    on
        orders.currency = currency_days.currency
        and orders.ordered_dt = currency_days.dt
left join order_sessions
    on orders.order_id = order_sessions.order_id
left join sessions
    on order_sessions.session_key = sessions.session_key
left join visitors
    on orders.visitor_id = visitors.visitor_id
left join line_totals
    on orders.order_id = line_totals.order_id
left join refund_totals
    on orders.order_id = refund_totals.order_id
