{#
    What: a value lies between two bounds, both in where given; NULL passes. Why: a share above 1 or a
    count below 0 is a wrong join, a threshold outside its scale a wrong edit.
    A returned row is one whose value lies outside.
#}
{% test in_range(model, column_name, at_least=none, at_most=none) %}
    select *
    from {{ model }}
    where
        false
        {% if at_least is not none -%}
        or {{ column_name }} < {{ at_least }}
        {% endif %}
        {%- if at_most is not none -%}
        or {{ column_name }} > {{ at_most }}
        {%- endif %}
{% endtest %}
