{{ config(database='scratch', schema='clickstream') }}

-- The events of the touched visitors, newest version each, up to as_of, with the session each
-- belongs to.
with run as (

    select * from {{ source('ops', 'run') }}

),

touched_visitors as (

    select * from {{ ref('int_touched_visitors') }}

),

moved_events as (

    select * from {{ ref('int_moved_events') }}

),

bot_agents as (

    select * from {{ ref('bot_agents') }}

),

-- Not materialized, here and below: kept whole for several readers of a few columns each, these
-- took three times the memory and a fifth more time.
touched_events as not materialized (

    select *
    from {{ ref('stg_clickstream__events') }}
    where visitor_id in (select visitor_id from touched_visitors)

),

repeated as (

    -- Few events come more than once: only they need ranking.
    select event_id
    from touched_events
    group by event_id
    having count(*) > 1

),

ranked_versions as (

    select
        *,
        row_number() over (
            partition by event_id
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from touched_events
    where event_id in (select event_id from repeated)

),

versions as not materialized (

    select touched_events.*
    from touched_events
    left join repeated
        on touched_events.event_id = repeated.event_id
    where repeated.event_id is null

    union all by name

    select * exclude (version_rank)
    from ranked_versions
    where version_rank = 1

),

past_events as not materialized (

    -- What lies too far ahead has no local time: it must not be asked for.
    select touched_events.event_at
    from touched_events
    cross join run
    where touched_events.event_at < run.as_of_end

),

clock as (

    {{ business_clock('past_events', 'event_at') }}

),

happened as not materialized (

    select
        versions.*,
        {{ business_time_by_clock('versions.event_at', 'clock') }} as local_at,
        cast(local_at as date) as dt
    from versions
    cross join run
    inner join clock
        on {{ on_clock('versions.event_at', 'clock') }}
    left join moved_events
        on versions.event_id = moved_events.event_id
    where
        versions.event_at < run.as_of_end
        and (moved_events.visitor_id is null or moved_events.visitor_id = versions.visitor_id)

),

bot_user_agents as (

    select distinct agents.user_agent
    from (select distinct user_agent from happened where user_agent is not null) as agents
    inner join bot_agents
        on contains(lower(agents.user_agent), lower(bot_agents.user_agent_pattern))

),

bot_days as (

    select
        visitor_id,
        dt
    from happened
    group by visitor_id, dt
    having
        count(*) > {{ var('bot_events_per_day') }}
        or bool_or(user_agent in (select user_agent from bot_user_agents))

),

paced as not materialized (

    -- One ordering serves both kinds of sessions: events with a session_id among those of that id,
    -- events without one among themselves.
    select
        *,
        row_number() over session_events as event_number,
        epoch_us(event_at) - lag(epoch_us(event_at)) over session_events as gap_microseconds
    from happened
    window session_events as (
        partition by visitor_id, session_id
        order by event_at, event_id
    )

),

cut as not materialized (

    select
        *,
        session_id is null
        and coalesce(gap_microseconds > {{ var('session_gap_minutes') }} * 60000000, true)
            as is_cut
    from paced

),

named as (

    select
        *,
        'id:' || session_id as session_name
    from cut
    where session_id is not null

),

timed as (

    -- Apart from the others, which need no second ordering.
    select
        *,
        'at:' || cast(
            max(case when is_cut then epoch_us(event_at) end) over (
                partition by visitor_id
                order by event_at, event_id
                rows unbounded preceding
            ) as varchar
        ) as session_name
    from cut
    where session_id is null

),

numbered as (

    select * from named

    union all by name

    select * from timed

)

select
    -- ids
    numbered.event_id,
    numbered.visitor_id,
    numbered.customer_id,
    numbered.session_id,
    -- the length keeps two pairs of ids that hold the separator apart
    length(numbered.visitor_id) || ':' || numbered.visitor_id || ':' || numbered.session_name
        as session_key,
    numbered.product_id,
    numbered.slot_id,
    numbered.order_id,
    numbered.experiment_id,
    -- texts
    numbered.event_type,
    numbered.page_type,
    numbered.variant,
    numbered.device,
    numbered.utm_source,
    numbered.utm_medium,
    numbered.utm_campaign,
    numbered.page_url,
    numbered.referrer,
    -- numbers
    numbered.event_number,
    case when not numbered.is_cut then numbered.gap_microseconds end as gap_microseconds,
    cast(extract(hour from numbered.local_at) as bigint) as hour,
    -- flags
    bot_days.visitor_id is not null as is_bot,
    -- times
    numbered.event_at,
    numbered.dt
from numbered
left join bot_days
    on
        numbered.visitor_id = bot_days.visitor_id
        and numbered.dt = bot_days.dt
