with run as (

    select * from {{ source('ops', 'run') }}

),

promotions as (

    select
        promotion_id,
        budget,
        {{ business_day('warmup_at') }} as warmup_dt,
        {{ business_day('starts_at') }} as starts_dt,
        {{ business_day('ends_at') }} as ends_dt
    from {{ ref('dim_promotion') }}
    where promotion_id != 'unknown'

),

days as (

    select * from {{ ref('int_days') }}

),

daily as (

    select * from {{ ref('gmv_daily') }}

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where
        is_paid
        and promotion_id is not null

),

inventory as (

    select * from {{ ref('int_inventory') }}

),

first_day as (

    select min(dt) as first_dt from days

),

-- A warm-up is there only where it begins before the burst.
timed as (

    select
        *,
        cast(ends_dt - starts_dt + 1 as integer) as burst_days,
        case when warmup_dt < starts_dt then warmup_dt else starts_dt end as prelude_dt
    from promotions
    where ends_dt >= starts_dt

),

phases as (

    select
        promotion_id,
        budget,
        'before' as phase,
        prelude_dt - burst_days as first_dt,
        prelude_dt - 1 as last_dt
    from timed

    union all

    select
        promotion_id,
        budget,
        'warmup' as phase,
        prelude_dt as first_dt,
        starts_dt - 1 as last_dt
    from timed
    where prelude_dt < starts_dt

    union all

    select
        promotion_id,
        budget,
        'burst' as phase,
        starts_dt as first_dt,
        ends_dt as last_dt
    from timed

    union all

    select
        promotion_id,
        budget,
        'after' as phase,
        ends_dt + 1 as first_dt,
        ends_dt + burst_days as last_dt
    from timed

),

shop_totals as (

    select
        phases.promotion_id,
        phases.phase,
        sum(daily.gmv) as gmv,
        sum(daily.orders) as orders,
        sum(daily.new_buyers) as new_buyers,
        sum(daily.gross_margin) as gross_margin,
        sum(daily.discount_amount) as all_discounts
    from phases
    inner join daily
        on
            phases.first_dt <= daily.dt
            and phases.last_dt >= daily.dt
    group by phases.promotion_id, phases.phase

),

promotion_totals as (

    select
        phases.promotion_id,
        phases.phase,
        count(*) as promotion_orders,
        sum(orders.order_amount) as promotion_gmv,
        sum(orders.discount_amount) as discount_amount
    from phases
    inner join orders
        on
            phases.promotion_id = orders.promotion_id
            and phases.first_dt <= orders.paid_dt
            and phases.last_dt >= orders.paid_dt
    group by phases.promotion_id, phases.phase

),

stockouts as (

    select
        phases.promotion_id,
        phases.phase,
        count(distinct inventory.product_id) as stockout_products
    from phases
    inner join inventory
        on
            phases.first_dt <= inventory.dt
            and phases.last_dt >= inventory.dt
            and inventory.on_hand = 0
    group by phases.promotion_id, phases.phase

),

-- A phase in which nothing happened has zeros, not gaps.
joined as (

    select
        phases.promotion_id,
        phases.phase,
        phases.first_dt,
        phases.last_dt - phases.first_dt + 1 as days,
        phases.last_dt <= run.as_of as is_mature,
        coalesce(phases.budget, 0) as budget,
        coalesce(shop_totals.gmv, 0) as gmv,
        coalesce(shop_totals.orders, 0) as orders,
        coalesce(shop_totals.new_buyers, 0) as new_buyers,
        coalesce(shop_totals.gross_margin, 0) as gross_margin,
        coalesce(shop_totals.all_discounts, 0) as all_discounts,
        coalesce(promotion_totals.promotion_orders, 0) as promotion_orders,
        coalesce(promotion_totals.promotion_gmv, 0) as promotion_gmv,
        coalesce(promotion_totals.discount_amount, 0) as discount_amount,
        coalesce(stockouts.stockout_products, 0) as stockout_products
    from phases
    cross join run
    left join shop_totals
        on
            phases.promotion_id = shop_totals.promotion_id
            and phases.phase = shop_totals.phase
    left join promotion_totals
        on
            phases.promotion_id = promotion_totals.promotion_id
            and phases.phase = promotion_totals.phase
    left join stockouts
        on
            phases.promotion_id = stockouts.promotion_id
            and phases.phase = stockouts.phase

),

-- Nothing is compared with a `before` that the data do not cover.
baselines as (

    select
        joined.promotion_id,
        joined.days,
        joined.gmv,
        joined.gross_margin + joined.all_discounts as margin_before_discounts
    from joined
    cross join first_day
    where
        joined.phase = 'before'
        and joined.is_mature
        and joined.first_dt >= first_day.first_dt

),

compared as (

    select
        joined.*,
        joined.discount_amount + joined.budget as cost,
        {{ rate('joined.gmv', 'joined.days') }} as gmv_per_day,
        {{ rate('baselines.gmv', 'baselines.days') }} as gmv_per_day_before,
        -- `before` has as many days as the burst, so its total is what the burst would have made
        joined.gross_margin + joined.all_discounts - baselines.margin_before_discounts
            as extra_margin
    from joined
    left join baselines
        on joined.promotion_id = baselines.promotion_id

)

select
    promotion_id,
    phase,
    -- counts
    cast(days as bigint) as days,
    cast(case when is_mature then orders end as bigint) as orders,
    cast(case when is_mature then new_buyers end as bigint) as new_buyers,
    cast(case when is_mature then promotion_orders end as bigint) as promotion_orders,
    cast(case when is_mature then stockout_products end as bigint) as stockout_products,
    -- money
    {{ money('case when is_mature then gmv end') }} as gmv,
    {{ money('case when is_mature then gross_margin end') }} as gross_margin,
    {{ money('case when is_mature then promotion_gmv end') }} as promotion_gmv,
    {{ money('case when is_mature then discount_amount end') }} as discount_amount,
    -- rates and averages
    case when is_mature then gmv_per_day end as gmv_per_day,
    case
        when is_mature and phase != 'before'
            then {{ rate('gmv_per_day - gmv_per_day_before', 'gmv_per_day_before') }}
    end as lift,
    case
        when is_mature and phase = 'burst' then {{ rate('extra_margin - cost', 'cost') }}
    end as roi,
    -- flags
    is_mature
from compared
