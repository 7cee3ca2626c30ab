-- The removal effect of each channel in each month: 1 − (chance of conversion when all ways
-- into the channel lead to null) ÷ (chance as it is). Solved exactly, not iterated: a state
-- is taken out of the chain by handing what flows into it on to where it goes next, and for
-- each channel all others are taken out, one by one. What is left says it all: the ways from
-- the start into the channel and past it, and the ways from the channel on. Only sums and
-- products of what is not negative, at most two terms per sum, and the terms of an ordered
-- sum: so the figures do not depend on any order of rows.
with recursive transitions as (

    select * from {{ ref('int_markov_transitions') }}

),

channels as (

    select distinct
        month,
        from_state as channel
    from transitions
    where from_state != '(start)'

),

-- Months without a conversion have nothing to credit.
converting_months as (

    select distinct month
    from transitions
    where to_state = '(conversion)'

),

eliminations as (

    select
        kept.month,
        kept.channel,
        others.channel as eliminated,
        row_number() over (
            partition by kept.month, kept.channel order by others.channel
        ) as step
    from channels as kept
    inner join channels as others
        on
            kept.month = others.month
            and kept.channel != others.channel

),

chains as (

    select
        channels.month,
        channels.channel,
        transitions.from_state,
        transitions.to_state,
        cast(transitions.times as double) as flow,
        cast(0 as bigint) as step
    from channels
    inner join converting_months
        on channels.month = converting_months.month
    inner join transitions
        on channels.month = transitions.month

    union all

    select
        flows.month,
        flows.channel,
        flows.from_state,
        flows.to_state,
        sum(flows.flow) as flow,
        flows.step
    from (
        -- what does not touch the eliminated state stays
        select
            chains.month,
            chains.channel,
            chains.from_state,
            chains.to_state,
            chains.flow,
            eliminations.step
        from chains
        inner join eliminations
            on
                chains.month = eliminations.month
                and chains.channel = eliminations.channel
                and chains.step + 1 = eliminations.step
        where
            chains.from_state != eliminations.eliminated
            and chains.to_state != eliminations.eliminated

        union all

        -- what flows into it goes on in proportion to its ways out, however often it came
        -- back
        select
            ways_in.month,
            ways_in.channel,
            ways_in.from_state,
            ways_out.to_state,
            ways_in.flow * ways_out.flow / outflows.outflow as flow,
            outflows.step
        from (
            select
                chains.month,
                chains.channel,
                eliminations.eliminated,
                eliminations.step,
                sum(chains.flow order by chains.to_state) as outflow
            from chains
            inner join eliminations
                on
                    chains.month = eliminations.month
                    and chains.channel = eliminations.channel
                    and chains.step + 1 = eliminations.step
                    and chains.from_state = eliminations.eliminated
            where chains.to_state != eliminations.eliminated
            group by
                chains.month,
                chains.channel,
                eliminations.eliminated,
                eliminations.step
        ) as outflows
        inner join chains as ways_in
            on
                outflows.month = ways_in.month
                and outflows.channel = ways_in.channel
                and outflows.eliminated = ways_in.to_state
                and outflows.eliminated != ways_in.from_state
        inner join chains as ways_out
            on
                outflows.month = ways_out.month
                and outflows.channel = ways_out.channel
                and outflows.eliminated = ways_out.from_state
                and outflows.eliminated != ways_out.to_state
    ) as flows
    group by
        flows.month,
        flows.channel,
        flows.from_state,
        flows.to_state,
        flows.step

),

last_steps as (

    select
        month,
        count(*) - 1 as step
    from channels
    group by month

),

left_over as (

    select
        chains.month,
        chains.channel,
        coalesce(
            max(chains.flow) filter (
                where chains.from_state = '(start)' and chains.to_state = chains.channel
            ),
            0
        ) as into_channel,
        coalesce(
            max(chains.flow) filter (
                where chains.from_state = '(start)' and chains.to_state = '(conversion)'
            ),
            0
        ) as past_channel_to_conversion,
        coalesce(
            max(chains.flow) filter (
                where chains.from_state = chains.channel and chains.to_state = '(conversion)'
            ),
            0
        ) as channel_to_conversion,
        coalesce(
            max(chains.flow) filter (
                where chains.from_state = chains.channel and chains.to_state = '(null)'
            ),
            0
        ) as channel_to_null
    from chains
    inner join last_steps
        on
            chains.month = last_steps.month
            and chains.step = last_steps.step
    group by chains.month, chains.channel

),

through_channel as (

    select
        *,
        into_channel * channel_to_conversion / (channel_to_conversion + channel_to_null)
            as conversions_through
    from left_over

)

select
    month,
    channel,
    -- rates
    {{ rate('conversions_through', 'conversions_through + past_channel_to_conversion') }}
        as removal_effect
from through_channel
