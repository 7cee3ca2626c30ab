-- What: cohorts of retention and of retention_weekly hold each user once, by channel and in `all`.
-- Why: a user in two cohorts, or in none, shifts every rate.
-- A returned row is a table and channel group whose cohorts do not add up to the users.
with users as (

    select count(*) as users
    from {{ ref('int_users') }}

),

cohorts as (

    select
        'retention' as mart,
        channel = 'all' as is_all,
        cohort_size
    from {{ ref('retention') }}
    where day_n = (select min(day_n) from {{ ref('retention') }})

    union all

    select
        'retention_weekly' as mart,
        channel = 'all' as is_all,
        cohort_size
    from {{ ref('retention_weekly') }}
    where week_n = 0

)

select
    cohorts.mart,
    cohorts.is_all,
    sum(cohorts.cohort_size) as sum_of_cohorts,
    max(users.users) as users
from cohorts
cross join users
group by cohorts.mart, cohorts.is_all
having sum(cohorts.cohort_size) != max(users.users)
