"""A copy of this checkout whose warehouse has a few tables only: the same code, loads of seconds.

What is cut is declarations: models, dbt's tests and checks of the gate that name a table which is not kept. Nothing
of the code is changed, so that a load there takes every step that a load takes. The copy also keeps what runs for
long apart from what people edit meanwhile.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = ("mallard", "ingestion", "publishing", "expectations", "simulator", "dbt_project")
# Marts and dimensions of all three feeds, with the fewest models below them.
KEPT = ("retention", "dim_product", "dim_merchant", "fct_channel_spend")
_REFERENCE = re.compile(r"ref\(\s*['\"](\w+)['\"]")
_TABLE = re.compile(r"\b(?:core|marts|ops)\.(\w+)")
# A suite without a check is an error; this one has nothing else to judge here.
_ONE_CHECK = {
    "gate": "warehouse",
    "protects": "plausibility",
    "checks": [
        {
            "name": "one_run",
            "table": "ops.run",
            "severity": "warn",
            "reason": "A candidate is of one run.",
            "value": "select count(*) from ops.run",
            "at_least": 1,
            "at_most": 1,
        }
    ],
}


def copy_checkout(target: Path, *, whole: bool) -> Path:
    """Copy what a load needs and these tests to ``target``, with all tables or with ``KEPT`` and those below."""
    for part in PARTS:
        shutil.copytree(
            CHECKOUT / part, target / part, ignore=shutil.ignore_patterns("__pycache__", "logs", "target")
        )
    for part in ("__init__.py", "faults"):
        source = CHECKOUT / "tests" / part
        (target / "tests").mkdir(exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target / "tests" / part)
    if not whole:
        _cut_sources(target / "ingestion" / "sources.yml")
        _cut_checks(target / "expectations" / "suites", _cut_models(target / "dbt_project"))
    return target


def _cut_sources(registry: Path) -> None:
    """Leave the inbox only: reading the others' entries takes as long as landing."""
    entries = yaml.safe_load(registry.read_text())
    entries["sources"] = {name: entries["sources"][name] for name in ("inbox",)}
    registry.write_text(yaml.safe_dump(entries))


def _cut_models(project: Path) -> set[str]:
    """Remove the models that are not needed, with their tests; returns their names."""
    models = {path.stem: path for path in (project / "models").rglob("*.sql")}
    wanted: set[str] = set()
    left = list(KEPT)
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += _REFERENCE.findall(models[name].read_text()) if name in models else []
    for name, path in models.items():
        if name not in wanted:
            path.unlink()
            path.with_suffix(".yml").unlink(missing_ok=True)
        elif path.parts[-3] != "marts":
            # A mart without a test is refused; the others' tests judge figures, which are not the matter here.
            described = path.with_suffix(".yml")
            kept = {"version": 2, "models": [{"name": name, "description": f"{name}, untested here."}]}
            described.write_text(yaml.safe_dump(kept))
    for path in (project / "seeds").glob("*.csv"):
        if path.stem not in wanted:
            path.unlink()
    for path in (project / "seeds").glob("*.yml"):
        seeds = yaml.safe_load(path.read_text())
        seeds["seeds"] = [seed for seed in seeds["seeds"] if seed["name"] in wanted]
        path.write_text(yaml.safe_dump(seeds))
    for path in (project / "tests").glob("*.sql"):
        if not set(_REFERENCE.findall(path.read_text())) <= wanted:
            path.unlink()
    return models.keys() - wanted


def _cut_checks(suites: Path, gone: set[str]) -> None:
    """Remove the checks that name a table which is gone."""
    for path in suites.glob("*.yml"):
        suite = yaml.safe_load(path.read_text())
        suite["checks"] = [
            check for check in suite["checks"] if gone.isdisjoint(_TABLE.findall(yaml.safe_dump(check)))
        ]
        path.write_text(yaml.safe_dump(suite if suite["checks"] else _ONE_CHECK))
