select
    -- ids
    refund_id,
    order_id,
    line_number,
    -- texts
    kind,
    reason,
    -- numbers
    amount,
    quantity,
    -- times
    refunded_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__refunds') }}
