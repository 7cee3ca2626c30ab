select
    -- ids
    customer_id,
    referrer_customer_id,
    -- texts
    region,
    member_tier,
    email,
    phone,
    -- times
    registered_at,
    updated_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__customers') }}
