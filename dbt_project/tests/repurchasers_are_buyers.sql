-- What: repurchase_users ≤ buyers, repurchase_amount ≤ GMV of the window, in every window.
-- Why: both are counted by what enters and leaves a window; a slip there would drift for ever.
-- A returned row is a window in which it does not hold.
select
    dt,
    window_days,
    buyers,
    repurchase_users,
    repurchase_amount
from {{ ref('repurchase') }}
where
    repurchase_users > buyers
    or repurchase_users < 0
    or repurchase_amount < 0
    or repurchase_amount_share > 1
