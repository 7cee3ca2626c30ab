-- What: all slots together sell at most the shop's GMV, and show each click and impression with a
-- slot_id once.
-- Why: a line that belonged to two clicks would be sold twice.
-- A returned row is a sum that does not hold.
with slots as (

    select
        coalesce(sum(gmv), 0) as gmv,
        coalesce(sum(impressions), 0) as impressions,
        coalesce(sum(clicks), 0) as clicks
    from {{ ref('slot_performance') }}

),

shop as (

    select coalesce(sum(gmv), 0) as gmv
    from {{ ref('gmv_daily') }}

),

facts as (

    select
        coalesce(sum(impressions), 0) as impressions,
        coalesce(sum(clicks), 0) as clicks
    from {{ ref('fct_product_days') }}
    where slot_key != 'unknown'

)

select
    slots.gmv,
    shop.gmv as gmv_of_shop,
    slots.impressions,
    facts.impressions as impressions_of_facts,
    slots.clicks,
    facts.clicks as clicks_of_facts
from slots
cross join shop
cross join facts
where
    slots.gmv > shop.gmv
    or slots.impressions != facts.impressions
    or slots.clicks != facts.clicks
