-- What: GMV = UV × conversion rate × spend per buyer, to 1e-9 of it, wherever there were
-- visitors and buyers; where a factor is NULL, there were none.
-- Why: the three factors are what people explain GMV with; gmv_drivers splits its change
-- over them.
-- A returned row is a day on which the product is not GMV, or a factor is missing without a
-- reason.
select
    dt,
    gmv,
    uv,
    buyers,
    conversion_rate,
    spend_per_buyer
from {{ ref('gmv_daily') }}
where
    abs(uv * conversion_rate * spend_per_buyer - gmv) > 1e-9 * gmv
    or (conversion_rate is null) != (uv = 0)
    or (spend_per_buyer is null) != (buyers = 0)
    or (buyers = 0 and gmv != 0)
