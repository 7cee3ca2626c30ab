-- What: every line of seeds/alert_rules.csv has the limits that its kind needs, and none
-- that it ignores; an alarm is further off than a warning; spend_without_orders watches
-- spend and nothing else does.
-- Why: a rule without a limit raises nothing, and nobody notices.
-- A returned row is a wrong rule, with its line in the file and what is wrong with it.
with lines as (

    -- the header is line 1
    select
        *,
        row_number() over () + 1 as line
    from {{ ref('alert_rules') }}

),

judged as (

    select
        line,
        rule_id,
        case
            when
                kind in ('falling', 'spend_without_orders')
                and coalesce(warn_at, alarm_at) is not null
                then 'this kind has no warn_at and no alarm_at'
            when kind not in ('falling', 'spend_without_orders') and warn_at is null
                then 'warn_at is missing'
            when warn_at < 0 or alarm_at < 0
                then 'warn_at and alarm_at are at least 0'
            when kind = 'below_level' and alarm_at > warn_at
                then 'alarm_at is under warn_at: the lower, the worse'
            when kind != 'below_level' and alarm_at < warn_at
                then 'alarm_at is over warn_at: the further off, the worse'
            when (kind = 'spend_without_orders') != (metric = 'spend')
                then 'spend_without_orders goes with the metric spend'
        end as problem
    from lines

)

select
    line,
    rule_id,
    problem
from judged
where problem is not null
