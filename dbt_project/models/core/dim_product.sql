with versions as (

    {{ type_2_versions(
        ref('stg_orders__products'),
        'product_id',
        [
            'product_name', 'category_l1', 'category_l2', 'category_l3', 'brand', 'merchant_id',
            'list_price', 'unit_cost', 'listed_at', 'delisted_at',
        ],
    ) }}

),

known as (

    select
        product_id || '@' || valid_from as product_key,
        *
    from versions

),

unknown as (

    select
        'unknown' as product_key,
        'unknown' as product_id,
        'unknown' as product_name,
        'unknown' as category_l1,
        cast(null as varchar) as category_l2,
        cast(null as varchar) as category_l3,
        cast(null as varchar) as brand,
        cast(null as varchar) as merchant_id,
        cast(null as decimal(18, 4)) as list_price,
        cast(null as decimal(18, 4)) as unit_cost,
        cast(null as timestamptz) as listed_at,
        cast(null as timestamptz) as delisted_at,
        {{ since_ever() }} as valid_from,
        {{ until_ever() }} as valid_to

),

members as (

    select * from known

    union all by name

    select * from unknown

)

select
    -- ids
    product_key,
    product_id,
    merchant_id,
    -- texts
    product_name,
    category_l1,
    category_l2,
    category_l3,
    brand,
    -- numbers, in reporting currency
    list_price,
    unit_cost,
    -- flags
    valid_to = {{ until_ever() }} as is_current,
    -- times
    listed_at,
    delisted_at,
    valid_from,
    valid_to
from members
