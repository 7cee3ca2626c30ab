{# The standard normal's 97.5 % quantile: 95 % of it lie within ± this. #}
{% macro normal_95() -%} 1.959963984540054e0 {%- endmacro %}

{#
    The chance that a chi-squared variable with `degrees` of freedom (a whole number above 0) is above
    `statistic`: the regularised upper incomplete gamma function Q(a, x) with a = degrees ÷ 2 and
    x = statistic ÷ 2 (DuckDB has no erf). With one degree and statistic z² it is the two-sided p value
    of a normal z. Below x = a + 1 by the power series of 1 − Q,
        x^a e^−x ÷ Γ(a + 1) × (1 + x ÷ (a + 1) × (1 + x ÷ (a + 2) × …)),
    above by Legendre's continued fraction
        x^a e^−x ÷ Γ(a) × 1 ÷ (x + 1 − a − 1 (1 − a) ÷ (x + 3 − a − 2 (2 − a) ÷ (x + 5 − a − …))),
    both from the inside out (Abramowitz and Stegun 6.5.29, 6.5.31): accurate to 1e-12. NULL gives NULL.
#}
{% macro chi_squared_tail(statistic, degrees) -%}
    {%- set a = "(cast(" ~ degrees ~ " as double) / 2)" -%}
    {%- set x = "(cast(" ~ statistic ~ " as double) / 2)" -%}
    case
        when {{ x }} <= 0 then cast(1 as double)
        when {{ x }} < {{ a }} + 1
            then
                1 - exp({{ a }} * ln({{ x }}) - {{ x }} - lgamma({{ a }} + 1)) * list_reduce(
                    cast(range(400, 0, -1) as double[]),
                    lambda inner_part, n : 1 + inner_part * {{ x }} / ({{ a }} + n),
                    cast(1 as double)
                )
        when {{ x }} >= {{ a }} + 1
            then
                exp({{ a }} * ln({{ x }}) - {{ x }} - lgamma({{ a }})) / list_reduce(
                    cast(range(400, 0, -1) as double[]),
                    lambda inner_part, n :
                        {{ x }} + 2 * n - 1 - {{ a }} - n * (n - {{ a }}) / inner_part,
                    {{ x }} + 801 - {{ a }}
                )
    end
{%- endmacro %}
