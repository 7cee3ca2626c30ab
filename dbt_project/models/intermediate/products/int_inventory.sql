-- Of a product's snapshot of a day the newest row counts.
with run as (

    select * from {{ source('ops', 'run') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by product_id, snapshot_date
            order by delivery_day desc, source_name desc, row_number_in_file desc
        ) as version_rank
    from {{ ref('stg_orders__inventory') }}

)

select
    -- ids
    versions.product_id,
    -- numbers
    versions.on_hand,
    -- times
    versions.snapshot_date as dt
from versions
cross join run
where
    versions.version_rank = 1
    and versions.snapshot_date <= run.as_of
