{#
    What: the columns always hold a value. Why: a key or a count that is missing is a broken join; rates
    and immature figures are the only ones that may be empty. One test per table, not per column: a load
    waits for each of them. A returned row is one that lacks a value.
#}
{% test never_null(model, columns) %}
    select *
    from {{ model }}
    where {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
