-- Each order's session: its own session_id, else that of the first purchase event that names it,
-- else the latest session of its customer or visitor that began before it and was alive in the 30
-- minutes before it.
with orders as (

    select * from {{ ref('int_orders') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

purchases as (

    select * from {{ ref('int_purchases') }}

),

by_session_and_visitor as (

    select
        orders.order_id,
        sessions.session_key
    from orders
    inner join sessions
        on
            orders.visitor_id = sessions.visitor_id
            and orders.session_id = sessions.session_id

),

by_session as (

    select
        orders.order_id,
        arg_max(sessions.session_key, row(sessions.started_at, sessions.first_event_id))
            as session_key
    from orders
    inner join sessions
        on
            orders.session_id = sessions.session_id
            and orders.ordered_at >= sessions.started_at
    where orders.visitor_id is null
    group by orders.order_id

),

by_purchase as (

    select
        order_id,
        arg_min(session_key, row(event_at, event_id)) as session_key
    from purchases
    group by order_id

),

unmatched as (

    select orders.*
    from orders
    left join by_session_and_visitor
        on orders.order_id = by_session_and_visitor.order_id
    left join by_session
        on orders.order_id = by_session.order_id
    left join by_purchase
        on orders.order_id = by_purchase.order_id
    where
        by_session_and_visitor.order_id is null
        and by_session.order_id is null
        and by_purchase.order_id is null

),

near_in_time as (

    select
        unmatched.order_id,
        sessions.session_key,
        sessions.first_event_id,
        sessions.started_at
    from unmatched
    inner join sessions
        on
            'c:' || unmatched.customer_id = sessions.user_id
            and unmatched.ordered_at >= sessions.started_at
            and unmatched.ordered_at <= sessions.ended_at + interval 30 minutes

    union

    select
        unmatched.order_id,
        sessions.session_key,
        sessions.first_event_id,
        sessions.started_at
    from unmatched
    inner join sessions
        on
            unmatched.visitor_id = sessions.visitor_id
            and unmatched.ordered_at >= sessions.started_at
            and unmatched.ordered_at <= sessions.ended_at + interval 30 minutes

),

by_time as (

    select
        order_id,
        arg_max(session_key, row(started_at, first_event_id)) as session_key
    from near_in_time
    group by order_id

),

matched as (

    select
        orders.order_id,
        coalesce(
            by_session_and_visitor.session_key,
            by_session.session_key,
            by_purchase.session_key,
            by_time.session_key
        ) as session_key
    from orders
    left join by_session_and_visitor
        on orders.order_id = by_session_and_visitor.order_id
    left join by_session
        on orders.order_id = by_session.order_id
    left join by_purchase
        on orders.order_id = by_purchase.order_id
    left join by_time
        on orders.order_id = by_time.order_id

)

select
    order_id,
    session_key
from matched
where session_key is not null
