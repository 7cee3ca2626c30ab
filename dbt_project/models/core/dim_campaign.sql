-- Campaigns of spend and of sessions; the empty campaign is that of whoever came without one.
with campaigns as (

    select
        campaign_id,
        max(campaign_name) as campaign_name
    from {{ ref('fct_channel_spend') }}
    group by campaign_id

    union all by name

    select distinct
        campaign_id,
        cast(null as varchar) as campaign_name
    from {{ ref('fct_sessions') }}

    union all by name

    select
        '' as campaign_id,
        'none' as campaign_name

)

select
    campaign_id as campaign_key,
    campaign_id,
    max(campaign_name) as campaign_name
from campaigns
group by campaign_id
