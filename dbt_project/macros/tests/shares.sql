{#
    What: the columns lie between 0 and 1 wherever they are known. Why: a share above 1 counts something
    that its whole does not hold. A returned row is one with a value outside.
#}
{% test shares(model, columns) %}
    select *
    from {{ model }}
    where {% for column in columns %}{{ column }} not between 0 and 1{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
