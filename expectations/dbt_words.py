"""What a dbt test is called in the gate, and why it is there, in words that a person understands."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

# The comment above a query in dbt_project/tests says what holds, why, and what a returned row is.
_HEADER = re.compile(r"What: (?P<what>.*?) Why: (?P<why>.*?) A returned row\b")


def kind_of(node: Mapping[str, Any]) -> str:
    """Which generic test it is; empty for a query of its own."""
    return str((node.get("test_metadata") or {}).get("name") or "")


def arguments_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """What a generic test was told in the yml."""
    told: dict[str, Any] = (node.get("test_metadata") or {}).get("kwargs", {})
    return {**told, **told.get("arguments", {})}


def model_of(node: Mapping[str, Any]) -> str:
    """The model that a test stands beside; of a query of its own, all that it reads."""
    attached = node.get("attached_node")
    models = [attached] if attached else node.get("depends_on", {}).get("nodes", [])
    return ", ".join(model.rpartition(".")[2] for model in models)


def short_name(node: Mapping[str, Any]) -> str:
    """A name that a person can type: dbt appends every argument to the name of a test that was given none."""
    kind, model, column = kind_of(node), model_of(node), node.get("column_name")
    if kind and node["name"].startswith(f"{kind}_{model}_"):
        return "_".join(part for part in (kind, model, column) if part)
    return str(node["name"])


def reason_of(node: Mapping[str, Any]) -> str:
    """Why the test is there: its description, the comment above its query, or what its kind promises."""
    if description := " ".join((node.get("description") or "").split()):
        return description
    if not kind_of(node):
        return _said_above(node.get("raw_code") or "") or _without_words(node)
    if say := _PROMISES.get(kind_of(node)):
        return say({"column_name": node.get("column_name"), **arguments_of(node)})
    return _without_words(node)


def _without_words(node: Mapping[str, Any]) -> str:
    return f"dbt's test {node['name']} holds."


def _said_above(query: str) -> str:
    lines = itertools.takewhile(lambda line: line.startswith("--"), query.lstrip().splitlines())
    comment = " ".join(" ".join(line.lstrip("- ") for line in lines).split())
    said = _HEADER.match(comment)
    return " ".join(map(_as_sentence, said.groups())) if said else comment


def _as_sentence(text: str) -> str:
    # A column's name stays as it is.
    return text if "_" in text.partition(" ")[0] else text[0].upper() + text[1:]


def _key(told: Mapping[str, Any]) -> str:
    always = told.get("never_null")
    return f"One row per {', '.join(told['columns'])}{f'; there is always a value in {_list(always)}' if always else ''}."


def _range(told: Mapping[str, Any]) -> str:
    least, most = told.get("at_least"), told.get("at_most")
    if least is None or most is None:
        return f"{told['column_name']} is {f'at most {most}' if least is None else f'at least {least}'}."
    return f"{told['column_name']} is between {least} and {most}."


def _reference(told: Mapping[str, Any]) -> str:
    to = re.sub(r"^(?:ref|source)\(|\)$|['\"]", "", str(told["to"]))
    return f"Every {told['column_name']} is found in {to} ({told['field']}), so that no join loses it."


def _list(columns: list[str]) -> str:
    return ", ".join(columns)


_PROMISES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "one_row_per": _key,
    "unique": lambda told: f"One row per {told['column_name']}.",
    "never_null": lambda told: f"There is always a value in {_list(told['columns'])}.",
    "not_null": lambda told: f"There is always a value in {told['column_name']}.",
    "relationships": _reference,
    "accepted_values": lambda told: (
        f"{told['column_name']} is one of {_list([str(value) for value in told['values']])}."
    ),
    "in_range": _range,
    "shares": lambda told: f"{_list(told['columns'])} lie between 0 and 1 wherever they are known.",
}
