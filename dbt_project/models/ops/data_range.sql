-- From which day on the data tell anything: before it nobody could be known as a buyer or user, so
-- the new ones of a shop's first weeks are too many.
with days as (

    select * from {{ ref('int_days') }}

)

select
    first_dt,
    as_of
from days
where dt = first_dt
