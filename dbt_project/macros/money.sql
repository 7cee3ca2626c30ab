{# Money: DECIMAL(18,4), rounded half away from zero, which is what a cast of a decimal does. #}
{% macro money(expression) -%}
    cast({{ expression }} as decimal(18, 4))
{%- endmacro %}

{# `amount` in reporting currency at `rate`, rounded once. #}
{% macro convert(amount, rate) -%}
    cast(
        round(cast({{ amount }} as decimal(18, 4)) * cast({{ rate }} as decimal(20, 10)), 4)
        as decimal(18, 4)
    )
{%- endmacro %}

{# `quantity` pieces at `unit_price` each, in reporting currency at `rate`, rounded once. #}
{% macro convert_line(quantity, unit_price, rate) -%}
    cast(
        round(
            cast(cast({{ quantity }} as decimal(18, 0)) * {{ unit_price }} as decimal(18, 4))
            * cast({{ rate }} as decimal(20, 10)),
            4
        ) as decimal(18, 4)
    )
{%- endmacro %}

{#
    total × part ÷ whole, rounded half away from zero to 4 places, exactly: DuckDB divides decimals as
    doubles, so this divides integers of ten-thousandths. A whole of 0 gives 0.
#}
{% macro money_share(total, part, whole) -%}
    cast(
        sign({{ total }}) * coalesce(
            (
                2 * cast(abs({{ total }}) * 10000 as hugeint) * cast({{ part }} * 10000 as hugeint)
                + cast({{ whole }} * 10000 as hugeint)
            ) // nullif(2 * cast({{ whole }} * 10000 as hugeint), 0),
            0
        )::decimal(22, 0) * 0.0001 as decimal(18, 4)
    )
{%- endmacro %}

{# total × part ÷ whole as `money_share`, for a part and a whole that are whole numbers above 0. #}
{% macro money_part(total, part, whole) -%}
    cast(
        sign({{ total }}) * (
            (
                2 * cast(abs({{ total }}) * 10000 as hugeint) * cast({{ part }} as hugeint)
                + cast({{ whole }} as hugeint)
            ) // (2 * cast({{ whole }} as hugeint))
        )::decimal(22, 0) * 0.0001 as decimal(18, 4)
    )
{%- endmacro %}

{# A rate, a share or an average: DOUBLE, NULL where there is nothing to divide by. #}
{% macro rate(numerator, denominator) -%}
    cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}
