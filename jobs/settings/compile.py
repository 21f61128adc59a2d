"""Compiles settings into rules: what to read, what counts, and by which routes it goes where."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from connectors.contact import clean_phones
from connectors.ports import ConversionSink
from connectors.records import ClickIdKind, DestinationId, Expectation, Limits, Target
from jobs.rules.extraction import ConsentField, Exclusion, Extraction, domain
from jobs.rules.model import DedupRule, DedupScope, FieldAmount, Route, Undo, normalise_label
from jobs.rules.reasons import Scope
from jobs.settings.schema import ConsentSignal, DestinationSettings, ExcludeSettings, Settings
from jobs.settings.sections import ConversionSettings, FieldValue


@dataclass(frozen=True, slots=True)
class Rulebook:
    """One account's rules, compiled from its settings."""

    account: str
    zone: ZoneInfo
    extraction: Extraction
    routes: tuple[Route, ...]
    was: Mapping[str, str | None]
    """Conversions that name the id they had before; None declares one new."""
    meanings: Mapping[str, str]
    """Normalised labels that a stage or `ignored_statuses` lists, and which of them that is."""
    extraction_digest: str
    rules_digest: str
    ask_when_lost: frozenset[DestinationId] = frozenset()
    """Destinations where a human decides whether bytes whose answer was lost are sent again."""
    max_per_run: Mapping[DestinationId, int] = field(default_factory=dict)
    """What the settings let one night send at most, where they say."""

    @property
    def known_labels(self) -> frozenset[str]:
        """The labels that the settings name."""
        return frozenset(self.meanings)

    def way(self, destination: DestinationId, transport: str, owner: str) -> Scope:
        """The scope of a way to a destination: all of it, unless the settings take that way no longer."""
        targets = [route.target for route in self.routes_to(destination)]
        if any((target.transport, target.owner) == (transport, owner) for target in targets):
            return Scope(destination)
        return Scope(destination, former=(owner, transport))

    def route(self, conversion: str, destination: str) -> Route | None:
        """The route of a conversion to a destination; None where the settings have none."""
        place = (conversion, destination)
        return next((route for route in self.routes if (route.conversion, route.destination) == place), None)

    def routes_to(self, destination: DestinationId) -> tuple[Route, ...]:
        """The routes that end at a destination."""
        return tuple(route for route in self.routes if route.destination == destination)


Sinks = Mapping[DestinationId, ConversionSink]


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


META_TRANSPORT = "conversions_api"
_FROM_A_FORM = frozenset({ClickIdKind.LEAD_ID})
"""What tells a lead of one of Meta's own forms."""


IGNORED = ""
"""What a label means that `ignored_statuses` lists; no stage is called that."""

AllLimits = Mapping[DestinationId, Limits]
"""What each destination can take."""


def compile_rules(settings: Settings, limits: AllLimits) -> Rulebook:
    """The settings as the jobs need them."""
    routes = (
        *_google_routes(settings, limits),
        *_meta_routes(settings, limits),
        *_funnel_routes(settings, limits),
    )
    return Rulebook(
        account=settings.account,
        zone=settings.zone,
        extraction=_extraction(settings),
        routes=routes,
        was={
            conversion.id: None if conversion.was == "none" else conversion.was
            for conversion in settings.conversions
            if conversion.was is not None
        },
        meanings=dict(_meanings(settings)),
        extraction_digest=extraction_digest(settings),
        rules_digest=rules_digest(settings),
        ask_when_lost=frozenset(DestinationId(meta.id) for meta in settings.meta if meta.in_doubt == "ask"),
        max_per_run={
            DestinationId(one.id): one.max_per_run
            for one in (*settings.google_ads, *settings.meta)
            if one.max_per_run is not None
        },
    )


def _meanings(settings: Settings) -> Iterator[tuple[str, str]]:
    for place, labels in {IGNORED: settings.ignored_statuses, **settings.stages}.items():
        yield from ((normalise_label(label), place) for label in labels)


def _google_routes(settings: Settings, limits: AllLimits) -> Iterator[Route]:
    for conversion in settings.conversions:
        for google in settings.google_ads:
            if conversion.google_ads is None or conversion.google_ads.destination not in (None, google.id):
                continue
            action = conversion.google_ads.conversion_action
            target = Target(
                transport=google.transport,
                owner=google.customer_id,
                action=action.id,
                source=conversion.google_ads.event_source or google.event_source,
            )
            taken = limits[DestinationId(google.id)]
            route = _conversion_route(settings, conversion, destination=google, target=target, limits=taken)
            if action.click_window_days is not None:
                window = timedelta(days=action.click_window_days)
                route = replace(route, click_window=min(route.click_window, window))
            yield route


def _meta_routes(settings: Settings, limits: AllLimits) -> Iterator[Route]:
    """Conversions as ordinary events; where there is a funnel, leads of Meta's own forms go by that."""
    for conversion in settings.conversions:
        if conversion.meta is None:
            continue
        for meta in settings.meta:
            source = conversion.meta.action_source or meta.action_source
            target = Target(META_TRANSPORT, meta.dataset_id, conversion.meta.event, source)
            taken = limits[DestinationId(meta.id)]
            route = _conversion_route(settings, conversion, destination=meta, target=target, limits=taken)
            yield replace(route, never_with=_FROM_A_FORM if meta.funnel else frozenset())


