select
    -- ids
    campaign_id,
    -- texts
    channel,
    campaign_name,
    currency,
    -- numbers
    impressions,
    clicks,
    spend,
    installs,
    -- times
    spend_date,
    -- flags
    _is_incomplete as is_incomplete,
    -- the delivery that it came with
    _source as source_name,
    _delivery as delivery_day,
    _row as row_number_in_file
from {{ source('landing', 'channel_spend__channel_spend') }}
