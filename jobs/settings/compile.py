"""Compile settings into rules: what to read, what counts, and the routes to each destination."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.ports import ConversionSink
from connectors.records import ClickIdKind, DestinationId, SinkLimits, Target, TargetAssumptions
from jobs.rules.extraction import TEST_DOMAIN, ConsentField, ExclusionCriteria, RequiredLeadData, domain
from jobs.rules.labels import normalise_label, normalise_listed_label
from jobs.rules.model import (
    Cohort,
    ConversionRoute,
    DedupRule,
    DedupScope,
    ExpectedValueRule,
    SaleTerms,
    UndoRule,
    ValueFromFieldRule,
)
from jobs.rules.reasons import DestinationScope
from jobs.rules.webhook_confirmation import StageOrder, WebhookRules
from jobs.settings.schema import (
    ConsentFieldSettings,
    ConversionSettings,
    DestinationSettings,
    ExcludeSettings,
    ExpectedValueSettings,
    Settings,
    ValueFromFieldSettings,
    funnel_conversion_id,
)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The compiled rules of one account."""

    account: str
    zone: ZoneInfo
    extraction: RequiredLeadData
    routes: tuple[ConversionRoute, ...]
    was: Mapping[str, str | None]
    """Maps a conversion to its previous id; None declares the conversion new."""
    meanings: Mapping[str, str]
    """Maps each normalised label to its stage, or to `IGNORED`."""
    extraction_digest: str
    rules_digest: str
    lead_id_paths: str = ""
    """Where a lead's id stands, as written; empty where nothing is."""
    ask_when_lost: frozenset[DestinationId] = frozenset()
    """Destinations where a human decides whether to resend a request whose response was lost."""
    max_per_run: Mapping[DestinationId, int] = field(default_factory=dict)
    """The configured maximum of conversions a night, for destinations that set one."""
    recompute_after: timedelta | None = timedelta(days=7)
    """How old an estimate may become before a night makes a new one; None keeps the first."""
    webhooks: WebhookRules = field(default_factory=WebhookRules)
    """What webhooks may say of a lead beside its readings."""

    def scope_marked_if_former(self, destination: DestinationId, transport: str, owner: str) -> DestinationScope:
        """Return the destination's scope, marked as former if no route uses this transport and owner any more."""
        targets = [route.target for route in self.routes_to_destination(destination)]
        if any((target.transport, target.owner) == (transport, owner) for target in targets):
            return DestinationScope(destination)
        return DestinationScope(destination, former=(owner, transport))

    def find_conversion_route(self, conversion: str, destination: str) -> ConversionRoute | None:
        """Return the route of a conversion to a destination, or None."""
        place = (conversion, destination)
        return next((route for route in self.routes if (route.conversion, route.destination) == place), None)

    def routes_to_destination(self, destination: DestinationId) -> tuple[ConversionRoute, ...]:
        """Return the routes to a destination."""
        return tuple(route for route in self.routes if route.destination == destination)


Sinks = Mapping[DestinationId, ConversionSink]


RULES = 3
"""The version of the judging rules; increment it when they change, so that every lead is judged again."""


def extraction_digest(settings: Settings) -> str:
    """Return the hex SHA-256 of the settings that decide what is read from a lead."""
    read = settings.model_dump(
        mode="json",
        exclude_defaults=True,
        include={
            "timezone": True,
            "click_ids": True,
            # A stored lead holds the meaning of its answer, not the answer: moving one between lists needs a re-read.
            "consent": {"ad_user_data", "ad_personalization"},
            "exclude": True,
            "oplead": {"fields", "detail", "base_url", "path_prefix"},
        },
    )
    fields = settings.oplead.fields
    # Named even where unset: leads stored before UTM fields were kept must be read again.
    utm = [fields.utm_source, fields.utm_medium, fields.utm_campaign]
    # Once a key lies at `forgotten`, leads are known again by it only if they were read since.
    is_marked = settings.forgotten and any(one.audience == "all" for one in (*settings.google_ads, *settings.meta))
    marked = {"marked": True} if is_marked else {}
    # A status is called as it is listed; one listed by its code or by its text instead must be read again.
    codes = sorted(label for listed in settings.stages.values() for label in listed if label.isdecimal())
    coded = {"codes": codes} if codes else {}
    named = {"named": _named_fields(settings), "utm": utm, "report_by": settings.report.by}
    return _sha256(read | named | marked | coded)


