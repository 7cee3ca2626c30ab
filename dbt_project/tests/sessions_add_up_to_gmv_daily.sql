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
    days.dt,
    days.sessions,
    funnel.sessions as funnel_sessions,
    paths.sessions as path_sessions,
    days.uv,
    users.dau
from days
left join funnel
    on days.dt = funnel.dt
left join paths
    on days.dt = paths.dt
left join users
    on days.dt = users.dt
where
    days.sessions != coalesce(funnel.sessions, 0)
    or days.sessions != coalesce(paths.sessions, 0)
    or days.uv is distinct from users.dau
