-- What: the sessions of funnel_daily and of conversion_paths, and the users of active_users, are
-- gmv_daily's.
-- Why: the same people come in every mart, whatever it tells them apart by.
-- A returned row is a day on which one of them differs.
with days as (

    select * from {{ ref('gmv_daily') }}

),

funnel as (

    select
        dt,
        sum(visited) as sessions
    from {{ ref('funnel_daily') }}
    group by dt

),

paths as (

    select
        dt,
        sum(sessions) as sessions
    from {{ ref('conversion_paths') }}
    group by dt

),

users as (

    select * from {{ ref('active_users') }}

)

select
    coalesce(days.dt, funnel.dt, paths.dt, users.dt) as dt,
    days.sessions,
    funnel.sessions as funnel_sessions,
    paths.sessions as path_sessions,
    days.uv,
    users.dau
from days
full outer join funnel
    on days.dt = funnel.dt
full outer join paths
    on days.dt = paths.dt
full outer join users
    on days.dt = users.dt
where
    coalesce(days.sessions, 0) != coalesce(funnel.sessions, 0)
    or coalesce(days.sessions, 0) != coalesce(paths.sessions, 0)
    or days.uv is distinct from users.dau
