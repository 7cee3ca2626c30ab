with touches as (

    select * from {{ ref('int_touches') }}

),

credits as (

    select * from {{ ref('int_touch_credits') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

users as (

    select * from {{ ref('int_users') }}

),

spend as (

    select
        dt,
        channel,
        campaign_id,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref('fct_channel_spend') }}
    group by dt, channel, campaign_id

),

models as (

    select
        unnest([
            'first_touch', 'last_touch', 'linear', 'position_based', 'time_decay', 'markov',
        ]) as model

),

begun as (

    select
        dt,
        channel,
        campaign_id,
        count(*) as sessions
    from sessions
    where not is_bot
    group by dt, channel, campaign_id

),

arrived as (

    select
        users.first_dt as dt,
        sessions.channel,
        sessions.campaign_id,
        count(*) as new_users
    from users
    inner join sessions
        on users.first_session_key = sessions.session_key
    group by users.first_dt, sessions.channel, sessions.campaign_id

),

credited as (

    select
        touches.paid_dt as dt,
        touches.channel,
        touches.campaign_id,
        credits.model,
        sum(credits.credit) as orders,
        sum(credits.credit) filter (where credits.is_first_order) as new_buyers,
        sum(credits.gmv) as gmv,
        sum(credits.margin) as margin
    from credits
    inner join touches
        on
            credits.order_id = touches.order_id
            and credits.touch_number = touches.touch_number
    group by touches.paid_dt, touches.channel, touches.campaign_id, credits.model

),

-- Spend without orders and orders without spend have their rows, too: the same ones in each model,
-- also where a model gives a touch nothing.
members as (

    select
        dt,
        channel,
        campaign_id
    from spend

    union

    select
        dt,
        channel,
        campaign_id
    from begun

    union

    select
        dt,
        channel,
        campaign_id
    from arrived

    union

    select
        paid_dt as dt,
        channel,
        campaign_id
    from touches

),

rows_of_models as (

    select
        members.dt,
        members.channel,
        members.campaign_id,
        models.model
    from members
    cross join models

),

joined as (

    select
        rows_of_models.dt,
        rows_of_models.channel,
        rows_of_models.campaign_id,
        rows_of_models.model,
        coalesce(spend.impressions, 0) as impressions,
        coalesce(spend.clicks, 0) as clicks,
        coalesce(spend.spend, 0) as spend,
        coalesce(begun.sessions, 0) as sessions,
        coalesce(arrived.new_users, 0) as new_users,
        coalesce(credited.orders, 0) as orders,
        coalesce(credited.new_buyers, 0) as new_buyers,
        coalesce(credited.gmv, 0) as gmv,
        coalesce(credited.margin, 0) as margin
    from rows_of_models
    left join spend
        on
            rows_of_models.dt = spend.dt
            and rows_of_models.channel = spend.channel
            and rows_of_models.campaign_id = spend.campaign_id
    left join begun
        on
            rows_of_models.dt = begun.dt
            and rows_of_models.channel = begun.channel
            and rows_of_models.campaign_id = begun.campaign_id
    left join arrived
        on
            rows_of_models.dt = arrived.dt
            and rows_of_models.channel = arrived.channel
            and rows_of_models.campaign_id = arrived.campaign_id
    left join credited
        on
            rows_of_models.dt = credited.dt
            and rows_of_models.channel = credited.channel
            and rows_of_models.campaign_id = credited.campaign_id
            and rows_of_models.model = credited.model

)

select
    dt,
    channel,
    campaign_id,
    model,
    -- counts
    cast(impressions as bigint) as impressions,
    cast(clicks as bigint) as clicks,
    cast(sessions as bigint) as sessions,
    cast(new_users as bigint) as new_users,
    -- money
    {{ money('spend') }} as spend,
    {{ money('gmv') }} as gmv,
    {{ money('margin') }} as margin,
    -- credited, so not whole numbers
    cast(orders as double) as orders,
    cast(new_buyers as double) as new_buyers,
    -- rates
    {{ rate('spend', 'clicks') }} as cpc,
    {{ rate('clicks', 'impressions') }} as click_rate,
    {{ rate('spend', 'new_buyers') }} as cac,
    {{ rate('gmv', 'spend') }} as roas,
    {{ rate('margin - spend', 'spend') }} as roi
from joined