def rules_digest(settings: Settings) -> str:
    """Return the hex SHA-256 of the settings that decide what a lead's history means and what is sent for it."""
    decides = settings.model_dump(
        mode="json",
        exclude_defaults=True,
        include={
            **dict.fromkeys(("timezone", "currency", "stages", "ignored_statuses", "click_ids", "exclude"), True),
            **dict.fromkeys(("google_ads", "meta", "conversions"), True),
            "consent": {"ad_user_data", "ad_personalization", "missing"},
        },
        exclude={
            "google_ads": {
                "__all__": {"credentials", "endpoint", "ads_api_endpoint", "login_customer_id", "max_per_run"}
            },
            "meta": {"__all__": {"access_token", "api_version", "app_secret", "graph_url", "in_doubt", "max_per_run"}},
            "conversions": {"__all__": {"name"}},
        },
    )
    # Of a mapping, a digest forgets the order.
    order = {"stage_order": list(settings.stages)} if settings.webhooks else {}
    return _sha256(decides | {"rules": RULES} | order)


def _named_fields(settings: Settings) -> dict[str, list[str]]:
    """Return the paths named outside `oplead.fields`, each with its listed values in sorted order."""
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for signal in (settings.consent.ad_user_data, settings.consent.ad_personalization):
        if signal:
            listed[signal.field].update(signal.granted + signal.refused)
    for condition in (*_conditions(settings), settings.exclude.fields if settings.exclude else {}):
        for path, values in condition.items():
            listed[path].update(values)
    for value in _field_values(settings):
        # The declared tax affects extraction: an amount whose text contradicts it is unreadable.
        listed[value.field].add(f"tax {value.tax}")
    return {path: sorted(values) for path, values in listed.items()}


def _conditions(settings: Settings) -> list[dict[str, tuple[str, ...]]]:
    wheres = [conversion.where for conversion in settings.conversions]
    return [*wheres, *(one.where for one in settings.google_ads), *(one.where for one in settings.meta)]


def _field_values(settings: Settings) -> list[ValueFromFieldSettings]:
    return [
        conversion.value for conversion in settings.conversions if isinstance(conversion.value, ValueFromFieldSettings)
    ]


