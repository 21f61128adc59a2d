"""The settings compiled into rules: what to read, what counts, and by which routes it goes where."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from connectors.contact import clean_phones
from connectors.records import ClickIdKind, DestinationId, Expectation, Limits, Target
from jobs.rulebook import Rulebook
from jobs.rules.exclude import Exclusion, domain
from jobs.rules.facts import FieldAmount, Once, OncePer, Route, Undo
from jobs.rules.intake import ConsentField, Extraction
from jobs.rules.labels import normalise_label
from jobs.settings.digests import extraction_digest, rules_digest
from jobs.settings.model import ConsentSignal, Conversion, Destination, Exclude, FieldValue, Settings

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
    settings: Settings, conversion: Conversion, *, destination: Destination, target: Target, limits: Limits
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
        else Once(OncePer(conversion.count_once_per), conversion.within),
        undo=Undo(_labels(settings, conversion.undo_when), conversion.undo_after, conversion.undo_via)
        if conversion.undo_when
        else None,
    )


def _route(
    settings: Settings,
    conversion: str,
    stages: tuple[str, ...],
    *,
    destination: Destination,
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
    owners: list[Conversion | Destination] = [*settings.conversions, *settings.google_ads, *settings.meta]
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


def _exclusion(exclude: Exclude) -> Exclusion:
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
