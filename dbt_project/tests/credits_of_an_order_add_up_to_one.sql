-- What: every paid order is in fct_touchpoints, and each model's credits of it add up to
-- exactly 1.
-- Why: an order that is credited more or less than once falsifies the return on every
-- campaign it touches.
-- A returned row is an order of which a model credits another share than 1, or that has no
-- row.
select
    orders.order_id,
    sum(touchpoints.first_touch_credit) as first_touch_credit,
    sum(touchpoints.last_touch_credit) as last_touch_credit,
    sum(touchpoints.linear_credit) as linear_credit,
    sum(touchpoints.position_based_credit) as position_based_credit,
    sum(touchpoints.time_decay_credit) as time_decay_credit,
    sum(touchpoints.markov_credit) as markov_credit
from {{ ref('fct_orders') }} as orders
left join {{ ref('fct_touchpoints') }} as touchpoints
    on orders.order_id = touchpoints.order_id
where orders.is_paid
group by orders.order_id
having
    sum(touchpoints.first_touch_credit) is distinct from 1
    or sum(touchpoints.last_touch_credit) is distinct from 1
    or sum(touchpoints.linear_credit) is distinct from 1
    or sum(touchpoints.position_based_credit) is distinct from 1
    or sum(touchpoints.time_decay_credit) is distinct from 1
    or sum(touchpoints.markov_credit) is distinct from 1
