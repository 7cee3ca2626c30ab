{{ config(database='scratch', schema='attribution') }}

-- What each model credits each touch with. A touch has a whole-number weight in each model, so
-- that credits and money shares are exact ratios and do not depend on the order of rows.
with touches as (

    select * from {{ ref('int_touches') }}

),

effects as (

    select * from {{ ref('int_markov_effects') }}

),

models as (

    select
        unnest([
            'first_touch', 'last_touch', 'linear', 'position_based', 'time_decay', 'markov',
        ]) as model

),

-- Most orders have one touch or none: whatever the model, it has all.
undivided as (

    select
        touches.order_id,
        touches.touch_number,
        models.model,
        1 as credit,
        touches.order_amount as gmv,
        touches.margin_amount as margin,
        touches.buyer_order_number
    from touches
    cross join models
    where touches.touches <= 1

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
    where touches.touches > 1

),

weighted as (

    -- position_based: percents times the number of touches in the middle, so that what those
    -- share is a whole number. markov: in proportion to the removal effects of the channels,
    -- equally where all are 0.
    select
        measured.order_id,
        measured.touch_number,
        measured.order_amount,
        measured.margin_amount,
        measured.buyer_order_number,
        models.model,
        case models.model
            when 'first_touch'
                then case when measured.touch_number = 1 then 1 else 0 end
            when 'last_touch'
                then case when measured.touch_number = measured.touches then 1 else 0 end
            when 'linear'
                then 1
            when 'position_based'
                then
                    case
                        when measured.touch_number = 1
                            then
                                {{ var('attribution_first_percent') }}
                                * greatest(measured.touches - 2, 1)
                        when measured.touch_number = measured.touches
                            then
                                {{ var('attribution_last_percent') }}
                                * greatest(measured.touches - 2, 1)
                        else
                            100 - {{ var('attribution_first_percent') }}
                            - {{ var('attribution_last_percent') }}
                    end
            when 'time_decay'
                then
                    cast(round(
                        1e15 * pow(
                            0.5,
                            measured.days_before_newest
                            / {{ var('attribution_half_life_days') }}
                        )
                    ) as bigint)
            when 'markov'
                then
                    case
                        when coalesce(measured.largest_effect, 0) = 0 then 1
                        else
                            cast(round(
                                1e15 * coalesce(measured.removal_effect, 0)
                                / measured.largest_effect
                            ) as bigint)
                    end
        end as weight
    from measured
    cross join models

),

credited as (

    -- Touches without credit are none of the model's.
    select
        *,
        sum(weight) over of_order as order_weight,
        touch_number = max(touch_number) over of_order as is_last_credited
    from weighted
    where weight > 0
    window of_order as (partition by order_id, model)

),

shared as (

    -- Not of the last credited touch, which takes what is left: divisions this wide are slow.
    select
        *,
        case
            when not is_last_credited
                then {{ money_part('order_amount', 'weight', 'order_weight') }}
        end as gmv_share,
        case
            when not is_last_credited
                then {{ money_part('margin_amount', 'weight', 'order_weight') }}
        end as margin_share,
        case
            when not is_last_credited
                then
                    cast(
                        (2 * cast(weight as hugeint) * 1000000000000000 + order_weight)
                        // (2 * order_weight) as decimal(16, 0)
                    ) * cast(0.000000000000001 as decimal(16, 15))
        end as credit_share
    from credited

),

divided as (

    -- The last credited touch takes what the others leave, roundings and all.
    select
        order_id,
        touch_number,
        model,
        case
            when is_last_credited then 1 - coalesce(sum(credit_share) over of_order, 0)
            else credit_share
        end as credit,
        case
            when is_last_credited then order_amount - coalesce(sum(gmv_share) over of_order, 0)
            else gmv_share
        end as gmv,
        case
            when is_last_credited
                then margin_amount - coalesce(sum(margin_share) over of_order, 0)
            else margin_share
        end as margin,
        buyer_order_number
    from shared
    window of_order as (partition by order_id, model)

),

credits as (

    select * from undivided

    union all by name

    select * from divided

)

select
    -- ids
    order_id,
    touch_number,
    -- texts
    model,
    -- numbers
    cast(credit as decimal(16, 15)) as credit,
    {{ money('gmv') }} as gmv,
    {{ money('margin') }} as margin,
    -- flags
    buyer_order_number = 1 as is_first_order
from credits
