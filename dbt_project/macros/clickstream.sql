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

{#
    What a test with `where: written by this run` reads of a table that is kept per visitor: everything from the first
    row on that a touched visitor has. These rows were appended, so what lies before them was tested by the runs that
    wrote it. A bound on the row's number lets the scan skip it; the visitors' condition itself would read every column
    of every row. Any other `where` is read as dbt does. (A test cannot `ref` what its yml does not name.)
#}
{% macro default__get_where_subquery(relation) -%}
    {%- if config.get('where') == 'written by this run' -%}
        {%- set written -%}
            (
                select *
                from {{ relation }}
                where rowid >= (
                    select coalesce(min(rowid), 0)
                    from {{ relation }}
                    where visitor_id is null or visitor_id in (select visitor_id from scratch.clickstream.int_touched_visitors)
                )
            ) as written
        {%- endset -%}
        {%- do return(written) -%}
    {%- else -%}
        {%- do return(dbt.default__get_where_subquery(relation)) -%}
    {%- endif -%}
{%- endmacro %}
