-- What each channel adds to the numerators of int_metric_days.
with orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

paid as (

    select
        paid_dt as dt,
        channel,
        sum(order_amount) as gmv,
        count(*) as orders,
        count(distinct buyer_id) as buyers,
        count(*) filter (where has_return) as returned_orders,
        count(*) filter (where has_refund) as refunded_orders
    from orders
    group by paid_dt, channel

),

begun as (

    select
        dt,
        channel,
        count(distinct user_id) as uv,
        count(*) filter (where is_bounce) as bounces
    from sessions
    group by dt, channel

),

measured as (

    select
        dt,
        channel,
        unnest([
            struct_pack(metric := 'gmv', numerator := gmv),
            struct_pack(metric := 'orders', numerator := orders),
            struct_pack(metric := 'aov', numerator := gmv),
            struct_pack(metric := 'conversion_rate', numerator := buyers),
            struct_pack(metric := 'return_rate', numerator := returned_orders),
            struct_pack(metric := 'refund_rate', numerator := refunded_orders)
        ]) as measure
    from paid

    union all

    select
        dt,
        channel,
        unnest([
            struct_pack(metric := 'uv', numerator := cast(uv as decimal(18, 4))),
            struct_pack(metric := 'bounce_rate', numerator := cast(bounces as decimal(18, 4)))
        ]) as measure
    from begun

)

select
    dt,
    channel,
    measure.metric as metric,
    -- numbers
    {{ money('measure.numerator') }} as numerator
from measured
where measure.numerator != 0
