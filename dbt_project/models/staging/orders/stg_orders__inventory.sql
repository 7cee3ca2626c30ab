select
    -- ids
    product_id,
    -- numbers
    on_hand,
    -- times
    snapshot_date,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__inventory') }}
