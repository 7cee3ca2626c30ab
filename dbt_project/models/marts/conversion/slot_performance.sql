with session_products as (

    select *
    from {{ ref('int_session_products') }}
    where
        not is_bot
        and slot_id is not null

),

lines as (

    select *
    from {{ ref('fct_order_items') }}
    where is_paid

),

line_slots as (

    select * from {{ ref('int_line_slots') }}

),

shown as (

    select
        dt,
        hour,
        coalesce(page_type, 'unknown') as page_type,
        slot_id,
        sum(impressions) as impressions,
        sum(clicks) as clicks
    from session_products
    where impressions + clicks > 0
    group by dt, hour, coalesce(page_type, 'unknown'), slot_id

),

sold as (

    -- A sale belongs to the day and hour of its click, not to those of the payment.
    select
        line_slots.clicked_dt as dt,
        line_slots.hour,
        line_slots.page_type,
        line_slots.slot_id,
        count(distinct lines.order_id) as orders,
        sum(lines.item_amount) as gmv
    from lines
    inner join line_slots
        on
            lines.order_id = line_slots.order_id
            and lines.line_number = line_slots.line_number
    group by line_slots.clicked_dt, line_slots.hour, line_slots.page_type, line_slots.slot_id

)

-- Whatever sold was clicked, so each row of `sold` has one of `shown`.
select
    shown.dt,
    shown.hour,
    shown.page_type,
    shown.slot_id,
    -- counts
    cast(shown.impressions as bigint) as impressions,
    cast(shown.clicks as bigint) as clicks,
    cast(coalesce(sold.orders, 0) as bigint) as orders,
    -- rates
    {{ rate('shown.clicks', 'shown.impressions') }} as click_rate,
    -- money
    {{ money('coalesce(sold.gmv, 0)') }} as gmv
from shown
left join sold
    on
        shown.dt = sold.dt
        and shown.hour = sold.hour
        and shown.page_type = sold.page_type
        and shown.slot_id = sold.slot_id
