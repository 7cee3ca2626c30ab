with days as (

    select * from {{ ref('int_days') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

refunds as (

    select * from {{ ref('fct_refunds') }}

),

user_days as (

    select *
    from {{ ref('fct_user_days') }}
    where not is_bot

),

sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

paid as (

    select
        paid_dt as dt,
        sum(order_amount) as gmv,
        sum(order_amount) filter (where not is_suspicious) as gmv_excl_suspicious,
        sum(discount_amount) as discount_amount,
        sum(cost_amount) as cost_amount,
        sum(costed_amount) as costed_amount,
        count(*) as orders,
        sum(units) as units,
        count(distinct buyer_id) as buyers,
        count(distinct buyer_id) filter (where is_first_paid_day) as new_buyers,
        count(*) filter (where has_refund) as refunded_orders
    from orders
    where is_paid
    group by paid_dt

),

placed as (

    select
        ordered_dt as dt,
        sum(order_amount) as placed_gmv,
        count(*) as placed_orders,
        count(*) filter (where is_cancelled) as cancelled_orders
    from orders
    group by ordered_dt

),

refunded as (

    select
        refunded_dt as dt,
        sum(amount) as refund_amount,
        sum(returned_cost_amount) as returned_cost_amount
    from refunds
    group by refunded_dt

),

visited as (

    select
        dt,
        count(*) as uv,
        sum(page_views) as pv
    from user_days
    group by dt

),

begun as (

    select
        dt,
        count(*) as sessions
    from sessions
    group by dt

),

-- A day without any is a day of none: zeros, not gaps.
joined as (

    select
        days.dt,
        coalesce(paid.gmv, 0) as gmv,
        coalesce(placed.placed_gmv, 0) as placed_gmv,
        coalesce(paid.gmv_excl_suspicious, 0) as gmv_excl_suspicious,
        coalesce(paid.discount_amount, 0) as discount_amount,
        coalesce(refunded.refund_amount, 0) as refund_amount,
        coalesce(paid.cost_amount, 0) as cost_amount,
        coalesce(refunded.returned_cost_amount, 0) as returned_cost_amount,
        coalesce(paid.costed_amount, 0) as costed_amount,
        coalesce(paid.orders, 0) as orders,
        coalesce(paid.units, 0) as units,
        coalesce(paid.buyers, 0) as buyers,
        coalesce(paid.new_buyers, 0) as new_buyers,
        coalesce(paid.refunded_orders, 0) as refunded_orders,
        coalesce(placed.placed_orders, 0) as placed_orders,
        coalesce(placed.cancelled_orders, 0) as cancelled_orders,
        coalesce(visited.uv, 0) as uv,
        coalesce(visited.pv, 0) as pv,
        coalesce(begun.sessions, 0) as sessions
    from days
    left join paid on days.dt = paid.dt
    left join placed on days.dt = placed.dt
    left join refunded on days.dt = refunded.dt
    left join visited on days.dt = visited.dt
    left join begun on days.dt = begun.dt

)

select
    today.dt,
    -- money
    {{ money('today.gmv') }} as gmv,
    {{ money('today.placed_gmv') }} as placed_gmv,
    {{ money('today.gmv_excl_suspicious') }} as gmv_excl_suspicious,
    {{ money('today.discount_amount') }} as discount_amount,
    {{ money('today.refund_amount') }} as refund_amount,
    {{ money('today.gmv - today.discount_amount - today.refund_amount') }} as net_revenue,
    {{ money(
        'today.gmv - today.discount_amount - today.refund_amount'
        ~ ' - today.cost_amount + today.returned_cost_amount'
    ) }} as gross_margin,
    -- counts
    cast(today.orders as bigint) as orders,
    cast(today.units as bigint) as units,
    cast(today.buyers as bigint) as buyers,
    cast(today.new_buyers as bigint) as new_buyers,
    cast(today.uv as bigint) as uv,
    cast(today.pv as bigint) as pv,
    cast(today.sessions as bigint) as sessions,
    -- rates
    {{ rate('today.costed_amount', 'today.gmv') }} as cost_coverage,
    {{ rate('today.buyers', 'today.uv') }} as conversion_rate,
    {{ rate('today.gmv', 'today.buyers') }} as spend_per_buyer,
    {{ rate('today.gmv', 'today.orders') }} as aov,
    {{ rate('today.cancelled_orders', 'today.placed_orders') }} as cancel_rate,
    {{ rate('today.refunded_orders', 'today.orders') }} as refund_rate,
    {{ rate('today.gmv - week_before.gmv', 'week_before.gmv') }} as gmv_wow,
    {{ rate('today.gmv - year_before.gmv', 'year_before.gmv') }} as gmv_yoy
from joined as today
left join joined as week_before
    on today.dt - 7 = week_before.dt
left join joined as year_before
    on today.dt - 364 = year_before.dt
