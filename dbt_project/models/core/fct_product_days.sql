-- Product × day × slot × hour. What happened on pages goes by the event's own day, hour and slot;
-- what was sold by the day and hour of payment and the slot of the last click before the order.
with session_products as (

    select *
    from {{ ref('int_session_products') }}
    where not is_bot

),

products as (

    select *
    from {{ ref('dim_product') }}
    where product_key != 'unknown'

),

lines as (

    select *
    from {{ ref('fct_order_items') }}
    where is_paid

),

line_slots as (

    select * from {{ ref('int_line_slots') }}

),

behaviour as (

    select
        session_products.dt,
        session_products.hour,
        coalesce(session_products.product_id, 'unknown') as product_id,
        {{ slot_key('session_products.page_type', 'session_products.slot_id') }} as slot_key,
        sum(session_products.impressions) as impressions,
        sum(session_products.clicks) as clicks,
        sum(session_products.detail_views) as detail_views,
        sum(session_products.carts) as carts
    from session_products
    group by
        session_products.dt,
        session_products.hour,
        coalesce(session_products.product_id, 'unknown'),
        {{ slot_key('session_products.page_type', 'session_products.slot_id') }}

),

behaviour_of_versions as (

    -- A product as it was on the day.
    select
        behaviour.*,
        coalesce(products.product_key, 'unknown') as product_key
    from behaviour
    left join products
        on
            behaviour.product_id = products.product_id
            and behaviour.dt >= products.valid_from
            and behaviour.dt < products.valid_to

),

sales as (

    -- A product as it was when it was ordered.
    select
        lines.paid_dt as dt,
        cast(extract(hour from {{ business_time('lines.paid_at') }}) as bigint) as hour,
        lines.product_id,
        lines.product_key,
        coalesce(line_slots.slot_key, 'unknown') as slot_key,
        count(distinct lines.order_id) as orders,
        sum(lines.quantity) as units,
        sum(lines.item_amount) as gmv
    from lines
    left join line_slots
        on
            lines.order_id = line_slots.order_id
            and lines.line_number = line_slots.line_number
    group by
        lines.paid_dt,
        cast(extract(hour from {{ business_time('lines.paid_at') }}) as bigint),
        lines.product_id,
        lines.product_key,
        coalesce(line_slots.slot_key, 'unknown')

),

facts as (

    -- Both sides hold a row per key: joined, for millions of rows need not be grouped once more.
    select *
    from behaviour_of_versions
    full join sales using (dt, hour, product_id, product_key, slot_key)

)

select
    -- ids
    product_key,
    product_id,
    slot_key,
    -- numbers
    cast(coalesce(impressions, 0) as bigint) as impressions,
    cast(coalesce(clicks, 0) as bigint) as clicks,
    cast(coalesce(detail_views, 0) as bigint) as detail_views,
    cast(coalesce(carts, 0) as bigint) as carts,
    cast(coalesce(orders, 0) as bigint) as orders,
    cast(coalesce(units, 0) as bigint) as units,
    {{ money('coalesce(gmv, 0)') }} as gmv,
    -- times, the hour in business time
    hour,
    dt
from facts
