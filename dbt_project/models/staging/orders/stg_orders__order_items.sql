select
    -- ids
    order_id,
    line_number,
    product_id,
    -- numbers
    quantity,
    unit_price,
    unit_cost,
    discount_amount,
    -- flags
    _is_incomplete as is_incomplete,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__order_items') }}
