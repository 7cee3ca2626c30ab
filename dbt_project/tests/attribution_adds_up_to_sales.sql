-- What: for each model, the credited orders, new buyers and GMV of a day are those of
-- gmv_daily: counts to 1e-9, money to the cent.
-- Why: credit is shared out, never made or lost; a channel's success must be another one's
-- loss.
-- A returned row is a day and model whose sums differ, or a day with sales that a model
-- does not have.
with credited as (

    select
        dt,
        model,
        sum(orders) as orders,
        sum(new_buyers) as new_buyers,
        sum(gmv) as gmv
    from {{ ref('channel_roi') }}
    group by dt, model

),

models as (

    select distinct model
    from credited

)

select
    daily.dt,
    models.model,
    credited.orders,
    daily.orders as orders_of_day,
    credited.new_buyers,
    daily.new_buyers as new_buyers_of_day,
    credited.gmv,
    daily.gmv as gmv_of_day
from {{ ref('gmv_daily') }} as daily
cross join models
left join credited
    on
        daily.dt = credited.dt
        and models.model = credited.model
where
    coalesce(abs(credited.orders - daily.orders) > 1e-9, daily.orders > 0)
    or coalesce(abs(credited.new_buyers - daily.new_buyers) > 1e-9, daily.new_buyers > 0)
    or coalesce(credited.gmv != daily.gmv, daily.gmv > 0)
