"""Which settings, once changed, make leads worth reading again, and which make them worth deciding again.

No secret, address or pace is part of a digest, nor anything that is only shown to people. Defaults are left out,
so that a release that adds a key re-reads nothing.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping

from jobs.settings.conversions import FieldValue
from jobs.settings.model import Settings

RULES = 3
"""Raised by a release that judges leads otherwise than the one before, so that all are judged again."""

Json = str | int | float | bool | None | Mapping[str, "Json"] | list["Json"]


def extraction_digest(settings: Settings) -> str:
    """SHA-256, in hex, over the settings that say what is read from a lead."""
    read = settings.model_dump(
        mode="json",
        exclude_defaults=True,
        include={
            "timezone": True,
            "click_ids": True,
            # A lead keeps what its answer means, not the answer: one that moves between the lists is read again.
            "consent": {"ad_user_data", "ad_personalization"},
            "exclude": True,
            "oplead": {"fields", "detail", "base_url", "path_prefix"},
        },
    )
    return _sha256(read | {"named": _named_fields(settings)})


def rules_digest(settings: Settings) -> str:
    """SHA-256, in hex, over the settings that say what a lead's story means and what goes out of it."""
    decides = settings.model_dump(
        mode="json",
        exclude_defaults=True,
        include={
            "timezone": True,
            "currency": True,
            "stages": True,
            "ignored_statuses": True,
            "click_ids": True,
            "consent": {"ad_user_data", "ad_personalization", "missing"},
            "exclude": True,
            "google_ads": True,
            "meta": True,
            "conversions": True,
        },
        exclude={
            "google_ads": {
                "__all__": {"credentials", "endpoint", "ads_api_endpoint", "login_customer_id", "max_per_run"}
            },
            "meta": {"__all__": {"access_token", "app_secret", "graph_url", "in_doubt", "max_per_run"}},
            "conversions": {"__all__": {"name"}},
        },
    )
    return _sha256(decides | {"rules": RULES})


def _named_fields(settings: Settings) -> dict[str, list[str]]:
    """The paths named beyond `oplead.fields`, each with the values listed for it; their order does not matter."""
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for path, values in _listed(settings):
        listed[path].update(values)
    return {path: sorted(listed[path]) for path in sorted(listed)}


def _listed(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    consent = settings.consent
    for signal in (consent.ad_user_data, consent.ad_personalization):
        if signal:
            yield signal.field, signal.granted + signal.refused
    for destination in (*settings.google_ads, *settings.meta):
        yield from destination.where.items()
    for conversion in settings.conversions:
        yield from conversion.where.items()
        if isinstance(conversion.value, FieldValue):
            # An amount that says otherwise of its tax cannot be read.
            yield conversion.value.field, (f"tax {conversion.value.tax}",)
    if settings.exclude:
        yield from settings.exclude.fields.items()


def _sha256(value: Json) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
