-- What: the cohorts of repurchase_cohort, and those of customer_ltv by channel and in `all`, hold
-- each buyer of a paid order once.
-- Why: a guest who is in one table and not in the other makes two truths of one customer's worth.
-- A returned row is a table whose cohorts do not add up to the buyers.
with buyers as (

    select count(distinct buyer_id) as buyers
    from {{ ref('fct_orders') }}
    where is_paid

),

cohorts as (

    select
        'repurchase_cohort' as mart,
        sum(cohort_size) as customers
    from {{ ref('repurchase_cohort') }}
    where month_n = 0

    union all

    select
        'customer_ltv, all' as mart,
        sum(customers) as customers
    from {{ ref('customer_ltv') }}
    where
        month_n = 0
        and channel = 'all'

    union all

    select
        'customer_ltv, channels' as mart,
        sum(customers) as customers
    from {{ ref('customer_ltv') }}
    where
        month_n = 0
        and channel != 'all'

)

select
    cohorts.mart,
    cohorts.customers,
    buyers.buyers
from cohorts
cross join buyers
where coalesce(cohorts.customers, 0) != buyers.buyers