def _sha256(value: Mapping[str, object]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


META_TRANSPORT = "conversions_api"
_FROM_A_FORM = frozenset({ClickIdKind.LEAD_ID})
"""The click ids that mark a lead from one of Meta's own forms."""
IGNORED = ""
"""The meaning of a label in `ignored_statuses`; no stage can have this name."""

_RECOMPUTE_AFTER = {"weekly": timedelta(days=7), "monthly": timedelta(days=30), "never": None}
AllLimits = Mapping[DestinationId, SinkLimits]


def compile_rules(settings: Settings, limits: AllLimits) -> Rulebook:
    """Compile the settings of one account, applying each destination's limits."""
    labels = {IGNORED: settings.ignored_statuses, **settings.stages}
    return Rulebook(
        account=settings.account,
        zone=settings.zone,
        extraction=_extraction(settings),
        routes=(
            *_google_routes(settings, limits),
            *_meta_routes(settings, limits),
            *_funnel_routes(settings, limits),
        ),
        was={
            conversion.id: None if conversion.was == "none" else conversion.was
            for conversion in settings.conversions
            if conversion.was is not None
        },
        meanings={normalise_listed_label(label): place for place, listed in labels.items() for label in listed},
        extraction_digest=extraction_digest(settings),
        rules_digest=rules_digest(settings),
        lead_id_paths=", ".join(settings.oplead.fields.id or ()),
        ask_when_lost=frozenset(DestinationId(meta.id) for meta in settings.meta if meta.in_doubt == "ask"),
        max_per_run={
            DestinationId(one.id): one.max_per_run
            for one in (*settings.google_ads, *settings.meta)
            if one.max_per_run is not None
        },
        recompute_after=_RECOMPUTE_AFTER[settings.values.recompute],
        webhooks=_webhook_rules(settings),
    )


def _webhook_rules(settings: Settings) -> WebhookRules:
    if settings.webhooks is None:
        return WebhookRules()
    trusts_appointments = "appointment" in settings.webhooks.trust
    reads_appointments = settings.oplead.fields.appointment_at is not None
    return WebhookRules(
        stage_order(settings), settings.webhooks.confirm_within, trusts_appointments, reads_appointments
    )


def stage_order(settings: Settings) -> StageOrder:
    """Return what a lead's stage proves of the others, by label."""
    numbers = {stage: number for number, stage in enumerate(settings.stages)}
    below = stages_proven_below(settings)
    labels = {normalise_listed_label(label): stage for stage, listed in settings.stages.items() for label in listed}
    return StageOrder(
        {label: numbers[stage] for label, stage in labels.items()},
        {label: below[stage] for label, stage in labels.items()},
    )


def stages_proven_below(settings: Settings) -> dict[str, int]:
    """Return the place, in the order of the stages, below which a lead in each stage has passed every other.

    Only a stage that a conversion counts is known to be progress: any other one, a loss for example, may follow any of
    those written before it. `implied_by` proves what it says, and a stage of `undo_when` nothing that it undoes.
    """
    numbers = {stage: number for number, stage in enumerate(settings.stages)}
    counted = {conversion.stage: numbers.get(conversion.stage, 0) for conversion in settings.conversions}
    undone: dict[str, int] = {}
    for conversion in settings.conversions:
        for stage in conversion.implied_by:
            counted[stage] = max(counted.get(stage, 0), numbers.get(conversion.stage, -1) + 1)
        first = min(numbers.get(stage, -1) for stage in (conversion.stage, *conversion.implied_by))
        for stage in conversion.undo_when:
            undone[stage] = min(undone.get(stage, first), first)
    return {
        stage: min(number, counted.get(stage, undone.get(stage, 0)), undone.get(stage, number))
        for stage, number in numbers.items()
    }


def _google_routes(settings: Settings, limits: AllLimits) -> Iterator[ConversionRoute]:
    for conversion in settings.conversions:
        for google in settings.google_ads:
            wanted = conversion.google_ads
            if wanted is None or wanted.destination not in (None, google.id):
                continue
            action, source = wanted.conversion_action, wanted.event_source or google.event_source
            target = Target(google.transport, google.customer_id, action.id, source)
            route = _conversion_route(settings, limits, conversion, google, target)
            if action.click_window_days is not None:
                route = replace(route, click_window=min(route.click_window, timedelta(days=action.click_window_days)))
            yield route


def _meta_routes(settings: Settings, limits: AllLimits) -> Iterator[ConversionRoute]:
    """Yield routes for ordinary events; with a funnel, leads from Meta's own forms take its routes instead."""
    for conversion in settings.conversions:
        if conversion.meta is None:
            continue
        for meta in settings.meta:
            source = conversion.meta.action_source or meta.action_source
            target = Target(META_TRANSPORT, meta.dataset_id, conversion.meta.event, source)
            route = _conversion_route(settings, limits, conversion, meta, target)
            yield replace(route, never_with=_FROM_A_FORM if meta.funnel else frozenset())


def _funnel_routes(settings: Settings, limits: AllLimits) -> Iterator[ConversionRoute]:
    """Yield routes for Meta's Conversion Leads stages, limited to leads from Meta's own forms.

    https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration
    """
    for meta in settings.meta:
        for stage, name in meta.funnel.items():
            target = Target(META_TRANSPORT, meta.dataset_id, name, "crm")
            route = _route(settings, limits, funnel_conversion_id(name), (stage,), destination=meta, target=target)
            yield replace(route, only_with=_FROM_A_FORM, since=meta.funnel_since)


def _conversion_route(
    settings: Settings,
    limits: AllLimits,
    conversion: ConversionSettings,
    destination: DestinationSettings,
    target: Target,
) -> ConversionRoute:
    value, per = conversion.value, conversion.count_once_per
    stages = (conversion.stage, *conversion.implied_by)
    route = _route(settings, limits, conversion.id, stages, destination=destination, target=target)
    if isinstance(value, ValueFromFieldSettings):
        amount = ValueFromFieldRule(
            value.field, value.tax, value.otherwise, value.wait_for_value, value.restatement_threshold
        )
        route = replace(route, field_value=amount)
    elif isinstance(value, ExpectedValueSettings):
        rule = ExpectedValueRule(_cohort(settings, conversion), sale_criteria(settings), value.otherwise)
        route = replace(route, expected_value=rule)
    else:
        route = replace(route, fixed_value=value)
    undo = UndoRule(_labels(settings, conversion.undo_when), conversion.undo_after, conversion.undo_via)
    return replace(
        route,
        since=conversion.since,
        where=((_condition(conversion.where), *route.where) if conversion.where else route.where),
        once=None if per == "lead" else DedupRule(DedupScope(per), conversion.within),
        undo=undo if conversion.undo_when else None,
    )


def find_sale_conversion(settings: Settings) -> ConversionSettings:
    """Return the conversion that is the sale: `report.sale`, else the only one valued by a field, else the last."""
    priced = [each for each in settings.conversions if isinstance(each.value, ValueFromFieldSettings)]
    default = priced[0] if len(priced) == 1 else settings.conversions[-1]
    return next((each for each in settings.conversions if each.id == settings.report.sale), default)


def sale_criteria(settings: Settings) -> SaleTerms:
    """Return what counts as a sale, and where its amount is."""
    sale = find_sale_conversion(settings)
    return SaleTerms(
        labels=_labels(settings, (sale.stage, *sale.implied_by)),
        undone_by=_labels(settings, sale.undo_when),
        path=sale.value.field if isinstance(sale.value, ValueFromFieldSettings) else None,
        price=sale.value if isinstance(sale.value, Decimal) else None,
    )


def cohorts_to_estimate(settings: Settings) -> dict[str, Cohort]:
    """Return the leads of each conversion but the sale, and of each stage without one, by its id or name."""
    sale = find_sale_conversion(settings)
    of_conversions = {each.id: _cohort(settings, each) for each in settings.conversions if each is not sale}
    taken = {each.stage for each in settings.conversions} | {*sale.implied_by, *sale.undo_when}
    stages = ("created", *settings.stages)
    return of_conversions | {
        stage: Cohort(_labels(settings, (stage,)), on_creation=stage == "created")
        for stage in stages
        if stage not in taken and stage not in of_conversions
    }


def _cohort(settings: Settings, conversion: ConversionSettings) -> Cohort:
    labels = _labels(settings, (conversion.stage, *conversion.implied_by))
    return Cohort(labels, conversion.stage == "created", _condition(conversion.where))


def _route(
    settings: Settings,
    limits: AllLimits,
    conversion: str,
    stages: tuple[str, ...],
    *,
    destination: DestinationSettings,
    target: Target,
) -> ConversionRoute:
    """Build the part of a route that all conversions share; the first stage counts, the others imply it."""
    taken = limits[DestinationId(destination.id)]
    return ConversionRoute(
        account=settings.account,
        zone=settings.zone,
        conversion=conversion,
        destination=DestinationId(destination.id),
        target=target,
        limits=taken,
        stage=stages[0],
        on_creation=stages[0] == "created",
        labels=_labels(settings, stages),
        where=(_condition(destination.where),) if destination.where else (),
        fixed_value=None,
        field_value=None,
        currency=settings.currency,
        click_window=taken.click_window,
        event_window=taken.source_windows.get(target.source, taken.event_window),
        contact_only=destination.audience == "all",
        attach_contact=destination.contact_data == "attach",
        assume_consent=settings.consent.missing == "assume_granted",
        assumed_because=settings.consent.because,
    )


def _labels(settings: Settings, stages: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise_listed_label(label) for stage in stages for label in settings.stages.get(stage, ()))


def _condition(where: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {path: _normalised(values) for path, values in where.items()}


def _normalised(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalise_label, texts))


def _phones(texts: Sequence[str]) -> frozenset[str]:
    """Return phone numbers in E.164."""
    if not texts:
        return frozenset()
    from connectors.contact import clean_phones  # noqa: PLC0415 - the numbering plans of the world are slow to load

    return frozenset(clean_phones(texts, country=None))


def _extraction(settings: Settings) -> RequiredLeadData:
    consent, exclude = settings.consent, settings.exclude or ExcludeSettings()
    where: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for condition in _conditions(settings):
        for path, values in _condition(condition).items():
            where[path] |= values
    taxes: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for value in _field_values(settings):
        taxes[value.field] |= {value.tax}
    return RequiredLeadData(
        ad_user_data=_consent_field(consent.ad_user_data),
        ad_personalization=_consent_field(consent.ad_personalization) if consent.ad_personalization else None,
        where=dict(where),
        amounts=dict(taxes),
        exclude=ExclusionCriteria(
            email_domains=frozenset({TEST_DOMAIN, *map(domain, exclude.email_domains)}),
            phones=_phones(exclude.phones),
            names=_normalised(exclude.names),
            fields=_condition(exclude.fields),
        ),
        report_by=settings.report.by,
    )


def _consent_field(signal: ConsentFieldSettings) -> ConsentField:
    return ConsentField(signal.field, granted=_normalised(signal.granted), refused=_normalised(signal.refused))


def target_assumptions(settings: Settings, book: Rulebook) -> dict[DestinationId, list[TargetAssumptions]]:
    """Return what the settings assume about each destination's targets, for the live check to verify."""
    windows = {
        conversion.id: conversion.google_ads.conversion_action.click_window_days
        for conversion in settings.conversions
        if conversion.google_ads is not None
    }
    found: dict[DestinationId, list[TargetAssumptions]] = {}
    for route in book.routes:
        days = None if route.target.transport == META_TRANSPORT else windows.get(route.conversion)
        expectation = TargetAssumptions(
            conversion=route.conversion,
            target=route.target,
            currency=route.currency,
            sends_value=(route.fixed_value, route.field_value, route.expected_value) != (None, None, None),
            sends_contact=route.uses_contact,
            click_window=None if days is None else timedelta(days=days),
            stage=route.stage,
        )
        found.setdefault(route.destination, []).append(expectation)
    return found
