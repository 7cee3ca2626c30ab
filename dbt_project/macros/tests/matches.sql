{#
    What: a text matches a pattern as a whole. Why: a rule with a misspelt word never fires, silently.
    A returned row is one that does not match; NULL passes.
#}
{% test matches(model, column_name, pattern) %}
    select *
    from {{ model }}
    where not regexp_full_match({{ column_name }}, '{{ pattern }}')
{% endtest %}
