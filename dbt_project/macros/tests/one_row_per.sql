{#
    What: the columns together name a row, and the ones that must never be empty never are. Why: the grain
    that a table promises is what joins rely on; a key or a count that is missing is a broken join (rates
    and immature figures may be empty). One test per table, not per column, in one pass: a load waits for
    each of them. A returned row is a combination that comes more than once, or of which a row lacks a value.
#}
{% test one_row_per(model, columns, never_null=[]) %}
    select
        {{ columns | join(', ') }},
        count(*) as times
        {%- if never_null %},
        count(*) filter (
            where {% for column in never_null %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
        ) as lacking_a_value
        {%- endif %}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1{% if never_null %} or lacking_a_value > 0{% endif %}
{% endtest %}
