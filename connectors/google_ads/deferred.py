"""Loads of Google's libraries only the modules that are used: importing any one of them loads all others, a thousand.

Python 3.15 will defer such imports by itself, as these libraries ask it to: https://peps.python.org/pep-0810/
"""

import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def defer_package_loading(*packages: str) -> None:
    """Have these packages, parents first, load what is in them when it is first asked for; those loaded stay so."""
    for name in packages:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None:
            sys.modules[name] = package = module_from_spec(spec)
            package.__getattr__ = partial(_load, package)  # type: ignore[method-assign]


def _load(package: ModuleType, name: str) -> object:
    """Return one of a package's modules, or else load everything that the package itself would."""
    if not name.startswith("__"):
        if find_spec(f"{package.__name__}.{name}") is not None:
            return import_module(f"{package.__name__}.{name}")
        spec = package.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(package)
        if name in vars(package):
            return vars(package)[name]
    raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
