{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='event_id',
) }}

-- depends_on: {{ ref('int_new_event_rows') }}
-- Events whose versions name several visitors: only the newest version's visitor has them.
with rows_of_events as (

    select
        event_id,
        visitor_id,
        delivery_day,
        source_name,
        row_number_in_file
    from {{ ref('int_new_event_rows') if is_incremental() else ref('stg_clickstream__events') }}

),

moved as (

    select event_id
    from rows_of_events
    group by event_id
    having min(visitor_id) != max(visitor_id)

),

ranked as (

    select
        rows_of_events.event_id,
        rows_of_events.visitor_id,
        row_number() over (
            partition by rows_of_events.event_id
            order by
                rows_of_events.delivery_day desc,
                rows_of_events.source_name desc,
                rows_of_events.row_number_in_file desc
        ) as version_rank
    from rows_of_events
    inner join moved
        on rows_of_events.event_id = moved.event_id

)

select
    event_id,
    visitor_id
from ranked
where version_rank = 1
