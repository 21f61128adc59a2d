"""Find the array of leads in a response."""

import re
from collections.abc import Mapping

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.oplead.parsing.fields import raw_values_at_path

_ARRAYS = ("data", "items", "results", "leads", "content", "records", "value")
_KEY = re.compile(r"[A-Za-z_@$][\w.:-]{0,40}", re.ASCII)


def find_lead_array(body: object, path: str | None) -> list[object]:
    """Return the only array of leads in a response: at `path`, or else the body itself or under a usual name.

    Raises:
        Misconfigured: there is no such array, or more than one.
    """
    if path is not None:
        candidates = list(raw_values_at_path(body, path))
    elif isinstance(body, list):
        candidates = [body]
    else:
        candidates = [
            *_under_usual_names(body),
            *(one for inside in raw_values_at_path(body, "data") for one in _under_usual_names(inside)),
        ]
    arrays = [value for value in candidates if isinstance(value, list)]
    if len(arrays) == 1:
        return arrays[0]
    where = _("at {path}", path=path) if path else _("in the answer")
    if not arrays and any(_is_keyed_by_id(value) for value in candidates):
        raise Misconfigured(
            _(
                "the leads {where} are keyed by their ids instead of listed in an array, which is not supported: "
                "write the path of an array as oplead.pagination.items, or have Oplead send one (oplead.extra_query)",
                where=where,
            )
        )
    raise Misconfigured(
        _(
            "{count} arrays of leads {where} ({contents}): write where the one is as oplead.pagination.items",
            count=len(arrays),
            where=where,
            contents=_keys(body),
        )
    )


def _under_usual_names(body: object) -> list[object]:
    return [value for name in _ARRAYS for value in raw_values_at_path(body, name)] if isinstance(body, Mapping) else []


def _is_keyed_by_id(value: object) -> bool:
    """Whether a value is an object of objects, each under a key that looks like an id."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(one, Mapping) and any(map(str.isdigit, str(key))) for key, one in value.items())
    )


def _keys(body: object) -> str:
    if not isinstance(body, Mapping):
        return _("it is no object")
    named = [str(key) for key in body if _KEY.fullmatch(str(key))][:8]
    return _("it has {names}", names=", ".join(named)) if named else _("it has no names")
