-- Every place on a page that an event names.
with session_products as (

    select * from {{ ref('int_session_products') }}

),

seen as (

    select distinct
        {{ slot_key('page_type', 'slot_id') }} as slot_key,
        coalesce(page_type, 'unknown') as page_type,
        slot_id
    from session_products
    where slot_id is not null

),

members as (

    select * from seen

    union all by name

    select
        'unknown' as slot_key,
        'unknown' as page_type,
        'unknown' as slot_id

)

select
    -- ids
    slot_key,
    slot_id,
    -- texts
    page_type
from members
