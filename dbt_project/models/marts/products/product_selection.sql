with run as (

    select * from {{ source('ops', 'run') }}

),

products as (

    select
        *,
        coalesce(category_l2, 'unknown') as category_l2_or_unknown
    from {{ ref('dim_product') }}
    where
        is_current
        and product_key != 'unknown'

),

session_products as (

    select *
    from {{ ref('int_session_products') }}
    where not is_bot

),

movements as (

    select *
    from {{ ref('int_line_movements') }}
    where
        line_number is not null
        and movement in ('paid', 'refunded')

),

refund_lines as (

    select *
    from {{ ref('int_refund_lines') }}
    where kind = 'return'

),

thresholds as (

    select
        max(threshold) filter (where criterion = 'demand') as demand,
        max(threshold) filter (where criterion = 'margin_rate') as margin_rate,
        max(threshold) filter (where criterion = 'competition') as competition,
        max(threshold) filter (where criterion = 'return_rate') as return_rate,
        list(criterion) filter (where measure = 'quantile') as quantiles
    from {{ ref('product_selection_thresholds') }}

),

role_rules as (

    select * from {{ ref('product_role_rules') }}

),

listed as (

    -- Listed when as_of ends.
    select
        products.product_id,
        products.category_l1,
        products.list_price,
        count(*) over (partition by products.category_l2_or_unknown) - 1 as competition
    from products
    cross join run
    where
        (products.listed_at is null or products.listed_at < run.as_of_end)
        and (products.delisted_at is null or products.delisted_at >= run.as_of_end)

),

viewed as (

    select
        session_products.product_id,
        count(distinct session_products.user_id) as demand
    from session_products
    cross join run
    where
        session_products.detail_views > 0
        and session_products.dt > run.as_of - {{ var('product_window_days') }}
    group by session_products.product_id

),

sold as (

    select
        movements.product_id,
        sum(movements.units) as units,
        sum(movements.gmv) as gmv,
        sum(
            movements.gmv
            - movements.discount_amount
            - movements.refund_amount
            - movements.cost_amount
            + movements.returned_cost_amount
        ) as gross_margin
    from movements
    cross join run
    where movements.dt > run.as_of - {{ var('product_window_days') }}
    group by movements.product_id

),

outcomes as (

    select
        movements.product_id,
        count(distinct movements.order_id) as orders,
        count(distinct refund_lines.order_id) as returned_orders
    from movements
    cross join run
    left join refund_lines
        on
            movements.order_id = refund_lines.order_id
            and movements.line_number = refund_lines.line_number
    where
        movements.movement = 'paid'
        and movements.dt > run.as_of - {{ var('product_window_days') }}
    group by movements.product_id

),

measured as (

    select
        listed.product_id,
        listed.category_l1,
        listed.competition,
        cast(listed.list_price as double) as list_price,
        coalesce(viewed.demand, 0) as demand,
        coalesce(sold.units, 0) as units,
        {{ rate('sold.gross_margin', 'sold.gmv') }} as margin_rate,
        {{ rate('outcomes.returned_orders', 'outcomes.orders') }} as return_rate
    from listed
    left join viewed
        on listed.product_id = viewed.product_id
    left join sold
        on listed.product_id = sold.product_id
    left join outcomes
        on listed.product_id = outcomes.product_id

),

sorted as (

    select
        list(cast(demand as double) order by demand) as demands,
        list(cast(competition as double) order by competition) as competitions,
        list(cast(units as double) order by units) as units,
        list(margin_rate order by margin_rate) filter (where margin_rate is not null)
            as margin_rates,
        list(return_rate order by return_rate) filter (where return_rate is not null)
            as return_rates
    from measured

),

sorted_prices as (

    select
        category_l1,
        list(list_price order by list_price) as list_prices
    from measured
    where list_price is not null
    group by category_l1

),

limits as (

    -- A threshold is a value, or a quantile of the figure over all listed products.
    select
        case
            when list_contains(thresholds.quantiles, 'demand')
                then {{ quantile_of('sorted.demands', 'thresholds.demand') }}
            else thresholds.demand
        end as demand,
        case
            when list_contains(thresholds.quantiles, 'margin_rate')
                then {{ quantile_of('sorted.margin_rates', 'thresholds.margin_rate') }}
            else thresholds.margin_rate
        end as margin_rate,
        case
            when list_contains(thresholds.quantiles, 'competition')
                then {{ quantile_of('sorted.competitions', 'thresholds.competition') }}
            else thresholds.competition
        end as competition,
        case
            when list_contains(thresholds.quantiles, 'return_rate')
                then {{ quantile_of('sorted.return_rates', 'thresholds.return_rate') }}
            else thresholds.return_rate
        end as return_rate
    from thresholds
    cross join sorted

),

judged as (

    -- An unknown figure passes nothing: there the comparison is NULL.
    select
        measured.*,
        coalesce(measured.demand >= limits.demand, false) as is_demand,
        coalesce(measured.margin_rate >= limits.margin_rate, false) as is_margin_rate,
        coalesce(measured.competition <= limits.competition, false) as is_competition,
        coalesce(measured.return_rate < limits.return_rate, false) as is_return_rate
    from measured
    cross join limits

),

roles as (

    -- The first rule of which every limit that it names is kept.
    select
        measured.product_id,
        arg_min(role_rules.product_role, role_rules.rule_order) as product_role
    from measured
    cross join role_rules
    cross join sorted
    left join sorted_prices
        on measured.category_l1 = sorted_prices.category_l1
    where
        (
            role_rules.list_price_at_least_quantile is null
            or measured.list_price >= {{ quantile_of(
                'sorted_prices.list_prices', 'role_rules.list_price_at_least_quantile'
            ) }}
        )
        and (
            role_rules.margin_at_least_quantile is null
            or measured.margin_rate >= {{ quantile_of(
                'sorted.margin_rates', 'role_rules.margin_at_least_quantile'
            ) }}
        )
        and (
            role_rules.margin_below_quantile is null
            or measured.margin_rate < {{ quantile_of(
                'sorted.margin_rates', 'role_rules.margin_below_quantile'
            ) }}
        )
        and (
            role_rules.units_at_least_quantile is null
            or measured.units >= {{ quantile_of(
                'sorted.units', 'role_rules.units_at_least_quantile'
            ) }}
        )
    group by measured.product_id

)

select
    run.as_of,
    judged.product_id,
    -- texts
    coalesce(roles.product_role, 'none') as product_role,
    -- figures
    cast(judged.demand as bigint) as demand,
    cast(judged.competition as bigint) as competition,
    judged.margin_rate,
    judged.return_rate,
    -- flags
    judged.is_demand,
    judged.is_margin_rate,
    judged.is_competition,
    judged.is_return_rate,
    judged.is_demand
    and judged.is_margin_rate
    and judged.is_competition
    and judged.is_return_rate as passes
from judged
cross join run
left join roles
    on judged.product_id = roles.product_id
