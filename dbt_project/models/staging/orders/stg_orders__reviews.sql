select
    -- ids
    review_id,
    order_id,
    product_id,
    customer_id,
    -- numbers
    rating,
    -- times
    reviewed_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__reviews') }}
