select
    -- ids
    merchant_id,
    owner_customer_id,
    -- texts
    merchant_name,
    tier,
    -- times
    joined_at,
    left_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__merchants') }}
