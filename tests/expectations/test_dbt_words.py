"""dbt's tests by a name that a person can type, and with a reason that a person understands."""

from __future__ import annotations

from typing import Any

import pytest

from expectations.dbt_results import _tests
from expectations.dbt_words import reason_of, short_name


def generic(
    kind: str, name: str = "", column: str | None = None, model: str = "gmv_daily", **arguments: Any
) -> dict[str, Any]:
    return {
        "unique_id": f"test.mallard.{name or kind}.{column}",
        "name": name or f"{kind}_{model}_{column}__and__all__arguments",
        "resource_type": "test",
        "column_name": column,
        "attached_node": f"model.mallard.{model}",
        "test_metadata": {"name": kind, "kwargs": {"model": "…", "arguments": arguments}},
    }


def query(raw: str) -> dict[str, Any]:
    reads = ["model.mallard.gmv_daily", "model.mallard.funnel_daily"]
    return {"name": "sums_add_up", "raw_code": raw, "depends_on": {"nodes": reads}}


@pytest.mark.parametrize(
    ("node", "name", "reason"),
    [
        (generic("unique", column="dt"), "unique_gmv_daily_dt", "One row per dt."),
        (generic("not_null", column="dt"), "not_null_gmv_daily_dt", "There is always a value in dt."),
        (
            generic("never_null", columns=["dt", "gmv"]),
            "never_null_gmv_daily",
            "There is always a value in dt, gmv.",
        ),
        (
            generic("one_row_per", "keys_of_gmv_daily", columns=["dt", "channel"]),
            "keys_of_gmv_daily",
            "One row per dt, channel.",
        ),
        (
            generic("one_row_per", "keys_of_gmv_daily", columns=["dt"], never_null=["dt", "gmv"]),
            "keys_of_gmv_daily",
            "One row per dt; there is always a value in dt, gmv.",
        ),
        (
            generic("relationships", column="channel", to="ref('dim_channel')", field="channel_key"),
            "relationships_gmv_daily_channel",
            "Every channel is found in dim_channel (channel_key), so that no join loses it.",
        ),
        (
            generic("accepted_values", column="score", values=[1, 2, "none"]),
            "accepted_values_gmv_daily_score",
            "score is one of 1, 2, none.",
        ),
        (generic("in_range", column="hour", at_least=0, at_most=23), "in_range_gmv_daily_hour", "hour is between 0 and 23."),
        (generic("in_range", column="uv", at_least=0), "in_range_gmv_daily_uv", "uv is at least 0."),
        (generic("in_range", column="rate", at_most=1), "in_range_gmv_daily_rate", "rate is at most 1."),
        (
            generic("shares", columns=["a_rate", "b_rate"]),
            "shares_gmv_daily",
            "a_rate, b_rate lie between 0 and 1 wherever they are known.",
        ),
        (generic("of_a_package", column="dt"), "of_a_package_gmv_daily_dt", "dbt's test of_a_package_gmv_daily_dt__and__all__arguments holds."),
        (
            generic("in_range", column="uv", at_least=0) | {"description": "People  come.\n"},
            "in_range_gmv_daily_uv",
            "People come.",
        ),
        (
            query("-- What: all is\n-- whole.\n-- Why: parts mislead.\n-- A returned row is a part.\nselect 1"),
            "sums_add_up",
            "All is whole. Parts mislead.",
        ),
        (
            query("-- What: gmv_daily is there. Why: it is asked. A returned row is none.\nselect 1 -- Why: not"),
            "sums_add_up",
            "gmv_daily is there. It is asked.",
        ),
        (query("\n-- Rows that are wrong.\n\nselect 1"), "sums_add_up", "Rows that are wrong."),
        (query("select 1"), "sums_add_up", "dbt's test sums_add_up holds."),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_says_what_it_is_and_why(node: dict[str, Any], name: str, reason: str) -> None:
    assert (short_name(node), reason_of(node)) == (name, reason)


def test_tests_that_would_share_a_name_keep_their_long_one() -> None:
    nodes = [
        generic("in_range", "in_range_gmv_daily_0__uv", "uv", at_least=0),
        generic("in_range", "in_range_gmv_daily_9__uv", "uv", at_most=9),
        generic("in_range", "in_range_gmv_daily_0__dau", "dau", at_least=0),
    ]
    found = _tests({"nodes": {str(number): node for number, node in enumerate(nodes)}})
    assert list(found) == [
        "dbt.in_range_gmv_daily_0__uv",
        "dbt.in_range_gmv_daily_9__uv",
        "dbt.in_range_gmv_daily_dau",
    ]
