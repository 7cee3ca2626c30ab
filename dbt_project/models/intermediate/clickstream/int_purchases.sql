{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

-- Purchase events that name their order, bots' included: orders always count.
select
    visitor_id,
    order_id,
    session_key,
    event_id,
    event_at
from {{ ref('int_events') }}
where
    event_type = 'purchase'
    and order_id is not null
