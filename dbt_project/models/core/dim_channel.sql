-- Every channel that a rule can give, that money was spent on, or that a session came by.
with channels as (

    select channel from {{ ref('channel_rules') }}

    union

    select channel from {{ ref('fct_channel_spend') }}

    union

    select channel from {{ ref('fct_sessions') }}

    union

    select channel from {{ ref('fct_orders') }}

    union

    select unnest(['direct', 'other', 'unattributed', 'unknown']) as channel

)

select
    channel as channel_key,
    channel,
    channel in ('unattributed', 'unknown') as is_unknown
from channels
