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

movements as (

    select *
    from {{ ref('int_line_movements') }}
    where
        line_number is not null
        and movement in ('paid', 'refunded')

),

products as (

    select
        *,
        coalesce(category_l2, 'unknown') as category_l2_or_unknown
    from {{ ref('dim_product') }}

),

rules as (

    select * from {{ ref('category_role_rules') }}

),

exposed as (

    select
        products.category_l1,
        products.category_l2_or_unknown as category_l2,
        sum(product_days.impressions) as exposure
    from product_days
    inner join products
        on product_days.product_key = products.product_key
    cross join run
    where
        product_days.product_id != 'unknown'
        and product_days.dt > run.as_of - {{ var('product_window_days') }}
        and product_days.impressions + product_days.detail_views + product_days.carts > 0
    group by products.category_l1, products.category_l2_or_unknown

),

viewed as (

    select
        coalesce(products.category_l1, 'unknown') as category_l1,
        coalesce(products.category_l2_or_unknown, 'unknown') as category_l2,
        count(distinct session_products.user_id) as viewers
    from session_products
    cross join run
    left join products
        on
            session_products.product_id = products.product_id
            and products.product_key != 'unknown'
            and session_products.dt >= products.valid_from
            and session_products.dt < products.valid_to
    where
        session_products.detail_views > 0
        and session_products.product_id is not null
        and session_products.dt > run.as_of - {{ var('product_window_days') }}
    group by
        coalesce(products.category_l1, 'unknown'),
        coalesce(products.category_l2_or_unknown, 'unknown')

),

sold as (

    select
        products.category_l1,
        products.category_l2_or_unknown as category_l2,
        count(distinct case when movements.movement = 'paid' then movements.buyer_id end)
            as buyers,
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
    inner join products
        on movements.product_key = products.product_key
    cross join run
    where movements.dt > run.as_of - {{ var('product_window_days') }}
    group by products.category_l1, products.category_l2_or_unknown

),

categories as (

    select
        category_l1,
        category_l2
    from exposed

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
        coalesce(exposed.exposure, 0) as exposure,
        coalesce(sold.units, 0) as units,
        {{ rate('coalesce(sold.buyers, 0)', 'viewed.viewers') }} as conversion_rate,
        {{ rate('sold.gross_margin', 'sold.gmv') }} as margin_rate
    from categories
    left join exposed
        on
            categories.category_l1 = exposed.category_l1
            and categories.category_l2 = exposed.category_l2
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
