{#
    Exact distinct members of sliding windows of days, without a DISTINCT: on each active day a member adds
    1 for that day and takes it back on the earlier of its next active day and the day that leaves the
    window. `active_days` is a relation of (member, dt), one row each; `windows` one of (window_days).
    Gives the CTE body: window_days, dt, change; a running sum of `change` is the count.
#}
{% macro distinct_window_changes(active_days, windows, member) -%}
    select
        windows.window_days,
        nexts.dt,
        1 as change
    from (
        select
            {{ member }},
            dt,
            lead(dt) over (partition by {{ member }} order by dt) as next_dt
        from {{ active_days }}
    ) as nexts
    cross join {{ windows }} as windows

    union all

    select
        windows.window_days,
        least(
            coalesce(nexts.next_dt, nexts.dt + cast(windows.window_days as integer)),
            nexts.dt + cast(windows.window_days as integer)
        ) as dt,
        -1 as change
    from (
        select
            {{ member }},
            dt,
            lead(dt) over (partition by {{ member }} order by dt) as next_dt
        from {{ active_days }}
    ) as nexts
    cross join {{ windows }} as windows
{%- endmacro %}
