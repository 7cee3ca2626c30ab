-- Of merchants the newest row counts.
with versions as (

    select
        *,
        row_number() over (
            partition by merchant_id
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__merchants') }}

),

members as (

    select
        merchant_id as merchant_key,
        merchant_id,
        merchant_name,
        tier,
        owner_customer_id,
        joined_at,
        left_at
    from versions
    where version_rank = 1 and merchant_id != 'unknown'

    union all

    select
        'unknown' as merchant_key,
        'unknown' as merchant_id,
        'unknown' as merchant_name,
        null as tier,
        null as owner_customer_id,
        null as joined_at,
        null as left_at

)

select
    -- ids
    merchant_key,
    merchant_id,
    owner_customer_id,
    -- texts
    merchant_name,
    tier,
    -- times
    joined_at,
    left_at
from members
