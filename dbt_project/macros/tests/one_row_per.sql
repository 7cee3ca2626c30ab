{#
    What: the columns together name a row, and the ones that must never be empty never are. Why: the grain
    that a table promises is what joins rely on; a key or a count that is missing is a broken join (rates
    and immature figures may be empty). One test per table, not per column: a load waits for each of them.
    A returned row is a combination that comes more than once, or a row that lacks a value.
#}
{% test one_row_per(model, columns, never_null=[]) %}
    {%- set key = columns | join(', ') %}
    with judged as {{ 'materialized' if config.get('where') else 'not materialized' }} (
        select {{ (columns + never_null) | unique | join(', ') }}
        from {{ model }}
    ),

    -- By one number first, which is cheaper than by texts: rows that are equal have equal hashes. Sorting the
    -- numbers takes half as long as grouping by them: nearly all are different. (`qualify` would take thrice as long.)
    hashes as not materialized (
        select hash({{ key }}) as key_hash
        from judged
    ),

    neighbours as (
        select
            key_hash,
            lag(key_hash) over (order by key_hash) as key_hash_before
        from hashes
    ),

    twice as (
        select key_hash
        from neighbours
        where key_hash = key_hash_before
    )

    select
        {{ key }},
        count(*) as times,
        false as lacks_a_value
    from judged
    where hash({{ key }}) in (select key_hash from twice)
    group by {{ key }}
    having count(*) > 1
    {%- if never_null %}

    union all

    select
        {{ key }},
        1 as times,
        true as lacks_a_value
    from judged
    where {% for column in never_null %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
    {%- endif %}
{% endtest %}
