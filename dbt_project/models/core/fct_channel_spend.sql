with spend as (

    select * from {{ ref('int_spend') }}

),

currency_days as (

    select * from {{ ref('int_currency_days') }}

)

select
    -- ids
    spend.campaign_id,
    -- texts
    spend.channel,
    spend.campaign_name,
    spend.currency,
    -- numbers, money in reporting currency
    spend.impressions,
    spend.clicks,
    spend.installs,
    {{ convert('spend.spend', 'currency_days.rate_to_reporting') }} as spend,
    -- times
    spend.spend_date as dt
from spend
left join currency_days
    on
        spend.currency = currency_days.currency
        and spend.spend_date = currency_days.dt
