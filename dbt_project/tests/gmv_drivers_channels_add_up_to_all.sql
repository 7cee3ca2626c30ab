-- What: the channels' GMV of both days of a comparison add up to that of `all`.
-- Why: a sale without a channel would be in the total and explained by nobody.
-- A returned row is a comparison in which they do not.
select
    dt,
    compare_to,
    sum(gmv) filter (where channel = 'all') as gmv,
    sum(gmv) filter (where channel != 'all') as sum_of_gmv
from {{ ref('gmv_drivers') }}
group by dt, compare_to
having
    sum(case when channel = 'all' then gmv else -gmv end) != 0
    or sum(case when channel = 'all' then gmv_before else -gmv_before end) != 0
