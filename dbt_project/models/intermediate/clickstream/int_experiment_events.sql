{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ forget_touched_visitors() }}',
) }}

-- The first event of each session that names an experiment's variant.
with ranked as (

    select
        *,
        row_number() over (
            partition by session_key, experiment_id, is_bot
            order by event_at, event_id
        ) as event_rank
    from {{ ref('int_events') }}
    where
        experiment_id is not null
        and variant is not null

),

sessions as (

    select * from {{ ref('fct_sessions') }}

)

select
    ranked.visitor_id,
    ranked.session_key,
    sessions.user_id,
    ranked.experiment_id,
    ranked.variant,
    ranked.event_id,
    ranked.event_at,
    ranked.is_bot
from ranked
inner join sessions
    on ranked.session_key = sessions.session_key
where ranked.event_rank = 1
