"""What one task of the warehouse DAG leaves for the next: the candidate, then its receipt, under ``work/``.

Between the tasks goes only the id of the run that made them, and a task takes nothing that another run made: a
``mallard load`` by hand between two tasks makes a candidate of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mallard.candidate import Candidate
from mallard.errors import MallardError, NothingToDoError

if TYPE_CHECKING:
    from mallard.settings import Settings
    from publishing.receipt import Receipt


class OvertakenError(MallardError):
    """Another run has replaced what this one left; no retry brings it back."""


def take_candidate(settings: Settings, run_id: str) -> Candidate:
    """The candidate that the run ``run_id`` built.

    Raises:
        OvertakenError: another run has built one since.
        NothingToDoError: there is none.
    """
    candidate = Candidate.load(settings)
    if candidate.run_id != run_id:
        raise _overtaken("candidate", run_id, candidate.run_id)
    return candidate


def take_receipt(settings: Settings, run_id: str) -> Receipt:
    """The receipt of the candidate that the run ``run_id`` built.

    Raises:
        OvertakenError: the receipt there is another run's.
        NothingToDoError: there is none.
    """
    from publishing.receipt import from_json

    path = settings.work / "receipt.json"
    try:
        receipt = from_json(json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise NothingToDoError(
            "There is no receipt to publish by.", where=str(path), mend="audit first"
        ) from error
    if receipt.run_id != run_id:
        raise _overtaken("receipt", run_id, receipt.run_id)
    return receipt


def _overtaken(thing: str, wanted: str, found: str) -> OvertakenError:
    return OvertakenError(
        f"The {thing} of run {wanted} was replaced: somebody loaded by hand meanwhile.",
        expected=f"the {thing} of run {wanted}",
        found=f"that of run {found}",
        mend="trigger the DAG warehouse anew; it builds what is still new, if anything is",
    )
