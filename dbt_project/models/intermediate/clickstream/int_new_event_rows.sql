{{ config(database='scratch', schema='clickstream') }}

-- Every landed row of every event that a new delivery holds: its earlier versions may be another
-- visitor's. On a full refresh nobody asks.
with run as (

    select * from {{ source('ops', 'run') }}

),

events as (

    select * from {{ ref('stg_clickstream__events') }}

),

new_events as (

    select distinct events.event_id
    from events
    cross join run
    where
        not run.is_full_refresh
        and {{ is_new_event_delivery('events') }}

)

select
    event_id,
    visitor_id,
    delivery_day,
    source_name,
    row_number_in_file
from events
where event_id in (select event_id from new_events)
