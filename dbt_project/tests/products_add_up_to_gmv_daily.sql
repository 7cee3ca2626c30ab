-- What: over the products of a day, GMV, units and gross margin of product_performance, and GMV
-- and units of fct_product_days, add up to gmv_daily.
-- Why: a product that falls out of a join takes its sales with it.
-- A returned row is a day on which they do not.
with days as (

    select * from {{ ref('gmv_daily') }}

),

products as (

    select
        dt,
        sum(gmv) as gmv,
        sum(units) as units,
        sum(gross_margin) as gross_margin
    from {{ ref('product_performance') }}
    group by dt

),

facts as (

    select
        dt,
        sum(gmv) as gmv,
        sum(units) as units
    from {{ ref('fct_product_days') }}
    group by dt

)

select
    days.dt,
    days.gmv,
    products.gmv as gmv_of_products,
    facts.gmv as gmv_of_facts,
    days.gross_margin,
    products.gross_margin as gross_margin_of_products
from days
left join products
    on days.dt = products.dt
left join facts
    on days.dt = facts.dt
where
    days.gmv != coalesce(products.gmv, 0)
    or days.units != coalesce(products.units, 0)
    or days.gross_margin != coalesce(products.gross_margin, 0)
    or days.gmv != coalesce(facts.gmv, 0)
    or days.units != coalesce(facts.units, 0)
