-- Of promotions the newest row counts.
with versions as (

    select
        *,
        row_number() over (
            partition by promotion_id
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__promotions') }}

),

members as (

    select
        promotion_id as promotion_key,
        promotion_id,
        promotion_name,
        kind,
        budget,
        warmup_at,
        starts_at,
        ends_at
    from versions
    where version_rank = 1 and promotion_id != 'unknown'

    union all

    select
        'unknown' as promotion_key,
        'unknown' as promotion_id,
        'unknown' as promotion_name,
        null as kind,
        null as budget,
        null as warmup_at,
        null as starts_at,
        null as ends_at

)

select
    -- ids
    promotion_key,
    promotion_id,
    -- texts
    promotion_name,
    kind,
    -- numbers, in reporting currency
    budget,
    -- times
    warmup_at,
    starts_at,
    ends_at
from members
