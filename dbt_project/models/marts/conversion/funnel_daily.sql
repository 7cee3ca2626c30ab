with sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

orders as (

    select
        session_key,
        bool_or(is_paid) as has_paid_order
    from {{ ref('fct_orders') }}
    where session_key is not null
    group by session_key

),

products as (

    select * from {{ ref('dim_product') }}

),

carted_products as (

    -- Once per session and product, however often it was put into the cart.
    select distinct
        session_key,
        product_id
    from {{ ref('int_session_products') }}
    where
        carts > 0
        and product_id is not null

),

cart_values as (

    select
        sessions.session_key,
        sum(products.list_price) as cart_value
    from carted_products
    inner join sessions
        on carted_products.session_key = sessions.session_key
    inner join products
        on
            carted_products.product_id = products.product_id
            and sessions.dt >= products.valid_from
            and sessions.dt < products.valid_to
    group by sessions.session_key

),

steps as (

    select
        sessions.dt,
        sessions.channel,
        sessions.device,
        sessions.has_viewed,
        sessions.has_carted,
        sessions.has_checked_out,
        sessions.is_carted,
        sessions.is_checked_out,
        coalesce(orders.has_paid_order, false) as has_paid_order,
        sessions.has_carted and orders.session_key is null as is_abandoned,
        coalesce(cart_values.cart_value, 0) as cart_value
    from sessions
    left join orders
        on sessions.session_key = orders.session_key
    left join cart_values
        on sessions.session_key = cart_values.session_key

),

counted as (

    select
        dt,
        channel,
        device,
        count(*) as visited,
        count(*) filter (where has_viewed) as viewed,
        count(*) filter (where is_carted) as carted,
        count(*) filter (where is_checked_out) as checked_out,
        count(*) filter (where is_checked_out and has_paid_order) as paid,
        count(*) filter (where has_carted) as any_carted,
        count(*) filter (where has_checked_out) as any_checked_out,
        count(*) filter (where has_paid_order) as any_paid,
        count(*) filter (where is_abandoned) as abandoned_carts,
        coalesce(sum(cart_value) filter (where is_abandoned), 0) as abandoned_value
    from steps
    group by dt, channel, device

)

select
    dt,
    channel,
    device,
    -- sessions, each step after the one before
    cast(visited as bigint) as visited,
    cast(viewed as bigint) as viewed,
    cast(carted as bigint) as carted,
    cast(checked_out as bigint) as checked_out,
    cast(paid as bigint) as paid,
    -- sessions, each step alone
    cast(viewed as bigint) as any_viewed,
    cast(any_carted as bigint) as any_carted,
    cast(any_checked_out as bigint) as any_checked_out,
    cast(any_paid as bigint) as any_paid,
    -- carts
    cast(abandoned_carts as bigint) as abandoned_carts,
    {{ money('abandoned_value') }} as abandoned_value,
    -- rates
    {{ rate('viewed', 'visited') }} as view_rate,
    {{ rate('carted', 'viewed') }} as cart_rate,
    {{ rate('checked_out', 'carted') }} as checkout_rate,
    {{ rate('paid', 'checked_out') }} as payment_rate,
    {{ rate('paid', 'visited') }} as overall_rate
from counted
