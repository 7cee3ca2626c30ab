select
    -- texts
    currency,
    -- numbers
    rate_to_reporting,
    -- times
    rate_date,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'orders__fx_rates') }}
