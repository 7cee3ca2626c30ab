with run as (

    select * from {{ source('ops', 'run') }}

),

product_days as (

    select * from {{ ref('fct_product_days') }}

),

session_products as (

    select *
    from {{ ref('int_session_products') }}
    where not is_bot

),

-- What has no line in its order is the product `unknown`'s.
movements as (

    select *
    from {{ ref('int_line_movements') }}
    where movement in ('paid', 'refunded')

),

-- A table as of a day takes its attributes as of that day: a product's category at as_of.
products as (

    select *
    from {{ ref('dim_product') }}
    where is_current

),

rules as (

    select * from {{ ref('category_role_rules') }}

),

exposed as (

    select
        product_id,
        sum(impressions) as exposure
    from product_days
    cross join run
    where
        product_id != 'unknown'
        and dt > run.as_of - {{ var('product_window_days') }}
        and impressions + detail_views + carts > 0
    group by product_id

),

exposed_categories as (

    select
        coalesce(products.category_l1, 'unknown') as category_l1,
        coalesce(products.category_l2, 'unknown') as category_l2,
        sum(exposed.exposure) as exposure
    from exposed
    left join products
        on exposed.product_id = products.product_id
    group by coalesce(products.category_l1, 'unknown'), coalesce(products.category_l2, 'unknown')

),

viewed as (

    select
        coalesce(products.category_l1, 'unknown') as category_l1,
        coalesce(products.category_l2, 'unknown') as category_l2,
        count(distinct session_products.user_id) as viewers
    from session_products
    cross join run
    left join products
        on session_products.product_id = products.product_id
    where
        session_products.detail_views > 0
        and session_products.product_id is not null
        and session_products.dt > run.as_of - {{ var('product_window_days') }}
    group by coalesce(products.category_l1, 'unknown'), coalesce(products.category_l2, 'unknown')

),

sold as (

    select
        coalesce(products.category_l1, 'unknown') as category_l1,
        coalesce(products.category_l2, 'unknown') as category_l2,
        count(distinct movements.buyer_id) filter (
            where movements.movement = 'paid' and movements.line_number is not null
        ) as buyers,
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
    left join products
        on movements.product_id = products.product_id
    where movements.dt > run.as_of - {{ var('product_window_days') }}
    group by coalesce(products.category_l1, 'unknown'), coalesce(products.category_l2, 'unknown')

),

categories as (

    select
        category_l1,
        category_l2
    from exposed_categories

    union

    select
        category_l1,
        category_l2
    from sold

),

measured as (

    select
        categories.category_l1,
        categories.category_l2,
        coalesce(exposed_categories.exposure, 0) as exposure,
        coalesce(sold.units, 0) as units,
        {{ rate('coalesce(sold.buyers, 0)', 'viewed.viewers') }} as conversion_rate,
        {{ rate('sold.gross_margin', 'sold.gmv') }} as margin_rate
    from categories
    left join exposed_categories
        on
            categories.category_l1 = exposed_categories.category_l1
            and categories.category_l2 = exposed_categories.category_l2
    left join viewed
        on
            categories.category_l1 = viewed.category_l1
            and categories.category_l2 = viewed.category_l2
    left join sold
        on
            categories.category_l1 = sold.category_l1
            and categories.category_l2 = sold.category_l2

),

sorted as (

    select
        list(cast(exposure as double) order by exposure) as exposures,
        list(conversion_rate order by conversion_rate) filter (where conversion_rate is not null)
            as conversion_rates,
        list(margin_rate order by margin_rate) filter (where margin_rate is not null)
            as margin_rates
    from measured

),

limits as (

    select
        rules.rule_order,
        rules.role,
        rules.exposure_at_most_quantile,
        rules.conversion_above_quantile,
        rules.margin_above_quantile,
        {{ quantile_of('sorted.exposures', 'rules.exposure_at_most_quantile') }}
            as exposure_at_most,
        {{ quantile_of('sorted.conversion_rates', 'rules.conversion_above_quantile') }}
            as conversion_above,
        {{ quantile_of('sorted.margin_rates', 'rules.margin_above_quantile') }} as margin_above
    from rules
    cross join sorted

),

judged as (

    -- The first rule of which every limit that it names is kept; an unknown figure keeps none.
    select
        measured.category_l1,
        measured.category_l2,
        arg_min(limits.role, limits.rule_order) as role
    from measured
    inner join limits
        on
            (
                limits.exposure_at_most_quantile is null
                or measured.exposure <= limits.exposure_at_most
            )
            and (
                limits.conversion_above_quantile is null
                or measured.conversion_rate > limits.conversion_above
            )
            and (
                limits.margin_above_quantile is null
                or measured.margin_rate > limits.margin_above
            )
    group by measured.category_l1, measured.category_l2

)

select
    run.as_of,
    measured.category_l1,
    measured.category_l2,
    -- texts
    judged.role,
    -- counts
    cast(measured.exposure as bigint) as exposure,
    cast(measured.units as bigint) as units,
    -- rates
    measured.conversion_rate,
    measured.margin_rate
from measured
cross join run
left join judged
    on
        measured.category_l1 = judged.category_l1
        and measured.category_l2 = judged.category_l2
