-- What: the three effects add up to the change of GMV, to the cent, and `all` is gmv_daily's GMV.
-- Why: a split that leaves something over explains another change than the one that people see.
-- A returned row is a comparison whose effects leave a rest, or whose GMV is not the day's.
with drivers as (

    select * from {{ ref('gmv_drivers') }}

),

days as (

    select * from {{ ref('gmv_daily') }}

)

select
    drivers.dt,
    drivers.compare_to,
    drivers.channel,
    drivers.gmv,
    drivers.gmv_before,
    drivers.uv_effect,
    drivers.conversion_effect,
    drivers.spend_effect
from drivers
inner join days
    on drivers.dt = days.dt
where
    drivers.gmv - drivers.gmv_before
    != drivers.uv_effect + drivers.conversion_effect + drivers.spend_effect
    or (drivers.channel = 'all' and drivers.gmv != days.gmv)
