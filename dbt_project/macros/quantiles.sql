{#
    The quantile `share` (0…1, any expression) of `sorted_values`, an ascending list without NULLs,
    interpolated linearly, as quantile_cont does, which takes constants only. Empty or NULL list: NULL.
#}
{% macro quantile_of(sorted_values, share) -%}
    {%- set position -%} ((len({{ sorted_values }}) - 1) * {{ share }}) {%- endset -%}
    {{ sorted_values }}[cast(floor({{ position }}) as bigint) + 1]
    + (
        {{ sorted_values }}[cast(ceil({{ position }}) as bigint) + 1]
        - {{ sorted_values }}[cast(floor({{ position }}) as bigint) + 1]
    ) * ({{ position }} - floor({{ position }}))
{%- endmacro %}
