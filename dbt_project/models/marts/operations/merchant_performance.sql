with run as (

    select * from {{ source('ops', 'run') }}

),

days as (

    select * from {{ ref('int_days') }}

),

merchants as (

    select
        merchant_id,
        {{ business_day('joined_at') }} as joined_dt,
        {{ business_day('left_at') }} as left_dt
    from {{ ref('dim_merchant') }}
    where merchant_id != 'unknown'

),

products as (

    select * from {{ ref('dim_product') }}

),

lines as (

    select *
    from {{ ref('fct_order_items') }}
    where is_paid

),

orders as (

    select * from {{ ref('fct_orders') }}

),

reviews as (

    select * from {{ ref('int_reviews') }}

),

months as (

    select distinct
        cast(date_trunc('month', dt) as date) as month,
        cast(last_day(dt) as date) as last_dt
    from days

),

-- The merchant of a line is the one that its product had on the day of the order.
sold_lines as (

    select
        cast(date_trunc('month', lines.paid_dt) as date) as month,
        products.merchant_id,
        lines.order_id,
        lines.buyer_id,
        lines.product_id,
        lines.item_amount,
        orders.has_refund
    from lines
    inner join orders
        on lines.order_id = orders.order_id
    inner join products
        on lines.product_key = products.product_key
    where products.merchant_id is not null

),

sold as (

    select
        month,
        merchant_id,
        sum(item_amount) as gmv,
        count(distinct order_id) as orders,
        count(distinct buyer_id) as buyers,
        count(distinct product_id) as active_products,
        count(distinct order_id) filter (where has_refund) as refunded_orders
    from sold_lines
    group by month, merchant_id

),

reviewed as (

    select
        cast(date_trunc('month', reviews.reviewed_dt) as date) as month,
        products.merchant_id,
        sum(reviews.rating) as ratings,
        count(reviews.rating) as reviews
    from reviews
    inner join products
        on
            reviews.product_id = products.product_id
            and products.product_key != 'unknown'
            and reviews.reviewed_dt >= products.valid_from
            and reviews.reviewed_dt < products.valid_to
    where products.merchant_id is not null
    group by date_trunc('month', reviews.reviewed_dt), products.merchant_id

),

-- Who joins or leaves after as_of has not done so.
memberships as (

    select
        months.month,
        merchants.merchant_id,
        merchants.joined_dt,
        case when merchants.left_dt <= run.as_of then merchants.left_dt end as left_dt
    from months
    cross join run
    inner join merchants
        on
            merchants.joined_dt <= least(months.last_dt, run.as_of)
            and (merchants.left_dt is null or merchants.left_dt >= months.month)

),

members as (

    select
        month,
        merchant_id
    from memberships

    union

    select
        month,
        merchant_id
    from sold

),

-- A member that sold nothing has zeros, not gaps.
joined as (

    select
        members.month,
        members.merchant_id,
        months.last_dt <= run.as_of as is_mature,
        coalesce(date_trunc('month', memberships.joined_dt) = members.month, false) as is_new,
        coalesce(date_trunc('month', memberships.left_dt) = members.month, false) as is_churned,
        coalesce(sold.gmv, 0) as gmv,
        coalesce(sold.orders, 0) as orders,
        coalesce(sold.buyers, 0) as buyers,
        coalesce(sold.active_products, 0) as active_products,
        coalesce(sold.refunded_orders, 0) as refunded_orders,
        reviewed.ratings,
        reviewed.reviews
    from members
    cross join run
    inner join months
        on members.month = months.month
    left join memberships
        on
            members.month = memberships.month
            and members.merchant_id = memberships.merchant_id
    left join sold
        on
            members.month = sold.month
            and members.merchant_id = sold.merchant_id
    left join reviewed
        on
            members.month = reviewed.month
            and members.merchant_id = reviewed.merchant_id

),

ranked as (

    select
        *,
        rank() over (partition by month order by gmv desc) as gmv_rank
    from joined

)

select
    month,
    merchant_id,
    -- money
    {{ money('case when is_mature then gmv end') }} as gmv,
    -- counts
    cast(case when is_mature then orders end as bigint) as orders,
    cast(case when is_mature then buyers end as bigint) as buyers,
    cast(case when is_mature then active_products end as bigint) as active_products,
    cast(case when is_mature then gmv_rank end as bigint) as gmv_rank,
    -- rates and averages
    case when is_mature then {{ rate('refunded_orders', 'orders') }} end as refund_rate,
    case when is_mature then {{ rate('ratings', 'reviews') }} end as rating,
    -- flags
    is_new,
    is_churned,
    is_mature
from ranked