def _funnel_routes(settings: Settings, limits: AllLimits) -> Iterator[Route]:
    """The stages of Meta's Conversion Leads, for leads of Meta's own forms alone.

    https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration
    """
    for meta in settings.meta:
        for stage, name in meta.funnel.items():
            target = Target(META_TRANSPORT, meta.dataset_id, name, "crm")
            taken = limits[DestinationId(meta.id)]
            route = _route(settings, funnel_conversion(name), (stage,), destination=meta, target=target, limits=taken)
            yield replace(route, only_with=_FROM_A_FORM, since=meta.funnel_since)


def funnel_conversion(name: str) -> str:
    """The id of a funnel's stage as a conversion: by Meta's name for it, which stays when a stage is renamed here."""
    return f"funnel:{name}"


def _conversion_route(
    settings: Settings,
    conversion: ConversionSettings,
    *,
    destination: DestinationSettings,
    target: Target,
    limits: Limits,
) -> Route:
    value = conversion.value
    stages = (conversion.stage, *conversion.implied_by)
    route = _route(settings, conversion.id, stages, destination=destination, target=target, limits=limits)
    return replace(
        route,
        since=conversion.since,
        where=(*((_condition(conversion.where),) if conversion.where else ()), *route.where),
        fixed_value=None if isinstance(value, FieldValue) else value,
        field_value=_field_amount(value) if isinstance(value, FieldValue) else None,
        once=None
        if conversion.count_once_per == "lead"
        else DedupRule(DedupScope(conversion.count_once_per), conversion.within),
        undo=Undo(_labels(settings, conversion.undo_when), conversion.undo_after, conversion.undo_via)
        if conversion.undo_when
        else None,
    )


def _route(
    settings: Settings,
    conversion: str,
    stages: tuple[str, ...],
    *,
    destination: DestinationSettings,
    target: Target,
    limits: Limits,
) -> Route:
    """What every conversion at a destination has: it enters by the first stage, or by those that imply it."""
    return Route(
        account=settings.account,
        zone=settings.zone,
        conversion=conversion,
        destination=DestinationId(destination.id),
        target=target,
        limits=limits,
        stage=stages[0],
        on_creation=stages[0] == "created",
        labels=_labels(settings, stages),
        where=(_condition(destination.where),) if destination.where else (),
        fixed_value=None,
        field_value=None,
        currency=settings.currency,
        click_window=limits.click_window,
        event_window=limits.source_windows.get(target.source, limits.event_window),
        contact_only=destination.audience == "all",
        attach_contact=destination.contact_data == "attach",
        assume_consent=settings.consent.missing == "assume_granted",
    )


def _labels(settings: Settings, stages: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise_label(label) for stage in stages for label in settings.stages.get(stage, ()))


def _condition(where: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {path: frozenset(normalise_label(value) for value in values) for path, values in where.items()}


def _field_amount(value: FieldValue) -> FieldAmount:
    return FieldAmount(value.field, value.tax, value.otherwise, value.wait_for_value, value.restated_above)


def _extraction(settings: Settings) -> Extraction:
    consent = settings.consent
    where: dict[str, frozenset[str]] = {}
    owners: list[ConversionSettings | DestinationSettings] = [
        *settings.conversions,
        *settings.google_ads,
        *settings.meta,
    ]
    for condition in (_condition(owner.where) for owner in owners):
        for path, values in condition.items():
            where[path] = where.get(path, frozenset()) | values
    fields = [conversion.value for conversion in settings.conversions if isinstance(conversion.value, FieldValue)]
    return Extraction(
        ad_user_data=_consent_field(consent.ad_user_data),
        ad_personalization=_consent_field(consent.ad_personalization) if consent.ad_personalization else None,
        where=where,
        amounts={path: frozenset(one.tax for one in fields if one.field == path) for path in {v.field for v in fields}},
        exclude=_exclusion(settings.exclude) if settings.exclude else Exclusion(),
    )


def _exclusion(exclude: ExcludeSettings) -> Exclusion:
    return Exclusion(
        email_domains=frozenset(domain(name) for name in exclude.email_domains),
        phones=frozenset(clean_phones(exclude.phones, country=None)),
        names=frozenset(normalise_label(name) for name in exclude.names),
        fields=_condition(exclude.fields),
    )


def _consent_field(signal: ConsentSignal) -> ConsentField:
    return ConsentField(
        path=signal.field,
        granted=frozenset(normalise_label(value) for value in signal.granted),
        refused=frozenset(normalise_label(value) for value in signal.refused),
    )


def expectations(settings: Settings, book: Rulebook) -> dict[DestinationId, list[Expectation]]:
    """What the settings take for granted at each destination."""
    told = {
        (conversion.id, google.id): timedelta(days=conversion.google_ads.conversion_action.click_window_days)
        for conversion in settings.conversions
        for google in settings.google_ads
        if conversion.google_ads is not None and conversion.google_ads.conversion_action.click_window_days is not None
    }
    found: dict[DestinationId, list[Expectation]] = {}
    for route in book.routes:
        found.setdefault(route.destination, []).append(
            Expectation(
                conversion=route.conversion,
                target=route.target,
                currency=route.currency,
                sends_value=route.fixed_value is not None or route.field_value is not None,
                sends_contact=route.uses_contact,
                click_window=told.get((route.conversion, route.destination)),
            )
        )
    return found
