select
    -- ids
    order_id,
    customer_id,
    session_id,
    visitor_id,
    promotion_id,
    -- texts
    status,
    currency,
    sales_channel,
    device,
    ship_region,
    -- numbers
    discount_amount,
    shipping_fee,
    -- times
    ordered_at,
    paid_at,
    shipped_at,
    promised_at,
    delivered_at,
    cancelled_at,
    updated_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__orders') }}
