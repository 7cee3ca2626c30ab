"""What one task of the warehouse DAG leaves for the next: the candidate, then its receipt, under ``work/``.

Between the tasks goes only the id of the run that made them, and a task takes nothing that another run made: a
``mallard load`` by hand between two tasks makes a candidate of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from mallard.candidate import Candidate

if TYPE_CHECKING:
    from mallard.settings import Settings
    from publishing.receipt import Receipt


def take_candidate(settings: Settings, run_id: str) -> Candidate:
    """The candidate that the run ``run_id`` built.

    Raises:
        AirflowFailException: another run has built one since; a retry would not bring this one back.
    """
    candidate = Candidate.load(settings)
    if candidate.run_id != run_id:
        raise AirflowFailException(_overtaken("candidate", run_id, candidate.run_id))
    return candidate


def take_receipt(settings: Settings, run_id: str) -> Receipt:
    """The receipt of the candidate that the run ``run_id`` built.

    Raises:
        AirflowFailException: the receipt there is another run's.
    """
    from publishing.receipt import from_json

    receipt = from_json(json.loads((settings.work / "receipt.json").read_text()))
    if receipt.run_id != run_id:
        raise AirflowFailException(_overtaken("receipt", run_id, receipt.run_id))
    return receipt


def _overtaken(thing: str, wanted: str, found: str) -> str:
    return (
        f"The {thing} of run {wanted} was replaced by that of run {found}: somebody loaded by hand meanwhile.\n"
        "  to mend: trigger the DAG warehouse anew; it builds what is still new, if anything is"
    )
