-- Refunds of orders that are known; those that wait for their order are counted in ops.excluded.
with refunds as (

    select *
    from {{ ref('int_refunds') }}
    where not is_waiting

),

returned_costs as (

    select
        refund_id,
        sum(returned_cost_amount) as returned_cost_amount
    from {{ ref('int_refund_lines') }}
    group by refund_id

)

select
    -- ids
    refunds.refund_id,
    refunds.order_id,
    refunds.line_number,
    -- texts
    coalesce(refunds.kind, 'unknown') as kind,
    refunds.reason,
    -- numbers, in reporting currency
    refunds.quantity,
    refunds.amount,
    {{ money('coalesce(returned_costs.returned_cost_amount, 0)') }} as returned_cost_amount,
    -- times
    refunds.refunded_at,
    refunds.refunded_dt
from refunds
left join returned_costs
    on refunds.refund_id = returned_costs.refund_id
