with run as (

    select * from {{ source('ops', 'run') }}

),

orders as (

    select
        *,
        substr(buyer_id, 3) as buyer_customer_id
    from {{ ref('fct_orders') }}
    where
        is_paid
        and starts_with(buyer_id, 'c:')

),

refunds as (

    select * from {{ ref('fct_refunds') }}

),

-- Scored twice by one rule: today, and as it would have been some days earlier.
anchors as (

    select
        'now' as anchor,
        as_of as anchor_dt
    from run

    union all

    select
        'before' as anchor,
        as_of - {{ var('rfm_compare_days') }} as anchor_dt
    from run

),

orders_of_anchors as (

    select
        anchors.anchor,
        anchors.anchor_dt,
        orders.order_id,
        orders.buyer_customer_id as customer_id,
        orders.paid_dt,
        orders.order_amount - orders.discount_amount as paid_amount
    from anchors
    inner join orders
        on
            orders.paid_dt <= anchors.anchor_dt
            and orders.paid_dt > anchors.anchor_dt - {{ var('rfm_window_days') }}

),

refunds_of_anchors as (

    select
        anchors.anchor,
        refunds.order_id,
        sum(refunds.amount) as refund_amount
    from anchors
    inner join refunds
        on refunds.refunded_dt <= anchors.anchor_dt
    group by anchors.anchor, refunds.order_id

),

measured as (

    select
        orders_of_anchors.anchor,
        orders_of_anchors.customer_id,
        min(orders_of_anchors.anchor_dt - orders_of_anchors.paid_dt) as recency_days,
        count(*) as frequency,
        sum(orders_of_anchors.paid_amount - coalesce(refunds_of_anchors.refund_amount, 0))
            as monetary
    from orders_of_anchors
    left join refunds_of_anchors
        on
            orders_of_anchors.anchor = refunds_of_anchors.anchor
            and orders_of_anchors.order_id = refunds_of_anchors.order_id
    group by orders_of_anchors.anchor, orders_of_anchors.customer_id

),

cut_points as (

    select
        anchor,
        quantile_cont(cast(recency_days as double), [0.2, 0.4, 0.6, 0.8]) as recency_cuts,
        quantile_cont(cast(frequency as double), [0.2, 0.4, 0.6, 0.8]) as frequency_cuts,
        quantile_cont(cast(monetary as double), [0.2, 0.4, 0.6, 0.8]) as monetary_cuts
    from measured
    group by anchor

),

scored as (

    -- 1 and one more for each cut point that the value is above; few days since the last order are
    -- good.
    select
        measured.*,
        5 - len(list_filter(
            cut_points.recency_cuts, lambda cut: cast(measured.recency_days as double) > cut
        )) as r_score,
        1 + len(list_filter(
            cut_points.frequency_cuts, lambda cut: cast(measured.frequency as double) > cut
        )) as f_score,
        1 + len(list_filter(
            cut_points.monetary_cuts, lambda cut: cast(measured.monetary as double) > cut
        )) as m_score
    from measured
    inner join cut_points
        on measured.anchor = cut_points.anchor

),

judged as (

    -- High is a score above the mean of all; compared as whole numbers, so exactly.
    select
        *,
        r_score * count(*) over everybody > sum(r_score) over everybody as is_r_high,
        f_score * count(*) over everybody > sum(f_score) over everybody as is_f_high,
        m_score * count(*) over everybody > sum(m_score) over everybody as is_m_high
    from scored
    window everybody as (partition by anchor)

),

segmented as (

    select
        *,
        case
            when is_r_high and is_f_high and is_m_high then 'champions'
            when is_r_high and is_f_high then 'loyal'
            when is_r_high and is_m_high then 'big_spenders'
            when is_r_high then 'new_or_recent'
            when is_f_high and is_m_high then 'at_risk_champions'
            when is_f_high then 'at_risk_loyal'
            when is_m_high then 'lapsed_big_spenders'
            else 'hibernating'
        end as segment,
        case
            when is_m_high and is_r_high then 'high_value'
            when not is_r_high then 'dormant'
            else 'potential'
        end as tier
    from judged

)

select
    today.customer_id,
    -- texts
    today.segment,
    today.tier,
    earlier.segment as previous_segment,
    -- numbers
    cast(today.recency_days as bigint) as recency_days,
    cast(today.frequency as bigint) as frequency,
    cast(today.r_score as bigint) as r_score,
    cast(today.f_score as bigint) as f_score,
    cast(today.m_score as bigint) as m_score,
    {{ money('today.monetary') }} as monetary
from segmented as today
left join segmented as earlier
    on
        today.customer_id = earlier.customer_id
        and earlier.anchor = 'before'
where today.anchor = 'now'
