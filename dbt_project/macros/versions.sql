{#
    Type-2 history from the rows of every delivery, so that landing alone rebuilds it: a version is valid
    from the business day of its `updated_at`, else from its delivery day; of several on one day the newest
    counts; the first is valid since ever; equal neighbours are one version. `attributes` are the columns
    whose change makes a new version. Gives the CTE body: id, attributes, valid_from, valid_to.
#}
{% macro type_2_versions(relation, id, attributes) -%}
    with run as (

        select * from {{ source('ops', 'run') }}

    ),

    -- Aggregated, not ranked: where a feed repeats everybody every day this leaves a row per change, before
    -- anything is worked out per row. A delivery and a row in it are one number, which is cheaper to compare.
    updates as (

        select
            {{ id }},
            struct_pack(
                {%- for attribute in attributes %}
                {{ attribute }} := {{ attribute }}{{ ',' if not loop.last }}
                {%- endfor %}
            ) as attributes,
            updated_at,
            case when updated_at is null then delivery_day end as delivered_day,
            source_name,
            max((delivery_day - date '1970-01-01') * {{ rows_of_a_delivery() }} + row_number_in_file) as place
        from {{ relation }}
        group by all

    ),

    dated as (

        select
            *,
            coalesce({{ business_day('updated_at') }}, delivered_day) as version_day
        from updates

    ),

    newest_of_day as materialized (

        select
            {{ id }},
            version_day,
            arg_max(
                attributes,
                struct_pack(
                    updated := coalesce(epoch_us(updated_at), {{ long_ago() }}),
                    delivery := place // {{ rows_of_a_delivery() }},
                    source := source_name,
                    place := place
                )
            ) as attributes
        from dated
        group by {{ id }}, version_day

    ),

    days as (

        select
            *,
            min(version_day) over (partition by {{ id }}) as first_version_day
        from newest_of_day

    ),

    happened as (

        select days.*
        from days
        cross join run
        where days.version_day <= run.as_of or days.version_day = days.first_version_day

    ),

    compared as (

        select
            *,
            version_day = first_version_day as is_first,
            lag(attributes) over (partition by {{ id }} order by version_day) as attributes_before
        from happened

    ),

    changed as (

        select *
        from compared
        where is_first or attributes is distinct from attributes_before

    )

    select
        {{ id }},
        {% for attribute in attributes -%}
            attributes.{{ attribute }} as {{ attribute }},
        {% endfor -%}
        case when is_first then {{ since_ever() }} else version_day end as valid_from,
        lead(version_day, 1, {{ until_ever() }}) over (
            partition by {{ id }} order by version_day
        ) as valid_to
    from changed
{%- endmacro %}

{% macro since_ever() -%} date '1900-01-01' {%- endmacro %}

{% macro until_ever() -%} date '9999-12-31' {%- endmacro %}

{# More than a delivery has. #}
{% macro rows_of_a_delivery() -%} 1000000000000 {%- endmacro %}

{# Microseconds since 1970 that come before every instant: what an unknown instant ranks as. #}
{% macro long_ago() -%} cast(-9e18 as bigint) {%- endmacro %}
