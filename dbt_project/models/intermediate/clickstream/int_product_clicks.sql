{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

-- Clicks on a product in a slot: an order line belongs to the last one before the order.
select
    visitor_id,
    session_key,
    product_id,
    page_type,
    slot_id,
    event_id,
    event_at,
    dt,
    hour,
    is_bot
from {{ ref('int_events') }}
where
    event_type = 'click'
    and product_id is not null
    and slot_id is not null
