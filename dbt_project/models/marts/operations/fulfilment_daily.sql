with days as (

    select * from {{ ref('int_days') }}

),

-- Every delivered order, whenever it was paid.
orders as (

    select
        delivered_dt as dt,
        has_return,
        delivered_at <= promised_at as is_on_time,
        promised_at is not null as has_promise,
        {{ microseconds_between('paid_at', 'shipped_at') }} / 3600000000.0 as hours_to_ship,
        {{ microseconds_between('shipped_at', 'delivered_at') }} / 3600000000.0 as hours_to_deliver
    from {{ ref('fct_orders') }}
    where delivered_at is not null

),

-- Quantiles leave out the orders of which an end is missing.
delivered as (

    select
        dt,
        count(*) as orders,
        quantile_cont(hours_to_ship, 0.5) as hours_to_ship_median,
        quantile_cont(hours_to_ship, 0.9) as hours_to_ship_p90,
        quantile_cont(hours_to_deliver, 0.5) as hours_to_deliver_median,
        quantile_cont(hours_to_deliver, 0.9) as hours_to_deliver_p90,
        count(*) filter (where has_promise) as promised_orders,
        count(*) filter (where is_on_time) as on_time_orders,
        count(*) filter (where has_return) as returned_orders
    from orders
    group by dt

)

-- A day without any is a day of none: zeros, not gaps.
select
    days.dt,
    -- counts
    cast(coalesce(delivered.orders, 0) as bigint) as orders,
    -- hours
    cast(delivered.hours_to_ship_median as double) as hours_to_ship_median,
    cast(delivered.hours_to_ship_p90 as double) as hours_to_ship_p90,
    cast(delivered.hours_to_deliver_median as double) as hours_to_deliver_median,
    cast(delivered.hours_to_deliver_p90 as double) as hours_to_deliver_p90,
    -- rates
    {{ rate('delivered.on_time_orders', 'delivered.promised_orders') }} as on_time_rate,
    {{ rate('delivered.returned_orders', 'delivered.orders') }} as return_rate
from days
left join delivered
    on days.dt = delivered.dt
