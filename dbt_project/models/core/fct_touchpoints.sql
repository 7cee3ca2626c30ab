with touches as (

    select * from {{ ref('int_touches') }}

),

credits as (

    select
        order_id,
        touch_number,
        max(credit) filter (where model = 'first_touch') as first_touch_credit,
        max(credit) filter (where model = 'last_touch') as last_touch_credit,
        max(credit) filter (where model = 'linear') as linear_credit,
        max(credit) filter (where model = 'position_based') as position_based_credit,
        max(credit) filter (where model = 'time_decay') as time_decay_credit,
        max(credit) filter (where model = 'markov') as markov_credit
    from {{ ref('int_touch_credits') }}
    group by order_id, touch_number

)

-- A model that leaves a touch out credits it with 0.
select
    -- ids
    touches.order_id,
    touches.touch_number,
    touches.session_key,
    touches.buyer_id,
    touches.campaign_id,
    -- texts
    touches.channel,
    -- numbers
    touches.touches,
    coalesce(credits.first_touch_credit, 0) as first_touch_credit,
    coalesce(credits.last_touch_credit, 0) as last_touch_credit,
    coalesce(credits.linear_credit, 0) as linear_credit,
    coalesce(credits.position_based_credit, 0) as position_based_credit,
    coalesce(credits.time_decay_credit, 0) as time_decay_credit,
    coalesce(credits.markov_credit, 0) as markov_credit,
    -- flags
    touches.is_own_session,
    -- times
    touches.started_at,
    touches.ordered_at,
    touches.paid_dt
from touches
left join credits
    on
        touches.order_id = credits.order_id
        and touches.touch_number = credits.touch_number
