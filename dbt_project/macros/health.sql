{#
    What a deviation from the usual means by a line of seeds/health_thresholds.csv. Nothing to compare
    with has no state. A limit counts as met within a hair: 0.72 ÷ 0.9 − 1 is −0.2 but for rounding.
#}
{% macro health_state(deviation, thresholds) -%}
    case
        when {{ deviation }} is null then null
        when {{ deviation }} >= {{ thresholds }}.healthy_from - 1e-12 then 'healthy'
        when {{ deviation }} >= {{ thresholds }}.watch_from - 1e-12 then 'watch'
        else 'alarm'
    end
{%- endmacro %}

{# A metric's value as a person reads it: a percentage, money or a count. #}
{% macro metric_text(metric, value) -%}
    case
        when {{ metric }} like '%_rate' then format('{:.2f} %', 100 * {{ value }})
        when {{ metric }} in ('gmv', 'aov', 'spend') then format('{:,.2f}', {{ value }})
        else format('{:,.0f}', {{ value }})
    end
{%- endmacro %}
