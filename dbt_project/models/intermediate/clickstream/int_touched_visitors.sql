{{ config(database='scratch', schema='clickstream') }}

-- Whose sessions this run computes anew: on a full refresh everybody's.
with run as (

    select * from {{ source('ops', 'run') }}

),

events as (

    select * from {{ ref('stg_clickstream__events') }}

),

with_new_events as (

    select distinct visitor_id
    from {{ ref('int_new_event_rows') }}

),

between_two_as_ofs as (

    -- Landed before, but dated after the earlier as_of: now they have happened (or, where a feed
    -- of earlier days was added, not any more).
    select distinct events.visitor_id
    from events
    cross join run
    where
        events.event_at >= least(run.as_of_end, run.previous_as_of_end)
        and events.event_at < greatest(run.as_of_end, run.previous_as_of_end)

),

everybody as (

    select distinct events.visitor_id
    from events
    cross join run
    where run.is_full_refresh

)

select visitor_id from with_new_events

union

select visitor_id from between_two_as_ofs

union

select visitor_id from everybody
