-- The days on which a rule of seeds/alert_rules.csv is broken: a row per day, rule and scope.
-- Limits count as met within a hair (1e-12), so that 0.08 is not under 0.8 × 0.1.
with rules as (

    select *
    from {{ ref('alert_rules') }}
    where is_enabled

),

metric_days as (

    select * from {{ ref('int_metric_days') }}

),

spend as (

    select
        dt,
        channel,
        sum(spend) as spend
    from {{ ref('fct_channel_spend') }}
    group by dt, channel

),

orders_of_channels as (

    select distinct
        paid_dt as dt,
        channel
    from {{ ref('fct_orders') }}
    where is_paid

),

days as (

    select * from {{ ref('int_days') }}

),

rule_days as (

    select
        rules.rule_id,
        rules.kind,
        rules.metric,
        cast(rules.look_back as integer) as look_back,
        cast(rules.warn_at as double) as warn_at,
        cast(rules.alarm_at as double) as alarm_at,
        metric_days.dt,
        metric_days.value
    from rules
    inner join metric_days
        on rules.metric = metric_days.metric

),

medians as (

    select
        rule_days.rule_id,
        rule_days.dt,
        count(*) as days,
        quantile_cont(befores.value, 0.5) as usual
    from rule_days
    inner join metric_days as befores
        on
            rule_days.metric = befores.metric
            and rule_days.dt > befores.dt
            and rule_days.dt <= befores.dt + rule_days.look_back
    where rule_days.kind in ('below_median', 'above_median')
    group by rule_days.rule_id, rule_days.dt

),

against_median as (

    select
        rule_days.*,
        medians.usual as benchmark,
        case when rule_days.kind = 'below_median' then -1 else 1 end as direction,
        case when rule_days.kind = 'below_median' then -1 else 1 end
        * (rule_days.value - medians.usual) / nullif(medians.usual, 0) as excess
    from rule_days
    inner join medians
        on
            rule_days.rule_id = medians.rule_id
            and rule_days.dt = medians.dt
    where medians.days = rule_days.look_back

),

pooled as (

    -- In the first days of the data, what there is of them.
    select
        rule_days.rule_id,
        rule_days.dt,
        {{ rate('sum(pooled_days.numerator)', 'sum(pooled_days.denominator)') }} as value
    from rule_days
    inner join metric_days as pooled_days
        on
            rule_days.metric = pooled_days.metric
            and rule_days.dt >= pooled_days.dt
            and rule_days.dt < pooled_days.dt + rule_days.look_back
    where rule_days.kind in ('above_level', 'below_level')
    group by rule_days.rule_id, rule_days.dt

),

against_level as (

    select
        rule_days.* exclude (value),
        pooled.value,
        rule_days.warn_at as benchmark,
        case when rule_days.kind = 'below_level' then -1 else 1 end as direction
    from rule_days
    inner join pooled
        on
            rule_days.rule_id = pooled.rule_id
            and rule_days.dt = pooled.dt

),

falls as (

    -- Each day of the run is under the one before it.
    select
        rule_days.rule_id,
        rule_days.dt,
        count(*) filter (where falling_days.value < befores.value) as falls
    from rule_days
    inner join metric_days as falling_days
        on
            rule_days.metric = falling_days.metric
            and rule_days.dt >= falling_days.dt
            and rule_days.dt < falling_days.dt + rule_days.look_back
    inner join metric_days as befores
        on
            falling_days.metric = befores.metric
            and falling_days.dt = befores.dt + 1
    where rule_days.kind = 'falling'
    group by rule_days.rule_id, rule_days.dt

),

against_run as (

    select
        rule_days.*,
        befores.value as benchmark,
        -1 as direction
    from rule_days
    inner join falls
        on
            rule_days.rule_id = falls.rule_id
            and rule_days.dt = falls.dt
            and rule_days.look_back = falls.falls
    inner join metric_days as befores
        on
            rule_days.metric = befores.metric
            and rule_days.dt = befores.dt + rule_days.look_back

),

