"""What to write under `oplead:` for a platform to be read so: only what differs from the defaults. Pure."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Literal

from connectors.oplead.options import (
    AuthOptions,
    FieldPaths,
    OpleadOptions,
    PaginationOptions,
    SinceFilter,
)
from connectors.survey import Suggestion

_PLAIN = ("path_prefix", "leads_path", "lead_path")
Pull = Literal["since", "list", "details"]
Written = str | int | bool | list[str] | Suggestion


def suggestion_of(options: OpleadOptions, pull: Pull) -> Suggestion:
    """The settings that differ from the defaults; the token, the address and the pace are left to the caller."""
    default = {one.name: one.default for one in fields(OpleadOptions)}
    written: dict[str, Written] = {
        name: getattr(options, name) for name in _PLAIN if getattr(options, name) != default[name]
    }
    written |= {name: dict(told) for name in ("extra_headers", "extra_query") if (told := getattr(options, name))}
    sections = {
        "auth": _different(options.auth, AuthOptions()),
        "pagination": _different(options.pagination, PaginationOptions()),
    }
    written |= {name: section for name, section in sections.items() if section}
    if pull != ("list" if options.since_filter is None else "since"):
        written["pull"] = pull
    if options.since_filter is not None:
        param = options.since_filter.param
        written["since_filter"] = {"param": param, **_different(options.since_filter, SinceFilter(param))}
    if options.detail != "auto":
        written["detail"] = options.detail
    if places := _different(options.fields, FieldPaths()):
        written["fields"] = places
    return written


def _different(told: AuthOptions | PaginationOptions | SinceFilter | FieldPaths, default: object) -> dict[str, Written]:
    """The parts that differ from the default, paths as they are written: one plainly, several as a list."""
    parts = {one.name: getattr(told, one.name) for one in fields(told)}
    return {
        name: _one_or_list(value)
        for name, value in parts.items()
        if value is not None and value != getattr(default, name)
    }


def _one_or_list(value: str | int | tuple[str, ...] | Mapping[str, str]) -> Written:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    return dict(value) if isinstance(value, Mapping) else value
