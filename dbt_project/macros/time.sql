{# The one place where an instant becomes a business day. #}
{% macro business_time(instant) -%}
    timezone('{{ env_var("MALLARD_TIME_ZONE", "UTC") }}', {{ instant }})
{%- endmacro %}

{% macro business_day(instant) -%}
    cast({{ business_time(instant) }} as date)
{%- endmacro %}

{#
    Business time of many instants: DuckDB takes ten times as long over a time zone as over all else of an event,
    so it is asked once per quarter of an hour. Within one, no zone has changed its offset since 1970 (Liberia's last
    seconds went in 1972). `business_clock` gives a CTE's body, `on_clock` the condition to join it on.
#}
{% macro business_clock(relation, instant) -%}
    select
        quarter,
        epoch_us({{ business_time('make_timestamptz(quarter)') }}) - quarter as offset_microseconds
    -- As a list: DuckDB then knows that this is the small side of the join.
    from (select unnest(list(distinct {{ quarter_of(instant) }})) as quarter from {{ relation }})
{%- endmacro %}

{% macro on_clock(instant, clock) -%}
    {{ quarter_of(instant) }} = {{ clock }}.quarter
{%- endmacro %}

{# The microseconds since 1970 at which the instant's quarter of an hour began. #}
{% macro quarter_of(instant) -%}
    (epoch_us({{ instant }}) - epoch_us({{ instant }}) % 900000000)
{%- endmacro %}

{% macro business_time_by_clock(instant, clock) -%}
    make_timestamp(epoch_us({{ instant }}) + {{ clock }}.offset_microseconds)
{%- endmacro %}

{# The instant at which the day after `day` begins: what is at or after it has not happened on `day`. #}
{% macro end_of_business_day(day) -%}
    timezone('{{ env_var("MALLARD_TIME_ZONE", "UTC") }}', cast({{ day }} + 1 as timestamp))
{%- endmacro %}

{% macro microseconds_between(earlier, later) -%}
    (epoch_us({{ later }}) - epoch_us({{ earlier }}))
{%- endmacro %}
