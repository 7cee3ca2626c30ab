with versions as (

    {{ type_2_versions(
        ref('stg_orders__customers'),
        'customer_id',
        ['region', 'member_tier', 'referrer_customer_id', 'registered_at'],
    ) }}

),

known as (

    select
        customer_id || '@' || valid_from as customer_key,
        *
    from versions

),

unknown as (

    select
        'unknown' as customer_key,
        'unknown' as customer_id,
        cast(null as varchar) as region,
        cast(null as varchar) as member_tier,
        cast(null as varchar) as referrer_customer_id,
        cast(null as timestamptz) as registered_at,
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
    customer_key,
    customer_id,
    referrer_customer_id,
    -- texts
    region,
    member_tier,
    -- flags
    valid_to = {{ until_ever() }} as is_current,
    -- times
    registered_at,
    valid_from,
    valid_to
from members
