with run as (

    select * from {{ source('ops', 'run') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by order_id
            order by
                updated_at desc nulls last,
                delivery_day desc,
                source_name desc,
                row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__orders') }}

),

happened as (

    -- What is dated after as_of has not happened: the order, its payment, its cancellation.
    select
        versions.order_id,
        versions.customer_id,
        versions.session_id,
        versions.visitor_id,
        versions.promotion_id,
        versions.status,
        versions.currency,
        versions.sales_channel,
        versions.device,
        versions.ship_region,
        versions.discount_amount,
        versions.shipping_fee,
        versions.ordered_at,
        versions.promised_at,
        case when versions.paid_at < run.as_of_end then versions.paid_at end as paid_at,
        case when versions.shipped_at < run.as_of_end then versions.shipped_at end as shipped_at,
        case when versions.delivered_at < run.as_of_end then versions.delivered_at end
            as delivered_at,
        case when versions.cancelled_at < run.as_of_end then versions.cancelled_at end
            as cancelled_at,
        case
            when versions.cancelled_at is not null then versions.cancelled_at < run.as_of_end
            else versions.status = 'cancelled'
        end as is_cancelled
    from versions
    cross join run
    where
        versions.version_rank = 1
        and versions.ordered_at < run.as_of_end

)

select
    -- ids
    order_id,
    customer_id,
    session_id,
    visitor_id,
    promotion_id,
    -- texts
    status,
    currency,
    sales_channel,
    device,
    ship_region,
    -- numbers, in the order's currency
    discount_amount,
    shipping_fee,
    -- flags
    is_cancelled,
    paid_at is not null as is_paid,
    -- times
    ordered_at,
    paid_at,
    shipped_at,
    promised_at,
    delivered_at,
    cancelled_at,
    {{ business_day('ordered_at') }} as ordered_dt,
    {{ business_day('paid_at') }} as paid_dt
from happened
