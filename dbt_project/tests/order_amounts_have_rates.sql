-- What: every order, and every row of spend, is in a currency with an exchange rate at most
-- 7 days old on its day; the reporting currency needs none.
-- Why: money that cannot be converted counts as nothing, and every figure of its day would
-- be too low.
-- A returned row is a currency and day without a rate, and the orders and spend rows that
-- wait for it.
with missing as (

    select
        currency,
        dt
    from {{ ref('int_currency_days') }}
    where rate_to_reporting is null

)

select
    missing.currency,
    missing.dt,
    count(distinct orders.order_id) as orders,
    count(distinct spend.campaign_id) as campaigns
from missing
left join {{ ref('int_orders') }} as orders
    on
        missing.currency = orders.currency
        and missing.dt = orders.ordered_dt
left join {{ ref('int_spend') }} as spend
    on
        missing.currency = spend.currency
        and missing.dt = spend.spend_date
group by missing.currency, missing.dt
