{{ config(database='scratch', schema='clickstream') }}

-- The channel and campaign of each touched session: from its first event with any utm_*, else from
-- its first referrer outside the shop, through the ordered rules.
with events as (

    select * from {{ ref('int_events') }}

),

channel_rules as (

    select * from {{ ref('channel_rules') }}

),

own_hosts as (

    select * from {{ ref('own_hosts') }}

),

campaign_map as (

    select * from {{ ref('campaign_map') }}

),

hinted as (

    select
        session_key,
        event_number,
        utm_source,
        utm_medium,
        utm_campaign,
        {{ url_host('referrer') }} as referrer_host,
        {{ url_host('page_url') }} as page_host,
        coalesce(utm_source, utm_medium, utm_campaign) is not null as has_utm
    from events
    where coalesce(utm_source, utm_medium, utm_campaign, referrer) is not null

),

outside as (

    select
        session_key,
        event_number,
        utm_source,
        utm_medium,
        utm_campaign,
        has_utm,
        case
            when referrer_host = '' then null
            when exists (select 1 from own_hosts)
                then case
                    when
                        referrer_host not in (select lower(host) from own_hosts)
                        then referrer_host
                end
            when referrer_host = page_host then null
            else referrer_host
        end as referrer_host
    from hinted

),

first_hints as (

    select
        session_key,
        arg_min(
            struct_pack(
                utm_source := utm_source,
                utm_medium := utm_medium,
                utm_campaign := utm_campaign,
                referrer_host := referrer_host
            ),
            case when has_utm then event_number else event_number + 1000000000000 end
        ) as hint
    from outside
    where has_utm or referrer_host is not null
    group by session_key

),

hints as (

    select
        session_key,
        hint.utm_source as utm_source,
        hint.utm_medium as utm_medium,
        hint.utm_campaign as utm_campaign,
        hint.referrer_host as referrer_host
    from first_hints

),

kinds as (

    select distinct
        utm_source,
        utm_medium,
        referrer_host
    from hints

),

ruled as (

    select
        kinds.utm_source,
        kinds.utm_medium,
        kinds.referrer_host,
        arg_min(channel_rules.channel, channel_rules.rule_order) as channel
    from kinds
    left join channel_rules
        on
            {{ matches_rule('kinds.utm_source', 'channel_rules.utm_source_pattern') }}
            and {{ matches_rule('kinds.utm_medium', 'channel_rules.utm_medium_pattern') }}
            and {{ matches_rule('kinds.referrer_host', 'channel_rules.referrer_host_pattern') }}
    group by kinds.utm_source, kinds.utm_medium, kinds.referrer_host

)

select
    hints.session_key,
    coalesce(ruled.channel, 'other') as channel,
    coalesce(campaign_map.campaign_id, hints.utm_campaign, '') as campaign_id,
    hints.utm_source,
    hints.utm_medium,
    hints.utm_campaign,
    hints.referrer_host
from hints
left join ruled
    on
        hints.utm_source is not distinct from ruled.utm_source
        and hints.utm_medium is not distinct from ruled.utm_medium
        and hints.referrer_host is not distinct from ruled.referrer_host
left join campaign_map
    on hints.utm_campaign = campaign_map.utm_campaign
