"""What a probe suggests: the settings that differ from the defaults, and the minutes that a night takes. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from math import ceil
from typing import Any, Literal

from connectors.oplead.options import OpleadOptions, SinceQueryParameters
from connectors.survey import SUGGESTED, Suggestion

Pull = Literal["since", "list", "details"]
"""How a night finds changes."""


def suggested_settings(options: OpleadOptions, pull: Pull | None = None) -> Suggestion:
    """Return the settings that differ from the defaults, without the token, the base URL and the rate."""
    since = options.since_filter
    default = OpleadOptions(token="", zone=options.zone, since_filter=since and SinceQueryParameters(param=""))
    written = _settings_unlike_default(asdict(options), asdict(default))
    if pull not in (None, "list" if since is None else "since"):
        written["pull"] = pull
    return {name: written[name] for name in SUGGESTED if name in written}


def _settings_unlike_default(chosen: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from the default, as it is written in the settings."""
    written: dict[str, Any] = {}
    for name, value in chosen.items():
        match value:
            case _ if value is None or value == default.get(name):
                continue
            case dict():
                written[name] = _settings_unlike_default(value, default.get(name, {}))
            case tuple():
                written[name] = value[0] if len(value) == 1 else list(value)
            case _:
                written[name] = value
    return written


def reading_minutes(
    total: int, *, page_size: int, changed: float, recent: float, detail_pages: bool, pull: Pull, per_minute: int
) -> tuple[float, float]:
    """Return the minutes it takes to read everything once, and to read a usual night's changes.

    `changed` is the share of leads that a usual night treats as changed, including the overlap; `recent` is the share
    young enough to be sent.
    """
    touched = ceil(total * changed)
    details = touched if detail_pages else 0
    nightly = {"since": (touched, details), "list": (total, details), "details": (total, ceil(total * recent))}
    first, night = (
        round((max(1, ceil(listed / max(1, page_size))) + details) / per_minute, 1)
        for listed, details in ((total, total if detail_pages else 0), nightly[pull])
    )
    return first, night
