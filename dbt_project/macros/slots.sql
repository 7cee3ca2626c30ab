{# A place where products are shown: page types hold no colon, so the key is one page type and one slot. #}
{% macro slot_key(page_type, slot_id) -%}
    case
        when {{ slot_id }} is null then 'unknown'
        else coalesce({{ page_type }}, 'unknown') || ':' || {{ slot_id }}
    end
{%- endmacro %}
