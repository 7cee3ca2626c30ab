"""Libraries that import or make far more than they use: less of it."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from types import ModuleType
from typing import Any


def import_later(name: str) -> None:
    """Let ``import name`` and ``from package import child`` give a module that loads when something of it is asked for.

    The standard library's lazy loader does not do: any ``import`` of such a module looks into it, and so loads it.
    Does nothing where the module is loaded already or is not installed.
    """
    if name in sys.modules:
        return
    package, _, child = name.rpartition(".")
    parent = importlib.import_module(package) if package else None
    spec = importlib.util.find_spec(name)
    if spec is None:
        return
    later = ModuleType(name)
    # Python's import asks for it before anything else does.
    later.__spec__ = spec

    def load(attribute: str) -> Any:
        if sys.modules.get(name) is later:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    # A module's own __getattr__ is asked for what it does not hold (PEP 562): here, everything.
    later.__dict__["__getattr__"] = load
    sys.modules[name] = later
    if parent:
        setattr(parent, child, later)


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let what is imported inside find an optional library missing, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    # What Python itself takes for "cannot be imported".
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def shared_fields() -> Iterator[None]:
    """Let models of pydantic's first API that are defined inside share what their bases' fields refer to.

    The library copies the fields of a base with all that they refer to, down to the validators of types: a sixth of
    what Great Expectations takes to import. What a model may change of an inherited field is copied here, too.
    """
    main: Any = importlib.import_module("pydantic.v1.main")
    copy_deeply = main.smart_deepcopy

    def inherit(fields: Any) -> Any:
        if not isinstance(fields, dict):
            return copy_deeply(fields)
        inherited = {name: copy(field) for name, field in fields.items()}
        for field in inherited.values():
            field.class_validators = dict(field.class_validators)
            field.field_info = deepcopy(field.field_info)
        return inherited

    main.smart_deepcopy = inherit
    try:
        yield
    finally:
        main.smart_deepcopy = copy_deeply


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the search for garbage pass over what is there already: libraries and parsed projects, which stay."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
