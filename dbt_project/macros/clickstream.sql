{# Is this row of `stg_clickstream__events` from a delivery that the version built upon has not consumed? #}
{% macro is_new_event_delivery(alias) -%}
    ({{ alias }}.source_name, {{ alias }}.delivery_day) in (
        select
            source,
            delivery
        from {{ source('ops', 'load_audit') }}
        where feed = 'clickstream' and table_name = 'events' and is_new
    )
{%- endmacro %}

{#
    Clickstream models hold rows of visitors, and every visitor that new events touch is recomputed whole:
    its old rows go before its new ones come. Sessions, identity and versions of events depend on nothing
    outside the visitor, so this equals a full refresh.
#}
{% macro forget_touched_visitors() -%}
    {% set touched_visitors = ref('int_touched_visitors') -%}
    {% if is_incremental() -%}
        delete from {{ this }}
        where visitor_id in (select visitor_id from {{ touched_visitors }})
    {%- endif %}
{%- endmacro %}

{# The host of a URL in lower case, without user, port and path; empty for no URL. #}
{% macro url_host(url) -%}
    lower(regexp_extract({{ url }}, '^(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?(?:[^/?#@]*@)?([^/?#:]*)', 1))
{%- endmacro %}

{# Does the whole text match the pattern, case ignored? An empty pattern matches anything. #}
{% macro matches_rule(value, pattern) -%}
    (coalesce({{ pattern }}, '') = '' or regexp_full_match(coalesce({{ value }}, ''), {{ pattern }}, 'i'))
{%- endmacro %}
