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

    dated as (

        select
            *,
            coalesce({{ business_day('updated_at') }}, delivery_day) as version_day
        from {{ relation }}

    ),

    newest_of_day as (

        select
            *,
            row_number() over (
                partition by {{ id }}, version_day
                order by
                    updated_at desc nulls last,
                    delivery_day desc,
                    source_name desc,
                    row_number_in_file desc
            ) as day_rank,
            min(version_day) over (partition by {{ id }}) as first_version_day
        from dated

    ),

    happened as (

        select newest_of_day.*
        from newest_of_day
        cross join run
        where
            newest_of_day.day_rank = 1
            and (
                newest_of_day.version_day <= run.as_of
                or newest_of_day.version_day = newest_of_day.first_version_day
            )

    ),

    compared as (

        select
            *,
            row({{ attributes | join(', ') }}) as attributes,
            lag(row({{ attributes | join(', ') }})) over (
                partition by {{ id }} order by version_day
            ) as attributes_before,
            row_number() over (partition by {{ id }} order by version_day) as version_number
        from happened

    ),

    changed as (

        select *
        from compared
        where version_number = 1 or attributes is distinct from attributes_before

    )

    select
        {{ id }},
        {% for attribute in attributes -%}
            {{ attribute }},
        {% endfor -%}
        case
            when version_number = 1 then {{ since_ever() }} else version_day
        end as valid_from,
        lead(version_day, 1, {{ until_ever() }}) over (
            partition by {{ id }} order by version_day
        ) as valid_to
    from changed
{%- endmacro %}

{% macro since_ever() -%} date '1900-01-01' {%- endmacro %}

{% macro until_ever() -%} date '9999-12-31' {%- endmacro %}
