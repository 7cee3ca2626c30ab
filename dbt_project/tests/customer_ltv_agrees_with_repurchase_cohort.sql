-- What: the lifetime GMV of all customers of a cohort is what repurchase_cohort cumulates.
-- Why: two tables answer the same question by different ways; they must not answer differently.
-- A returned row is a cohort and month on which they disagree.
with lifetimes as (

    select *
    from {{ ref('customer_ltv') }}
    where channel = 'all'

),

cohorts as (

    select
        *,
        sum(gmv) over (
            partition by cohort_month order by month_n rows unbounded preceding
        ) as cumulative_gmv
    from {{ ref('repurchase_cohort') }}

)

select
    cohorts.cohort_month,
    cohorts.month_n,
    cohorts.cumulative_gmv,
    lifetimes.cumulative_gmv as lifetime_gmv
from cohorts
left join lifetimes
    on
        cohorts.cohort_month = lifetimes.cohort_month
        and cohorts.month_n = lifetimes.month_n
where
    cohorts.is_mature
    and cohorts.cumulative_gmv is distinct from lifetimes.cumulative_gmv
