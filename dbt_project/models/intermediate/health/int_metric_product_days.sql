{{ config(database='scratch', schema='health') }}

-- What each product adds to the numerators of int_metric_days. Users and bounces are a product's
-- by the detail page that they saw.
with lines as (

    select *
    from {{ ref('fct_order_items') }}
    where is_paid

),

refund_lines as (

    select
        order_id,
        line_number,
        bool_or(kind = 'return') as has_return
    from {{ ref('int_refund_lines') }}
    group by order_id, line_number

),

watched_metrics as (

    select metric
    from {{ ref('alert_rules') }}
    where is_enabled

),

-- Most sessions are no bounces: the others are only looked at where a rule needs them.
sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where
        not is_bot
        and (is_bounce or 'uv' in (select metric from watched_metrics))

),

detail_views as (

    select distinct
        session_key,
        product_id
    from {{ ref('int_session_products') }}
    where
        detail_views > 0
        and product_id is not null

),

paid as (

    select
        lines.paid_dt as dt,
        lines.product_id,
        sum(lines.item_amount) as gmv,
        count(distinct lines.order_id) as orders,
        count(distinct lines.buyer_id) as buyers,
        count(distinct lines.order_id) filter (where refund_lines.has_return) as returned_orders,
        count(distinct refund_lines.order_id) as refunded_orders
    from lines
    left join refund_lines
        on
            lines.order_id = refund_lines.order_id
            and lines.line_number = refund_lines.line_number
    group by lines.paid_dt, lines.product_id

),

seen as (

    select
        sessions.dt,
        detail_views.product_id,
        count(distinct sessions.user_id) as uv,
        count(*) filter (where sessions.is_bounce) as bounces
    from detail_views
    inner join sessions
        on detail_views.session_key = sessions.session_key
    group by sessions.dt, detail_views.product_id

),

measured as (

    select
        dt,
        product_id,
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
        product_id,
        unnest([
            struct_pack(metric := 'uv', numerator := cast(uv as decimal(18, 4))),
            struct_pack(metric := 'bounce_rate', numerator := cast(bounces as decimal(18, 4)))
        ]) as measure
    from seen

)

select
    dt,
    product_id,
    measure.metric as metric,
    -- numbers
    {{ money('measure.numerator') }} as numerator
from measured
where measure.numerator != 0
