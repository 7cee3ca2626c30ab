select
    -- ids
    promotion_id,
    -- texts
    promotion_name,
    kind,
    -- numbers
    budget,
    -- times
    warmup_at,
    starts_at,
    ends_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__promotions') }}
