with product_days as (

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

refund_lines as (

    select *
    from {{ ref('int_refund_lines') }}
    where line_number is not null

),

reviews as (

    select * from {{ ref('int_reviews') }}

),

inventory as (

    select * from {{ ref('int_inventory') }}

),

behaviour as (

    select
        dt,
        product_id,
        sum(impressions) as impressions,
        sum(detail_views) as detail_views,
        sum(carts) as carts
    from product_days
    where
        product_id != 'unknown'
        and impressions + detail_views + carts > 0
    group by dt, product_id

),

viewed as (

    select
        dt,
        product_id,
        count(distinct user_id) as viewers
    from session_products
    where detail_views > 0
    group by dt, product_id

),

refunded_products as (

    -- Which orders got which of their products refunded or returned, whenever up to as_of.
    select
        refund_lines.order_id,
        movements.product_id,
        bool_or(refund_lines.kind = 'return') as has_return
    from refund_lines
    inner join movements
        on
            refund_lines.order_id = movements.order_id
            and refund_lines.line_number = movements.line_number
            and movements.movement = 'paid'
    group by refund_lines.order_id, movements.product_id

),

paid_products as (

    select distinct
        movements.dt,
        movements.product_id,
        movements.order_id,
        refunded_products.order_id is not null as has_refund,
        coalesce(refunded_products.has_return, false) as has_return
    from movements
    left join refunded_products
        on
            movements.order_id = refunded_products.order_id
            and movements.product_id = refunded_products.product_id
    where
        movements.movement = 'paid'
        and movements.line_number is not null

),

outcomes as (

    select
        dt,
        product_id,
        count(*) as orders,
        count(*) filter (where has_refund) as refunded_orders,
        count(*) filter (where has_return) as returned_orders
    from paid_products
    group by dt, product_id

),

sold as (

    select
        dt,
        product_id,
        count(distinct buyer_id) filter (where movement = 'paid' and line_number is not null)
            as buyers,
        sum(units) as units,
        sum(gmv) as gmv,
        sum(gmv - discount_amount - refund_amount - cost_amount + returned_cost_amount)
            as gross_margin
    from movements
    group by dt, product_id

),

occurred as (

    select
        dt,
        product_id
    from behaviour

    union

    select
        dt,
        product_id
    from sold

),

reviewed as (

    select
        reviewed_dt as dt,
        product_id,
        sum(rating) as ratings,
        count(*) as reviews
    from reviews
    group by reviewed_dt, product_id

),

remembered as (

    -- What a day knows of the days before it: all reviews so far, the units of the last weeks.
    -- Days of nothing but reviews are steps on the way, and dropped below.
    select
        coalesce(occurred.dt, reviewed.dt) as dt,
        coalesce(occurred.product_id, reviewed.product_id) as product_id,
        occurred.dt is not null as has_occurred,
        sum(reviewed.ratings) over so_far as ratings,
        sum(reviewed.reviews) over so_far as reviews,
        sum(sold.units) over of_late as units_of_late
    from occurred
    full outer join reviewed
        on
            occurred.dt = reviewed.dt
            and occurred.product_id = reviewed.product_id
    left join sold
        on
            occurred.dt = sold.dt
            and occurred.product_id = sold.product_id
    window
        so_far as (
            partition by coalesce(occurred.product_id, reviewed.product_id)
            order by coalesce(occurred.dt, reviewed.dt)
            rows unbounded preceding
        ),
        of_late as (
            partition by coalesce(occurred.product_id, reviewed.product_id)
            order by coalesce(occurred.dt, reviewed.dt)
            range between
            interval {{ var('stock_window_days') | int - 1 }} days preceding and current row
        )

),

joined as (

    select
        remembered.dt,
        remembered.product_id,
        coalesce(behaviour.impressions, 0) as impressions,
        coalesce(behaviour.detail_views, 0) as detail_views,
        coalesce(viewed.viewers, 0) as viewers,
        coalesce(behaviour.carts, 0) as carts,
        coalesce(sold.buyers, 0) as buyers,
        coalesce(outcomes.orders, 0) as orders,
        coalesce(outcomes.refunded_orders, 0) as refunded_orders,
        coalesce(outcomes.returned_orders, 0) as returned_orders,
        coalesce(sold.units, 0) as units,
        coalesce(sold.gmv, 0) as gmv,
        coalesce(sold.gross_margin, 0) as gross_margin,
        inventory.on_hand,
        remembered.units_of_late,
        remembered.ratings,
        remembered.reviews
    from remembered
    left join behaviour
        on
            remembered.dt = behaviour.dt
            and remembered.product_id = behaviour.product_id
    left join viewed
        on
            remembered.dt = viewed.dt
            and remembered.product_id = viewed.product_id
    left join sold
        on
            remembered.dt = sold.dt
            and remembered.product_id = sold.product_id
    left join outcomes
        on
            remembered.dt = outcomes.dt
            and remembered.product_id = outcomes.product_id
    left join inventory
        on
            remembered.dt = inventory.dt
            and remembered.product_id = inventory.product_id
    where remembered.has_occurred

)

select
    dt,
    product_id,
    -- counts
    cast(impressions as bigint) as impressions,
    cast(detail_views as bigint) as detail_views,
    cast(viewers as bigint) as viewers,
    cast(carts as bigint) as carts,
    cast(buyers as bigint) as buyers,
    cast(orders as bigint) as orders,
    cast(units as bigint) as units,
    cast(on_hand as bigint) as on_hand,
    -- money
    {{ money('gmv') }} as gmv,
    {{ money('gross_margin') }} as gross_margin,
    -- rates and averages
    {{ rate('gross_margin', 'gmv') }} as margin_rate,
    {{ rate('buyers', 'viewers') }} as conversion_rate,
    {{ rate('refunded_orders', 'orders') }} as refund_rate,
    {{ rate('returned_orders', 'orders') }} as return_rate,
    {{ rate('ratings', 'reviews') }} as rating,
    {{ rate("on_hand * " ~ var('stock_window_days'), 'units_of_late') }} as days_of_stock
from joined
