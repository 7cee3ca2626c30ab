with sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where
        is_paid
        and session_key is not null

),

named_paths as (

    select * from {{ ref('conversion_path_names') }}

),

orders_of_sessions as (

    select
        session_key,
        count(*) as orders,
        sum(order_amount) as gmv
    from orders
    group by session_key

),

paths as (

    select
        sessions.dt,
        case
            when not sessions.has_viewed then 'no_detail'
            when named_paths.path is null then 'other'
            else named_paths.path
        end as path,
        coalesce(orders_of_sessions.orders, 0) as orders,
        coalesce(orders_of_sessions.gmv, 0) as gmv
    from sessions
    left join named_paths
        on sessions.page_path = named_paths.path
    left join orders_of_sessions
        on sessions.session_key = orders_of_sessions.session_key

),

counted as (

    select
        dt,
        path,
        count(*) as sessions,
        sum(orders) as orders,
        sum(gmv) as gmv
    from paths
    group by dt, path

)

select
    dt,
    path,
    -- counts
    cast(sessions as bigint) as sessions,
    cast(orders as bigint) as orders,
    -- rates
    {{ rate('orders', 'sessions') }} as conversion_rate,
    -- money
    {{ money('gmv') }} as gmv
from counted
