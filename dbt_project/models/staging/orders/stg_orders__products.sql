select
    -- ids
    product_id,
    merchant_id,
    -- texts
    product_name,
    category_l1,
    category_l2,
    category_l3,
    brand,
    -- numbers
    list_price,
    unit_cost,
    -- times
    listed_at,
    delisted_at,
    updated_at,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__products') }}
