{# The one place where an instant becomes a business day. #}
{% macro business_time(instant) -%}
    timezone('{{ env_var("MALLARD_TIME_ZONE", "UTC") }}', {{ instant }})
{%- endmacro %}

{% macro business_day(instant) -%}
    cast({{ business_time(instant) }} as date)
{%- endmacro %}

{# The instant at which the day after `day` begins: what is at or after it has not happened on `day`. #}
{% macro end_of_business_day(day) -%}
    timezone('{{ env_var("MALLARD_TIME_ZONE", "UTC") }}', cast({{ day }} + 1 as timestamp))
{%- endmacro %}

{% macro microseconds_between(earlier, later) -%}
    (epoch_us({{ later }}) - epoch_us({{ earlier }}))
{%- endmacro %}
