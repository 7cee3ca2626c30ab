with daily as (

    select * from {{ ref('gmv_daily') }}

),

repurchase as (

    select *
    from {{ ref('repurchase') }}
    where window_days = {{ var('health_repurchase_window_days') }}

),

thresholds as (

    select * from {{ ref('health_thresholds') }}

),

metrics as (

    select
        daily.dt,
        row_number() over (order by daily.dt) as day_number,
        daily.uv,
        daily.conversion_rate,
        daily.spend_per_buyer,
        repurchase.repurchase_rate
    from daily
    left join repurchase
        on daily.dt = repurchase.dt

),

-- The days before, the day itself out; days without a value are passed over.
medians as (

    select
        *,
        quantile_cont(cast(uv as double), 0.5) over days_before as median_uv,
        quantile_cont(conversion_rate, 0.5) over days_before as median_conversion_rate,
        quantile_cont(spend_per_buyer, 0.5) over days_before as median_spend_per_buyer,
        quantile_cont(repurchase_rate, 0.5) over days_before as median_repurchase_rate
    from metrics
    window days_before as (
        order by dt
        rows between {{ var('health_median_days') }} preceding and 1 preceding
    )

),

whole_medians as (

    select
        *,
        case when day_number > {{ var('health_median_days') }} then median_uv end as uv_median,
        case when day_number > {{ var('health_median_days') }} then median_conversion_rate end
            as conversion_rate_median,
        case when day_number > {{ var('health_median_days') }} then median_spend_per_buyer end
            as spend_per_buyer_median,
        case when day_number > {{ var('health_median_days') }} then median_repurchase_rate end
            as repurchase_rate_median
    from medians

),

deviations as (

    select
        *,
        {{ rate('uv', 'uv_median') }} - 1 as uv_deviation,
        {{ rate('conversion_rate', 'conversion_rate_median') }} - 1 as conversion_rate_deviation,
        {{ rate('spend_per_buyer', 'spend_per_buyer_median') }} - 1 as spend_per_buyer_deviation,
        {{ rate('repurchase_rate', 'repurchase_rate_median') }} - 1 as repurchase_rate_deviation
    from whole_medians

)

select
    deviations.dt,
    -- values
    deviations.uv,
    deviations.conversion_rate,
    deviations.spend_per_buyer,
    deviations.repurchase_rate,
    -- what they usually are, and how far they are from it
    deviations.uv_median,
    deviations.uv_deviation,
    deviations.conversion_rate_median,
    deviations.conversion_rate_deviation,
    deviations.spend_per_buyer_median,
    deviations.spend_per_buyer_deviation,
    deviations.repurchase_rate_median,
    deviations.repurchase_rate_deviation,
    -- states
    {{ health_state('deviations.uv_deviation', 'of_uv') }} as uv_state,
    {{ health_state('deviations.conversion_rate_deviation', 'of_conversion_rate') }}
        as conversion_rate_state,
    {{ health_state('deviations.spend_per_buyer_deviation', 'of_spend_per_buyer') }}
        as spend_per_buyer_state,
    {{ health_state('deviations.repurchase_rate_deviation', 'of_repurchase_rate') }}
        as repurchase_rate_state
from deviations
left join thresholds as of_uv
    on of_uv.metric = 'uv'
left join thresholds as of_conversion_rate
    on of_conversion_rate.metric = 'conversion_rate'
left join thresholds as of_spend_per_buyer
    on of_spend_per_buyer.metric = 'spend_per_buyer'
left join thresholds as of_repurchase_rate
    on of_repurchase_rate.metric = 'repurchase_rate'
