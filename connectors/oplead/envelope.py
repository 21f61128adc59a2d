"""Finds the leads in an answer whose wrapping Oplead does not publish. Pure."""

import re
from collections.abc import Mapping

from connectors.errors import Misconfigured
from connectors.oplead.fields import raw

_ARRAYS = ("data", "items", "results", "leads", "content", "records", "value")
_KEY = re.compile(r"[A-Za-z_@$][\w.:-]{0,40}", re.ASCII)


def find_items(body: object, path: str | None) -> list[object]:
    """The one array of leads in an answer: at `path`, else the answer itself, else under a usual name.

    Raises:
        Misconfigured: there is none, or more than one.
    """
    if path is not None:
        arrays = [value for value in raw(body, path) if isinstance(value, list)]
    elif isinstance(body, list):
        arrays = [body]
    else:
        arrays = _arrays(body) or [array for inside in raw(body, "data") for array in _arrays(inside)]
    if len(arrays) != 1:
        where = f"at {path}" if path else "in the answer"
        raise Misconfigured(
            f"{len(arrays) or 'no'} arrays of leads {where} ({_keys(body)}): "
            "write where the one is as oplead.pagination.items"
        )
    return arrays[0]


def _arrays(body: object) -> list[list[object]]:
    if not isinstance(body, Mapping):
        return []
    return [value for name in _ARRAYS for value in raw(body, name) if isinstance(value, list)]


def _keys(body: object) -> str:
    if not isinstance(body, Mapping):
        return "it is no object"
    named = [str(key) for key in body if _KEY.fullmatch(str(key))][:8]
    return "it has " + ", ".join(named) if named else "it has no names"
