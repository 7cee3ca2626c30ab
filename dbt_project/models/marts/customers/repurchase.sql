with days as (

    select * from {{ ref('int_days') }}

),

windows as (

    select cast(unnest({{ var('repurchase_window_days') }}) as bigint) as window_days

),

gaps as (

    select * from {{ ref('int_order_gaps') }}

),

buyer_days as (

    select distinct
        buyer_id,
        paid_dt as dt
    from gaps

),

buyer_changes as (

    {{ distinct_window_changes('buyer_days', 'windows', 'buyer_id') }}

),

-- An order is its buyer's second or later in a window when the one before lies in it, too: from
-- its own day until the one before leaves the window.
pairs as (

    select
        windows.window_days,
        gaps.order_amount,
        gaps.gap_microseconds,
        gaps.paid_dt as from_dt,
        gaps.previous_paid_dt + cast(windows.window_days as integer) as until_dt,
        least(
            gaps.previous_paid_dt + cast(windows.window_days as integer),
            coalesce(gaps.next_paid_dt, {{ until_ever() }})
        ) as until_dt_of_buyer
    from gaps
    cross join windows
    where
        gaps.previous_paid_dt is not null
        and gaps.paid_dt < gaps.previous_paid_dt + cast(windows.window_days as integer)

),

changes as (

    select
        window_days,
        dt,
        change as buyers,
        0 as repurchase_users,
        cast(0 as decimal(18, 4)) as repurchase_amount
    from buyer_changes

    union all

    select
        window_days,
        from_dt as dt,
        0 as buyers,
        case when from_dt < until_dt_of_buyer then 1 else 0 end as repurchase_users,
        order_amount as repurchase_amount
    from pairs

    union all

    select
        window_days,
        until_dt_of_buyer as dt,
        0 as buyers,
        -1 as repurchase_users,
        cast(0 as decimal(18, 4)) as repurchase_amount
    from pairs
    where from_dt < until_dt_of_buyer

    union all

    select
        window_days,
        until_dt as dt,
        0 as buyers,
        0 as repurchase_users,
        -order_amount as repurchase_amount
    from pairs

),

sales as (

    select
        paid_dt as dt,
        sum(order_amount) as gmv
    from gaps
    group by paid_dt

),

changes_of_days as (

    select
        window_days,
        dt,
        sum(buyers) as buyers,
        sum(repurchase_users) as repurchase_users,
        sum(repurchase_amount) as repurchase_amount
    from changes
    group by window_days, dt

),

day_windows as (

    select
        days.dt,
        days.first_dt,
        windows.window_days,
        coalesce(sales.gmv, 0) as gmv
    from days
    cross join windows
    left join sales
        on days.dt = sales.dt

),

running as (

    select
        day_windows.dt,
        day_windows.first_dt,
        day_windows.window_days,
        sum(coalesce(changes_of_days.buyers, 0)) over until_day as buyers,
        sum(coalesce(changes_of_days.repurchase_users, 0)) over until_day as repurchase_users,
        sum(coalesce(changes_of_days.repurchase_amount, 0)) over until_day as repurchase_amount,
        sum(day_windows.gmv) over until_day as gmv_so_far
    from day_windows
    left join changes_of_days
        on
            day_windows.window_days = changes_of_days.window_days
            and day_windows.dt = changes_of_days.dt
    window until_day as (
        partition by day_windows.window_days
        order by day_windows.dt
        rows unbounded preceding
    )

),

medians as (

    select
        day_windows.dt,
        day_windows.window_days,
        quantile_cont(pairs.gap_microseconds / 86400000000.0, 0.5) as median_days_between_orders
    from day_windows
    inner join pairs
        on
            day_windows.window_days = pairs.window_days
            and day_windows.dt >= pairs.from_dt
            and day_windows.dt < pairs.until_dt
    group by day_windows.dt, day_windows.window_days

)

select
    running.dt,
    running.window_days,
    -- money
    {{ money('running.repurchase_amount') }} as repurchase_amount,
    -- counts
    cast(running.buyers as bigint) as buyers,
    cast(running.repurchase_users as bigint) as repurchase_users,
    -- rates and averages
    {{ rate('running.repurchase_users', 'running.buyers') }} as repurchase_rate,
    {{ rate(
        'running.repurchase_amount',
        'running.gmv_so_far - coalesce(gone.gmv_so_far, 0)',
    ) }} as repurchase_amount_share,
    cast(medians.median_days_between_orders as double) as median_days_between_orders,
    -- flags
    running.first_dt <= running.dt - cast(running.window_days as integer) + 1 as is_full_window
from running
left join running as gone
    on
        running.window_days = gone.window_days
        and running.dt - cast(running.window_days as integer) = gone.dt
left join medians
    on
        running.dt = medians.dt
        and running.window_days = medians.window_days
