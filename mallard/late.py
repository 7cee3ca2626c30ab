"""Less to import, for libraries that import far more than they use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
