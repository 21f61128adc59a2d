"""What each settings key means: the docstring below it, which only the schema, the docs and some errors need."""

import ast
import sys
from collections.abc import Mapping
from functools import cache
from inspect import cleandoc
from pathlib import Path


def meaning_of_setting(section: type, key: str) -> str | None:
    """Return the docstring of a section's key, also if the section inherits it."""
    for model in section.__mro__:
        if meaning := _meanings_in(model.__module__).get(model.__name__, {}).get(key):
            return meaning
    return None


@cache
def _meanings_in(module: str) -> Mapping[str, Mapping[str, str]]:
    """Read a module's source: Python itself keeps no docstring of an attribute."""
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return {}
    tree = ast.parse(Path(file).read_bytes())
    return {node.name: _meanings_of(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _meanings_of(section: ast.ClassDef) -> Mapping[str, str]:
    return {
        key.target.id: cleandoc(text.value.value)
        for key, text in zip(section.body, section.body[1:], strict=False)
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
