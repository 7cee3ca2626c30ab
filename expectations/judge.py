"""Judging: Great Expectations says of each measured number whether it is what was expected.

Importing this module imports Great Expectations, 2.6 s of CPU at best: only the gate does so, once per process,
and runs each suite in one validation. DuckDB has done the scanning: what is judged is a frame of one row with a
column per check.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mallard.late import import_later, shared_fields, without

# Read when the library is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

# A good third of Great Expectations' start-up is SciPy's statistics and Altair's charts, for expectations that nobody
# uses here, and schemas and Markdown: loaded when something of them is asked for, if ever.
import_later("scipy.stats")
import_later("altair")
import_later("jsonschema")
import_later("mistune")

# An optional part of Great Expectations, there for Airflow: what is judged is a frame.
with without("sqlalchemy"), shared_fields():
    import great_expectations as gx
import pandas as pd  # noqa: E402
from great_expectations.compatibility import pydantic  # noqa: E402
from great_expectations.data_context.types.base import (  # noqa: E402
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: E402

from expectations.registry import Check  # noqa: E402

logging.getLogger("great_expectations").setLevel(logging.ERROR)


class ExpectMeasuredToBeBetween(gx.expectations.ExpectColumnMaxToBeBetween):  # type: ignore[misc]
    """The library's expectation of a column's largest value, whose configuration is worked out once.

    The library works it out some fifty times per expectation: half the time of judging.
    """

    _configuration: ExpectationConfiguration | None = pydantic.PrivateAttr(default=None)

    @property
    def configuration(self) -> ExpectationConfiguration:
        if self._configuration is None:
            self._configuration = super().configuration
        return self._configuration


@dataclass(frozen=True)
class Judgement:
    """Whether a check's number is as expected; ``error`` says why that could not be told."""

    is_met: bool
    error: str = ""


class Judge:
    """One ephemeral context for all suites of an audit."""

    def __init__(self) -> None:
        # Everything in memory, no site of its own in a temporary folder, no progress bars in logs.
        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        config = DataContextConfig(
            store_backend_defaults=stores,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
            analytics_enabled=False,
        )
        self._context = gx.get_context(mode="ephemeral", project_config=config)
        source = self._context.data_sources.add_pandas("measurements")
        self._asset = source.add_dataframe_asset("profile")
        self._validations: dict[str, gx.core.ExpectationSuiteValidationResult] = {}

    def judge(
        self, suite_name: str, checks: Sequence[Check], observed: Mapping[str, float]
    ) -> dict[str, Judgement]:
        """Run one suite over the numbers of its checks. Checks without a number must not be among them.

        Returns:
            The judgements by check; a check that the library gave no result for has none.
        """
        if not checks:
            return {}
        frame = pd.DataFrame([{check.name: observed[check.name] for check in checks}], dtype="float64")
        suite = gx.ExpectationSuite(name=suite_name, expectations=[expectation_of(check) for check in checks])
        # Validated on the batch, not through a stored definition: storing a suite costs as much as judging it.
        # The results hold the measured numbers; no value of the data itself is copied into them.
        batch = self._asset.add_batch_definition_whole_dataframe(suite_name).get_batch({"dataframe": frame})
        outcome = batch.validate(suite, result_format="BASIC")
        self._validations[suite_name] = outcome
        judgements = {}
        for result in outcome.results:
            config = result.expectation_config
            raised = result.exception_info or {}
            error = ""
            if raised.get("raised_exception"):
                error = str(raised.get("exception_message"))
            elif not {"raised_exception"} & raised.keys() and raised:
                # An exception in a metric is reported per metric.
                error = "; ".join(str(one.get("exception_message")) for one in raised.values())
            judgements[config.meta["check"]] = Judgement(bool(result.success), error)
        return judgements

    def write_data_docs(self, folder: Path) -> Path:
        """Write the Data Docs of all suites that were judged; returns the first page."""
        from expectations.data_docs import write_data_docs

        return write_data_docs(self._validations, folder)


def expectation_of(check: Check) -> gx.expectations.Expectation:
    """The expectation over a check's column of measurements."""
    return ExpectMeasuredToBeBetween(
        column=check.name,
        min_value=check.at_least,
        max_value=check.at_most,
        severity="critical" if check.severity == "block" else "warning",
        description=f"{check.table}: {check.reason} Expected: {check.expected}.",
        meta={"check": check.name},
    )
