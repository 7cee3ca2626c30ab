{#
    What: the column is above 0 where it is known. Why: a weight, a window or a threshold of 0 or less
    switches a rule off without saying so. A returned row is such a value.
#}
{% test positive(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} <= 0
{% endtest %}