weekdays as (

    select
        rule_days.rule_id,
        rule_days.dt,
        rule_days.look_back,
        befores.value
    from rule_days
    inner join metric_days as befores
        on
            rule_days.metric = befores.metric
            and rule_days.dt > befores.dt
            and rule_days.dt <= befores.dt + 7 * rule_days.look_back
            and (rule_days.dt - befores.dt) % 7 = 0
    where rule_days.kind = 'outside_band'

),

centres as (

    select
        rule_id,
        dt,
        quantile_cont(value, 0.5) as centre
    from weekdays
    group by rule_id, dt
    having count(value) = max(look_back)

),

bands as (

    -- 1.4826 times the median absolute deviation is the standard deviation of a normal variable.
    select
        centres.rule_id,
        centres.dt,
        centres.centre,
        1.4826e0 * quantile_cont(abs(weekdays.value - centres.centre), 0.5) as deviation
    from centres
    inner join weekdays
        on
            centres.rule_id = weekdays.rule_id
            and centres.dt = weekdays.dt
    group by centres.rule_id, centres.dt, centres.centre

),

against_band as (

    select
        rule_days.*,
        bands.centre as benchmark,
        bands.deviation,
        case when rule_days.value < bands.centre then -1 else 1 end as direction
    from rule_days
    inner join bands
        on
            rule_days.rule_id = bands.rule_id
            and rule_days.dt = bands.dt

),

spending_channels as (

    -- Money on each of the days, and no order of the channel paid on any of them.
    select
        rules.rule_id,
        rules.kind,
        rules.metric,
        cast(rules.look_back as integer) as look_back,
        days.dt,
        spend.channel,
        sum(spend.spend) as value
    from rules
    cross join days
    inner join spend
        on
            days.dt >= spend.dt
            and days.dt < spend.dt + cast(rules.look_back as integer)
            and spend.spend > 0
    left join orders_of_channels
        on
            spend.channel = orders_of_channels.channel
            and spend.dt = orders_of_channels.dt
    where rules.kind = 'spend_without_orders'
    group by rules.rule_id, rules.kind, rules.metric, rules.look_back, days.dt, spend.channel
    having
        count(*) = max(rules.look_back)
        and count(orders_of_channels.channel) = 0

),

broken as (

    select
        dt,
        rule_id,
        kind,
        metric,
        'all' as scope,
        look_back,
        direction,
        value,
        benchmark,
        coalesce(excess > alarm_at + 1e-12, false) as is_alarm
    from against_median
    where excess > warn_at + 1e-12

    union all

    select
        dt,
        rule_id,
        kind,
        metric,
        'all' as scope,
        look_back,
        direction,
        value,
        benchmark,
        coalesce(direction * (value - alarm_at) > 1e-12, false) as is_alarm
    from against_level
    where direction * (value - warn_at) > 1e-12

    union all

    select
        dt,
        rule_id,
        kind,
        metric,
        'all' as scope,
        look_back,
        direction,
        value,
        benchmark,
        false as is_alarm
    from against_run

    union all

    select
        dt,
        rule_id,
        kind,
        metric,
        'all' as scope,
        look_back,
        direction,
        value,
        benchmark,
        coalesce(
            abs(value - benchmark) > alarm_at * deviation + 1e-12 * abs(benchmark), false
        ) as is_alarm
    from against_band
    where abs(value - benchmark) > warn_at * deviation + 1e-12 * abs(benchmark)

    union all

    select
        dt,
        rule_id,
        kind,
        metric,
        channel as scope,
        look_back,
        1 as direction,
        cast(value as double) as value,
        0 as benchmark,
        false as is_alarm
    from spending_channels

)

select
    dt,
    rule_id,
    scope,
    -- texts
    kind,
    metric,
    case when is_alarm then 'alarm' else 'warn' end as severity,
    -- numbers
    look_back,
    direction,
    cast(value as double) as value,
    cast(benchmark as double) as benchmark
from broken
