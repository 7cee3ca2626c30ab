-- What: seeds/health_thresholds.csv has a line for each metric of health_quadrant, and what
-- is to watch begins below what is healthy.
-- Why: without a line a metric has no state, with crossed limits it is never to be watched.
-- A returned row is a metric without a line, or a line with crossed limits.
select
    needed.metric,
    thresholds.healthy_from,
    thresholds.watch_from
from (
    select unnest(['uv', 'conversion_rate', 'spend_per_buyer', 'repurchase_rate']) as metric
) as needed
left join {{ ref('health_thresholds') }} as thresholds
    on needed.metric = thresholds.metric
where
    thresholds.metric is null
    or thresholds.watch_from > thresholds.healthy_from
