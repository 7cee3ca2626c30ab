{{ config(database='scratch', schema='attribution') }}

-- What each model credits each touch with. A touch has a whole-number weight in each model,
-- so that credits and money shares are exact ratios and do not depend on the order of rows.
with touches as (

    select * from {{ ref('int_touches') }}

),

effects as (

    select * from {{ ref('int_markov_effects') }}

),

measured as (

    -- Ages count from the order's newest touch: that scales all weights of an order alike,
    -- and keeps those of old sessions from vanishing.
    select
        touches.*,
        {{ microseconds_between(
            'touches.started_at',
            'max(touches.started_at) over (partition by touches.order_id)',
        ) }} / 86400000000.0 as days_before_newest,
        effects.removal_effect,
        max(effects.removal_effect) over (partition by touches.order_id) as largest_effect
    from touches
    left join effects
        on
            touches.paid_month = effects.month
            and touches.channel = effects.channel

),

weighted as (

    select
        order_id,
        touch_number,
        'first_touch' as model,
        case when touch_number <= 1 then 1 else 0 end as weight
    from measured

    union all

    select
        order_id,
        touch_number,
        'last_touch' as model,
        case when touch_number = touches then 1 else 0 end as weight
    from measured

    union all

    select
        order_id,
        touch_number,
        'linear' as model,
        1 as weight
    from measured

    union all

    -- Percents times the number of touches in the middle: what they share stays a whole
    -- number.
    select
        order_id,
        touch_number,
        'position_based' as model,
        case
            when touches <= 2 and touch_number <= 1 then {{ var('attribution_first_percent') }}
            when touches <= 2 then {{ var('attribution_last_percent') }}
            when touch_number = 1 then {{ var('attribution_first_percent') }} * (touches - 2)
            when touch_number = touches
                then {{ var('attribution_last_percent') }} * (touches - 2)
            else
                100 - {{ var('attribution_first_percent') }}
                - {{ var('attribution_last_percent') }}
        end as weight
    from measured

    union all

    select
        order_id,
        touch_number,
        'time_decay' as model,
        case
            when touch_number = 0 then 1
            else
                cast(
                    round(
                        1e15 * pow(
                            0.5,
                            days_before_newest / {{ var('attribution_half_life_days') }}
                        )
                    ) as bigint
                )
        end as weight
    from measured

    union all

    -- In proportion to the removal effects of the channels; equally where all are 0.
    select
        order_id,
        touch_number,
        'markov' as model,
        case
            when coalesce(largest_effect, 0) = 0 then 1
            else cast(round(1e15 * coalesce(removal_effect, 0) / largest_effect) as bigint)
        end as weight
    from measured

),

credited as (

    -- Touches without credit are none of the model's.
    select
        weighted.order_id,
        weighted.touch_number,
        weighted.model,
        touches.order_amount,
        touches.margin_amount,
        touches.buyer_order_number,
        weighted.weight,
        sum(weighted.weight) over (
            partition by weighted.order_id, weighted.model
        ) as order_weight,
        row_number() over (
            partition by weighted.order_id, weighted.model
            order by weighted.touch_number desc
        ) = 1 as is_last_credited
    from weighted
    inner join touches
        on
            weighted.order_id = touches.order_id
            and weighted.touch_number = touches.touch_number
    where weighted.weight > 0

),

shared as (

    select
        *,
        {{ money_part('order_amount', 'weight', 'order_weight') }} as gmv_share,
        {{ money_part('margin_amount', 'weight', 'order_weight') }} as margin_share,
        cast(
            (2 * cast(weight as hugeint) * 1000000000000000 + order_weight) // (2 * order_weight)
            as decimal(16, 0)
        ) * cast(0.000000000000001 as decimal(16, 15)) as credit_share
    from credited

)

select
    -- ids
    order_id,
    touch_number,
    -- texts
    model,
    -- numbers: the last credited touch takes what rounding left over
    cast(
        case
            when is_last_credited
                then 1 - (sum(credit_share) over of_order - credit_share)
            else credit_share
        end as decimal(16, 15)
    ) as credit,
    {{ money(
        'case when is_last_credited then order_amount'
        ~ ' - (sum(gmv_share) over of_order - gmv_share) else gmv_share end'
    ) }} as gmv,
    {{ money(
        'case when is_last_credited then margin_amount'
        ~ ' - (sum(margin_share) over of_order - margin_share) else margin_share end'
    ) }} as margin,
    -- flags
    buyer_order_number = 1 as is_first_order
from shared
window of_order as (partition by order_id, model)
