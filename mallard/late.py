"""Modules that load when they are first used, for libraries that import far more than they use."""

from __future__ import annotations

import importlib
import importlib.util
import sys


def import_later(name: str) -> None:
    """Let ``from package import child`` give a module that loads itself when something of it is first asked for.

    ``import package.child`` loads it at once, as ever. The standard library's own recipe; does nothing where the module is loaded already or is not installed.
    """
    if name in sys.modules:
        return
    package, _, child = name.rpartition(".")
    if package:
        parent = importlib.import_module(package)
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    if package:
        setattr(parent, child, module)
