-- What: the selection rule's seed names each of its four criteria.
-- Why: without a threshold a criterion would pass nothing, and no product would ever be selected.
-- A returned row is a criterion without a line in seeds/product_selection_thresholds.csv.
select needed.criterion
from (
    select unnest(['demand', 'margin_rate', 'competition', 'return_rate']) as criterion
) as needed
left join {{ ref('product_selection_thresholds') }} as thresholds
    on needed.criterion = thresholds.criterion
where thresholds.criterion is null
