-- The slot that sold an order's line: that of the last click on its product, in the order's
-- session, at or before the order. Lines without such a click are not here; nor are a bot's
-- clicks.
with lines as (

    select * from {{ ref('fct_order_items') }}

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where session_key is not null

),

clicks as (

    select *
    from {{ ref('int_product_clicks') }}
    where not is_bot

),

ranked as (

    select
        lines.order_id,
        lines.line_number,
        clicks.event_id,
        clicks.event_at,
        clicks.dt,
        clicks.hour,
        coalesce(clicks.page_type, 'unknown') as page_type,
        clicks.slot_id,
        row_number() over (
            partition by lines.order_id, lines.line_number
            order by clicks.event_at desc, clicks.event_id desc
        ) as click_rank
    from lines
    inner join orders
        on lines.order_id = orders.order_id
    inner join clicks
        on
            orders.session_key = clicks.session_key
            and lines.product_id = clicks.product_id
            and orders.ordered_at >= clicks.event_at

)

select
    -- ids
    order_id,
    line_number,
    event_id,
    {{ slot_key('page_type', 'slot_id') }} as slot_key,
    slot_id,
    -- texts
    page_type,
    -- numbers
    hour,
    -- times
    event_at as clicked_at,
    dt as clicked_dt
from ranked
where click_rank = 1
