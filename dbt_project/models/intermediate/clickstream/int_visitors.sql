{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

with events as (

    select * from {{ ref('int_events') }}

),

named as (

    select
        visitor_id,
        min(customer_id) as first_customer_id,
        max(customer_id) as last_customer_id
    from events
    group by visitor_id

)

select
    visitor_id,
    -- A visitor whose events name exactly one customer is that customer, in its past, too.
    case when first_customer_id = last_customer_id then first_customer_id end as customer_id,
    case
        when first_customer_id = last_customer_id then 'c:' || first_customer_id
        else 'v:' || visitor_id
    end as user_id
from named
