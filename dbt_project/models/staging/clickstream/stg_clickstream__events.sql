select
    -- ids
    event_id,
    visitor_id,
    customer_id,
    session_id,
    product_id,
    slot_id,
    promotion_id,
    order_id,
    experiment_id,
    -- texts
    event_type,
    page_type,
    page_url,
    search_query,
    referrer,
    utm_source,
    utm_medium,
    utm_campaign,
    device,
    user_agent,
    variant,
    -- times
    event_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'clickstream__events') }}
