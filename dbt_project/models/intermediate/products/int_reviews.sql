-- Of a review the newest row counts; one written after as_of has not been written.
with run as (

    select * from {{ source('ops', 'run') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by review_id
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__reviews') }}

)

select
    -- ids
    versions.review_id,
    versions.order_id,
    versions.product_id,
    versions.customer_id,
    -- numbers
    versions.rating,
    -- times
    versions.reviewed_at,
    {{ business_day('versions.reviewed_at') }} as reviewed_dt
from versions
cross join run
where
    versions.version_rank = 1
    and versions.reviewed_at < run.as_of_end
