-- What: over the members of each dimension, money and units add up to gmv_daily, on each day.
-- Why: a dimension that loses or doubles a line shows shares of a total that is not the shop's.
-- A returned row is a day and dimension of which a column does not add up.
with days as (

    select * from {{ ref('gmv_daily') }}

),

members as (

    select * from {{ ref('gmv_by_dimension') }}

),

dimensions as (

    select distinct dimension
    from members

),

sums as (

    select
        dt,
        dimension,
        sum(gmv) as gmv,
        sum(placed_gmv) as placed_gmv,
        sum(gmv_excl_suspicious) as gmv_excl_suspicious,
        sum(discount_amount) as discount_amount,
        sum(refund_amount) as refund_amount,
        sum(net_revenue) as net_revenue,
        sum(gross_margin) as gross_margin,
        sum(units) as units
    from members
    group by dt, dimension

)

select
    days.dt,
    dimensions.dimension,
    days.gmv,
    sums.gmv as sum_of_gmv,
    days.gross_margin,
    sums.gross_margin as sum_of_gross_margin
from days
cross join dimensions
left join sums
    on
        days.dt = sums.dt
        and dimensions.dimension = sums.dimension
where
    days.gmv != coalesce(sums.gmv, 0)
    or days.placed_gmv != coalesce(sums.placed_gmv, 0)
    or days.gmv_excl_suspicious != coalesce(sums.gmv_excl_suspicious, 0)
    or days.discount_amount != coalesce(sums.discount_amount, 0)
    or days.refund_amount != coalesce(sums.refund_amount, 0)
    or days.net_revenue != coalesce(sums.net_revenue, 0)
    or days.gross_margin != coalesce(sums.gross_margin, 0)
    or days.units != coalesce(sums.units, 0)
