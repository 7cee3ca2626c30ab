with raised as (

    select * from {{ ref('int_raised_alerts') }}

),

metric_days as (

    select * from {{ ref('int_metric_days') }}

),

channel_days as (

    select * from {{ ref('int_metric_channel_days') }}

),

product_days as (

    select * from {{ ref('int_metric_product_days') }}

),

-- The days that an alert is about, and those that it compares them with.
alert_days as (

    select
        raised.rule_id,
        raised.dt as alert_dt,
        raised.metric,
        raised.direction,
        metric_days.dt,
        metric_days.denominator,
        case
            when raised.kind in ('above_level', 'below_level')
                then raised.dt < metric_days.dt + raised.look_back
            else raised.dt = metric_days.dt
        end as is_current
    from raised
    inner join metric_days
        on
            raised.metric = metric_days.metric
            and raised.dt >= metric_days.dt
            and case
                when raised.kind in ('above_level', 'below_level')
                    then raised.dt < metric_days.dt + 2 * raised.look_back
                when raised.kind = 'falling'
                    then raised.dt - metric_days.dt in (0, raised.look_back)
                when raised.kind = 'outside_band'
                    then
                        raised.dt <= metric_days.dt + 7 * raised.look_back
                        and (raised.dt - metric_days.dt) % 7 = 0
                else raised.dt <= metric_days.dt + raised.look_back
            end
    where raised.kind != 'spend_without_orders'

),

denominators as (

    select
        rule_id,
        alert_dt,
        sum(denominator) filter (where is_current) as denominator_now,
        sum(denominator) filter (where not is_current) as denominator_before
    from alert_days
    group by rule_id, alert_dt

),

channel_sums as (

    select
        alert_days.rule_id,
        alert_days.alert_dt,
        alert_days.direction,
        channel_days.channel,
        sum(channel_days.numerator) filter (where alert_days.is_current) as numerator_now,
        sum(channel_days.numerator) filter (where not alert_days.is_current) as numerator_before
    from alert_days
    inner join channel_days
        on
            alert_days.metric = channel_days.metric
            and alert_days.dt = channel_days.dt
    group by
        alert_days.rule_id,
        alert_days.alert_dt,
        alert_days.direction,
        channel_days.channel

),

-- What is not there on one side adds nothing on it.
channel_changes as (

    select
        channel_sums.rule_id,
        channel_sums.alert_dt,
        channel_sums.channel,
        channel_sums.direction * (
            coalesce(
                {{ rate('channel_sums.numerator_now', 'denominators.denominator_now') }}, 0
            )
            - coalesce(
                {{ rate('channel_sums.numerator_before', 'denominators.denominator_before') }}, 0
            )
        ) as change
    from channel_sums
    inner join denominators
        on
            channel_sums.rule_id = denominators.rule_id
            and channel_sums.alert_dt = denominators.alert_dt

),

worst_channels as (

    select
        rule_id,
        alert_dt,
        arg_max(channel, row(change, channel)) as channel
    from channel_changes
    where change > 0
    group by rule_id, alert_dt

),

product_sums as (

    select
        alert_days.rule_id,
        alert_days.alert_dt,
        alert_days.direction,
        product_days.product_id,
        sum(product_days.numerator) filter (where alert_days.is_current) as numerator_now,
        sum(product_days.numerator) filter (where not alert_days.is_current) as numerator_before
    from alert_days
    inner join product_days
        on
            alert_days.metric = product_days.metric
            and alert_days.dt = product_days.dt
    group by
        alert_days.rule_id,
        alert_days.alert_dt,
        alert_days.direction,
        product_days.product_id

),

product_changes as (

    select
        product_sums.rule_id,
        product_sums.alert_dt,
        product_sums.product_id,
        product_sums.direction * (
            coalesce(
                {{ rate('product_sums.numerator_now', 'denominators.denominator_now') }}, 0
            )
            - coalesce(
                {{ rate('product_sums.numerator_before', 'denominators.denominator_before') }}, 0
            )
        ) as change
    from product_sums
    inner join denominators
        on
            product_sums.rule_id = denominators.rule_id
            and product_sums.alert_dt = denominators.alert_dt

),

worst_products as (

    select
        rule_id,
        alert_dt,
        arg_max(product_id, row(change, product_id)) as product_id
    from product_changes
    where change > 0
    group by rule_id, alert_dt

)

select
    raised.dt,
    raised.rule_id,
    raised.scope,
    -- texts
    raised.metric,
    raised.severity,
    case raised.kind
        when 'spend_without_orders'
            then
                raised.scope || ' spent ' || {{ metric_text('raised.metric', 'raised.value') }}
                || ' in ' || raised.look_back || ' days without an order'
        when 'falling'
            then
                raised.metric || ' fell ' || raised.look_back || ' days in a row, from '
                || {{ metric_text('raised.metric', 'raised.benchmark') }} || ' to '
                || {{ metric_text('raised.metric', 'raised.value') }}
        when 'outside_band'
            then
                raised.metric || ' of ' || {{ metric_text('raised.metric', 'raised.value') }}
                || ' is unusually ' || case when raised.direction < 0 then 'low' else 'high' end
                || ' against the same weekday of ' || raised.look_back || ' weeks before: median '
                || {{ metric_text('raised.metric', 'raised.benchmark') }}
        when 'below_median'
            then
                raised.metric || ' of ' || {{ metric_text('raised.metric', 'raised.value') }}
                || ' is '
                || format('{:.1f} %', 100 * (1 - raised.value / raised.benchmark))
                || ' under its median of the ' || raised.look_back || ' days before, '
                || {{ metric_text('raised.metric', 'raised.benchmark') }}
        when 'above_median'
            then
                raised.metric || ' of ' || {{ metric_text('raised.metric', 'raised.value') }}
                || ' is '
                || format('{:.1f} %', 100 * (raised.value / raised.benchmark - 1))
                || ' over its median of the ' || raised.look_back || ' days before, '
                || {{ metric_text('raised.metric', 'raised.benchmark') }}
        else
            raised.metric || ' of the last ' || raised.look_back || ' days, '
            || {{ metric_text('raised.metric', 'raised.value') }} || ', is '
            || case when raised.direction < 0 then 'under ' else 'over ' end
            || {{ metric_text('raised.metric', 'raised.benchmark') }}
    end as message,
    case
        when raised.kind = 'spend_without_orders' then raised.scope
        else worst_channels.channel
    end as worst_channel,
    worst_products.product_id as worst_product,
    -- numbers
    raised.value,
    raised.benchmark
from raised
left join worst_channels
    on
        raised.rule_id = worst_channels.rule_id
        and raised.dt = worst_channels.alert_dt
left join worst_products
    on
        raised.rule_id = worst_products.rule_id
        and raised.dt = worst_products.alert_dt
