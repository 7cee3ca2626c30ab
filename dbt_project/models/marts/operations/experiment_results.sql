with events as (

    select *
    from {{ ref('int_experiment_events') }}
    where not is_bot

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where is_paid

),

splits as (

    select * from {{ ref('experiment_splits') }}

),

-- A user is in the first variant that an event of theirs names, and stays in it.
users as (

    select
        experiment_id,
        user_id,
        arg_min(variant, row(event_at, event_id)) as variant,
        min(event_at) as entered_at
    from events
    group by experiment_id, user_id

),

buyers as (

    select distinct
        users.experiment_id,
        users.user_id
    from users
    inner join orders
        on
            users.user_id = orders.buyer_id
            and users.entered_at <= orders.ordered_at

),

variants as (

    select
        users.experiment_id,
        users.variant,
        count(*) as users,
        count(buyers.user_id) as buyers
    from users
    left join buyers
        on
            users.experiment_id = buyers.experiment_id
            and users.user_id = buyers.user_id
    group by users.experiment_id, users.variant

),

controls as (

    -- `control` where there is one, else the first by name.
    select
        experiment_id,
        arg_min(variant, row(variant != 'control', variant)) as variant
    from variants
    group by experiment_id

),

expected_splits as (

    -- The seed's, where it names the experiment, with the variants that nobody came to, too; else
    -- all alike.
    select
        experiment_id,
        variant,
        cast(weight as double) as weight
    from splits

    union all

    select
        experiment_id,
        variant,
        1 as weight
    from variants
    where experiment_id not in (select experiment_id from splits)

),

compared_splits as (

    select
        coalesce(variants.experiment_id, expected_splits.experiment_id) as experiment_id,
        coalesce(variants.variant, expected_splits.variant) as variant,
        coalesce(variants.users, 0) as users,
        coalesce(expected_splits.weight, 0) as weight
    from variants
    full outer join expected_splits
        on
            variants.experiment_id = expected_splits.experiment_id
            and variants.variant = expected_splits.variant

),

expected_users as (

    select
        experiment_id,
        variant,
        users,
        sum(users) over (partition by experiment_id) * weight
        / sum(weight order by variant) over (partition by experiment_id) as expected
    from compared_splits

),

split_tests as (

    -- Users of a variant that should have none are a broken split, whatever their number.
    select
        experiment_id,
        count(*) - 1 as degrees_of_freedom,
        sum(
            case
                when expected > 0 then (users - expected) * (users - expected) / expected
                else 0
            end
            order by variant
        ) as chi_squared,
        bool_or(expected = 0 and users > 0) as is_impossible
    from expected_users
    group by experiment_id

),

split_results as (

    select
        experiment_id,
        case
            when is_impossible then 0.0
            when degrees_of_freedom > 0
                then {{ chi_squared_tail('chi_squared', 'degrees_of_freedom') }}
        end as srm_p_value
    from split_tests

),

rated as (

    select
        variants.experiment_id,
        variants.variant,
        variants.users,
        variants.buyers,
        controls.variant = variants.variant as is_control,
        {{ rate('variants.buyers', 'variants.users') }} as conversion_rate,
        {{ rate('control.buyers', 'control.users') }} as control_rate,
        {{ rate('variants.buyers + control.buyers', 'variants.users + control.users') }}
            as pooled_rate,
        cast(1 as double) / control.users as control_unit,
        cast(1 as double) / variants.users as variant_unit,
        split_results.srm_p_value
    from variants
    inner join controls
        on variants.experiment_id = controls.experiment_id
    inner join variants as control
        on
            controls.experiment_id = control.experiment_id
            and controls.variant = control.variant
    inner join split_results
        on variants.experiment_id = split_results.experiment_id

),

tested as (

    select
        *,
        conversion_rate - control_rate as difference,
        -- z², which is chi-squared with one degree of freedom: its tail is the two-sided p value
        (conversion_rate - control_rate) * (conversion_rate - control_rate)
        / nullif(pooled_rate * (1 - pooled_rate) * (control_unit + variant_unit), 0) as z_squared,
        sqrt(
            control_rate * (1 - control_rate) * control_unit
            + conversion_rate * (1 - conversion_rate) * variant_unit
        ) as standard_error
    from rated

),

judged as (

    select
        *,
        {{ chi_squared_tail('z_squared', '1') }} as p_value
    from tested

)

select
    experiment_id,
    variant,
    -- texts
    case
        when is_control then 'control'
        when srm_p_value < {{ var('experiment_broken_split_p') }} then 'invalid_split'
        when p_value < {{ var('experiment_significant_p') }} and difference > 0 then 'better'
        when p_value < {{ var('experiment_significant_p') }} and difference < 0 then 'worse'
        else 'inconclusive'
    end as verdict,
    -- counts
    cast(users as bigint) as users,
    cast(buyers as bigint) as buyers,
    -- rates; the control is not compared with itself
    conversion_rate,
    case when not is_control then {{ rate('difference', 'control_rate') }} end as lift,
    case when not is_control then p_value end as p_value,
    case when not is_control then difference - {{ normal_95() }} * standard_error end
        as confidence_low,
    case when not is_control then difference + {{ normal_95() }} * standard_error end
        as confidence_high,
    srm_p_value
from judged
