-- The figures that alert rules watch, as numerator and denominator, so that days can be pooled.
-- What is no rate has a denominator of 1: pooled, it is the mean per day.
with daily as (

    select * from {{ ref('gmv_daily') }}

),

bounces as (

    select
        dt,
        count(*) filter (where is_bounce) as bounces
    from {{ ref('fct_sessions') }}
    where not is_bot
    group by dt

),

refunded as (

    select
        paid_dt as dt,
        count(*) filter (where has_return) as returned_orders,
        count(*) filter (where has_refund) as refunded_orders
    from {{ ref('fct_orders') }}
    where is_paid
    group by paid_dt

),

-- A day without any session or order has none that bounced or came back.
joined as (

    select
        daily.dt,
        daily.gmv,
        daily.orders,
        daily.buyers,
        daily.uv,
        daily.sessions,
        coalesce(bounces.bounces, 0) as bounces,
        coalesce(refunded.returned_orders, 0) as returned_orders,
        coalesce(refunded.refunded_orders, 0) as refunded_orders
    from daily
    left join bounces
        on daily.dt = bounces.dt
    left join refunded
        on daily.dt = refunded.dt

),

measured as (

    select
        dt,
        unnest([
            struct_pack(metric := 'gmv', numerator := gmv, denominator := 1),
            struct_pack(metric := 'orders', numerator := orders, denominator := 1),
            struct_pack(metric := 'uv', numerator := uv, denominator := 1),
            struct_pack(metric := 'aov', numerator := gmv, denominator := orders),
            struct_pack(metric := 'conversion_rate', numerator := buyers, denominator := uv),
            struct_pack(metric := 'bounce_rate', numerator := bounces, denominator := sessions),
            struct_pack(
                metric := 'return_rate', numerator := returned_orders, denominator := orders
            ),
            struct_pack(
                metric := 'refund_rate', numerator := refunded_orders, denominator := orders
            )
        ]) as measure
    from joined

)

select
    dt,
    measure.metric as metric,
    -- numbers
    {{ money('measure.numerator') }} as numerator,
    cast(measure.denominator as bigint) as denominator,
    {{ rate('measure.numerator', 'measure.denominator') }} as value
from measured
