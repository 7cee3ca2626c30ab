with run as (

    select * from {{ source('ops', 'run') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

currency_days as (

    select * from {{ ref('int_currency_days') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by refund_id
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__refunds') }}

),

happened as (

    select versions.*
    from versions
    cross join run
    where
        versions.version_rank = 1
        and versions.refunded_at < run.as_of_end

)

select
    -- ids
    happened.refund_id,
    happened.order_id,
    happened.line_number,
    -- texts
    happened.kind,
    happened.reason,
    -- numbers
    happened.quantity,
    happened.amount as original_amount,
    {{ convert('happened.amount', 'currency_days.rate_to_reporting') }} as amount,
    -- flags: a refund of an order that has not come waits, and counts nowhere but in ops.excluded
    orders.order_id is null as is_waiting,
    -- times
    happened.refunded_at,
    {{ business_day('happened.refunded_at') }} as refunded_dt
from happened
left join orders
    on happened.order_id = orders.order_id
left join currency_days
    on
        orders.currency = currency_days.currency
        and orders.ordered_dt = currency_days.dt
