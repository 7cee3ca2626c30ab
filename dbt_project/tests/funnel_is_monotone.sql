-- What: each strict step of the funnel holds at most the sessions of the step before it, and at
-- most those that took it in any order; a cart that was abandoned was filled.
-- Why: people cannot pay in a session that they did not begin; a rate above 1 is a wrong join.
-- A returned row is a day, channel and device on which a step is larger.
select
    dt,
    channel,
    device,
    visited,
    viewed,
    carted,
    checked_out,
    paid,
    any_viewed,
    any_carted,
    any_checked_out,
    any_paid,
    abandoned_carts
from {{ ref('funnel_daily') }}
where
    viewed > visited
    or carted > viewed
    or checked_out > carted
    or paid > checked_out
    or viewed > any_viewed
    or carted > any_carted
    or checked_out > any_checked_out
    or paid > any_paid
    or abandoned_carts > any_carted
