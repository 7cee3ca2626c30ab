with days as (

    select * from {{ ref('int_days') }}

),

totals as (

    select * from {{ ref('gmv_daily') }}

),

sessions as (

    select *
    from {{ ref('fct_sessions') }}
    where not is_bot

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

comparisons as (

    select
        'day' as compare_to,
        1 as days_before

    union all

    select
        'week' as compare_to,
        7 as days_before

    union all

    select
        'year' as compare_to,
        364 as days_before

),

visitors_of_channels as (

    select
        dt,
        channel,
        count(distinct user_id) as uv,
        0 as buyers,
        cast(0 as decimal(18, 4)) as gmv
    from sessions
    group by dt, channel

),

sales_of_channels as (

    select
        paid_dt as dt,
        channel,
        0 as uv,
        count(distinct buyer_id) as buyers,
        sum(order_amount) as gmv
    from orders
    group by paid_dt, channel

),

factors as (

    select
        dt,
        channel,
        sum(uv) as uv,
        sum(buyers) as buyers,
        sum(gmv) as gmv
    from (
        select * from visitors_of_channels

        union all

        select * from sales_of_channels
    ) as parts
    group by dt, channel

    union all

    select
        dt,
        'all' as channel,
        uv,
        buyers,
        gmv
    from totals

),

-- A channel that was there on either of the two days, as long as the earlier day is in the data.
seen as (

    select
        factors.dt,
        comparisons.compare_to,
        comparisons.days_before,
        factors.channel
    from factors
    cross join comparisons

    union

    select
        factors.dt + comparisons.days_before as dt,
        comparisons.compare_to,
        comparisons.days_before,
        factors.channel
    from factors
    cross join comparisons

),

pairs as (

    select
        seen.dt,
        seen.compare_to,
        seen.channel,
        coalesce(today.uv, 0) as uv,
        coalesce(today.buyers, 0) as buyers,
        coalesce(today.gmv, 0) as gmv,
        coalesce(earlier.uv, 0) as uv_before,
        coalesce(earlier.buyers, 0) as buyers_before,
        coalesce(earlier.gmv, 0) as gmv_before
    from seen
    inner join days
        on
            seen.dt = days.dt
            and seen.dt - seen.days_before >= days.first_dt
    left join factors as today
        on
            seen.dt = today.dt
            and seen.channel = today.channel
    left join factors as earlier
        on
            seen.dt - seen.days_before = earlier.dt
            and seen.channel = earlier.channel

),

weighed as (

    -- Where no factor is 0 on either side, each factor's effect is its logarithm's change × the
    -- logarithmic mean of the two GMV. Of two close figures log(a / b) loses digits, atanh keeps
    -- them.
    select
        *,
        case
            when uv = 0 and uv_before = 0 then 'spend'
            when uv = 0 or uv_before = 0 then 'uv'
            when buyers = 0 or buyers_before = 0 then 'conversion'
            when gmv = 0 or gmv_before = 0 then 'spend'
        end as only_factor,
        gmv - gmv_before as change,
        case
            when least(uv, uv_before, buyers, buyers_before) = 0 or least(gmv, gmv_before) = 0
                then null
            when gmv = gmv_before
                then cast(gmv as double)
            when gmv < 2 * gmv_before and gmv_before < 2 * gmv
                then
                    cast(gmv - gmv_before as double)
                    / (2 * atanh(cast(gmv - gmv_before as double) / (gmv + gmv_before)))
            else
                cast(gmv - gmv_before as double)
                / ln(cast(gmv as double) / cast(gmv_before as double))
        end as log_mean
    from pairs

),

split as (

    select
        *,
        {{ money(
            "case only_factor when 'uv' then change when 'conversion' then 0 when 'spend' then 0"
            ~ " else log_mean * ln(cast(uv as double) / uv_before) end"
        ) }} as uv_effect,
        {{ money(
            "case only_factor when 'uv' then 0 when 'conversion' then change when 'spend' then 0"
            ~ " else log_mean * ln((cast(buyers as double) * uv_before)"
            ~ " / (cast(buyers_before as double) * uv)) end"
        ) }} as conversion_effect
    from weighed

)

select
    dt,
    compare_to,
    channel,
    -- money
    {{ money('gmv') }} as gmv,
    {{ money('gmv_before') }} as gmv_before,
    uv_effect,
    conversion_effect,
    {{ money('change - uv_effect - conversion_effect') }} as spend_effect
from split
