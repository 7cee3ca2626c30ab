with run as (

    select * from {{ source('ops', 'run') }}

),

spend as (

    select * from {{ ref('stg_channel_spend__channel_spend') }}

),

deliveries as (

    select
        spend_date,
        channel,
        source_name,
        delivery_day,
        bool_or(is_incomplete) as is_incomplete
    from spend
    group by spend_date, channel, source_name, delivery_day

),

ranked_deliveries as (

    -- The newest whole delivery of a day and channel counts; one that lost a row to the quarantine
    -- does not replace what was there before it.
    select
        *,
        row_number() over (
            partition by spend_date, channel
            order by
                is_incomplete asc,
                case when not is_incomplete then delivery_day end desc,
                case when is_incomplete then delivery_day end asc,
                source_name desc
        ) as delivery_rank
    from deliveries

),

ranked_rows as (

    select
        spend.*,
        row_number() over (
            partition by spend.spend_date, spend.channel, spend.campaign_id
            order by spend.row_number_in_file desc
        ) as row_rank
    from spend
    inner join ranked_deliveries
        on
            spend.spend_date = ranked_deliveries.spend_date
            and spend.channel = ranked_deliveries.channel
            and spend.source_name = ranked_deliveries.source_name
            and spend.delivery_day = ranked_deliveries.delivery_day
    where ranked_deliveries.delivery_rank = 1

)

select
    -- ids
    ranked_rows.campaign_id,
    -- texts
    ranked_rows.channel,
    ranked_rows.campaign_name,
    ranked_rows.currency,
    -- numbers, spend in its own currency
    ranked_rows.impressions,
    ranked_rows.clicks,
    ranked_rows.spend,
    ranked_rows.installs,
    -- times
    ranked_rows.spend_date
from ranked_rows
cross join run
where
    ranked_rows.row_rank = 1
    and ranked_rows.spend_date <= run.as_of
