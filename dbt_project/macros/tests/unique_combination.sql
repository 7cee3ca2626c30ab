{#
    What: the columns together name a row. Why: the grain that a table promises is what joins rely on.
    A returned row is a combination that comes more than once.
#}
{% test unique_combination(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as times
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
