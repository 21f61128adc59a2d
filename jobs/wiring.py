"""Joins one account's settings with the connectors they name; the only module that knows them all."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.clock import MachineClock, SandboxClock
from connectors.ports import Clock, ConversionSink
from connectors.records import DestinationId, Target
from jobs.nightly import Deps
from jobs.pull import Reach
from jobs.rulebook import Rulebook, Sinks
from jobs.rules.facts import FieldAmount, Route
from jobs.rules.intake import ConsentField, Extraction
from jobs.rules.labels import normalise_label
from jobs.settings.digests import extraction_digest, rules_digest
from jobs.settings.model import ConsentSignal, Conversion, FieldValue, GoogleAds, Settings

if TYPE_CHECKING:
    from connectors.oplead import OpleadSource


@contextmanager
def open_clock(settings: Settings) -> Iterator[Clock]:
    """The machine's clock, or the sandbox's where the settings name one."""
    if settings.clock is None:
        yield MachineClock()
        return
    with SandboxClock(str(settings.clock)) as clock:
        yield clock


@contextmanager
def connect(settings: Settings, clock: Clock) -> Iterator[tuple[Rulebook, Deps]]:
    """One account's rules and its doors to the outside, closed at the end.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    sinks = {DestinationId(google.id): _google_sink(google) for google in settings.google_ads}
    book = compile_rules(settings, sinks)
    with ExitStack() as doors:
        deps = Deps(
            source=doors.enter_context(_oplead(settings, book, clock)),
            sinks=sinks,
            clock=clock,
            jitter=random.random,
            reach=Reach(
                filtered=settings.oplead.pull_style == "since",
                overlap=settings.oplead.overlap,
                budget=settings.oplead.budget,
            ),
        )
        yield book, deps


def compile_rules(settings: Settings, sinks: Sinks) -> Rulebook:
    """The settings as the jobs need them."""
    routes = tuple(
        _google_route(settings, conversion, google, sinks[DestinationId(google.id)])
        for conversion in settings.conversions
        if conversion.google_ads is not None
        for google in settings.google_ads
        if conversion.google_ads.destination in (None, google.id)
    )
    listed = [label for labels in settings.stages.values() for label in labels]
    return Rulebook(
        account=settings.account,
        zone=settings.zone,
        extraction=_extraction(settings),
        routes=routes,
        since={conversion.id: conversion.since for conversion in settings.conversions if conversion.since is not None},
        was={
            conversion.id: None if conversion.was == "none" else conversion.was
            for conversion in settings.conversions
            if conversion.was is not None
        },
        known_labels=frozenset(normalise_label(label) for label in (*listed, *settings.ignored_statuses)),
        extraction_digest=extraction_digest(settings),
        rules_digest=rules_digest(settings),
    )


def _google_route(settings: Settings, conversion: Conversion, google: GoogleAds, sink: ConversionSink) -> Route:
    if conversion.google_ads is None:
        raise ValueError("the conversion does not go to Google")
    action = conversion.google_ads.conversion_action
    remembered = sink.limits.click_window
    window = timedelta(days=action.click_window_days) if action.click_window_days else remembered
    value = conversion.value
    return Route(
        account=settings.account,
        zone=settings.zone,
        conversion=conversion.id,
        destination=DestinationId(google.id),
        target=Target(
            transport=google.transport,
            owner=google.customer_id,
            action=action.id,
            source=conversion.google_ads.event_source or google.event_source,
        ),
        limits=sink.limits,
        on_creation=conversion.stage == "created",
        labels=_labels(settings, (conversion.stage, *conversion.implied_by)),
        where=tuple(_condition(where) for where in (conversion.where, google.where) if where),
        fixed_value=None if isinstance(value, FieldValue) else value,
        field_value=_field_amount(value) if isinstance(value, FieldValue) else None,
        currency=settings.currency,
        click_window=min(remembered, window),
        contact_only=google.audience == "all",
        attach_contact=google.contact_data == "attach",
        assume_consent=settings.consent.missing == "assume_granted",
    )


def _labels(settings: Settings, stages: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise_label(label) for stage in stages for label in settings.stages.get(stage, ()))


def _condition(where: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {path: frozenset(normalise_label(value) for value in values) for path, values in where.items()}


def _field_amount(value: FieldValue) -> FieldAmount:
    return FieldAmount(value.field, value.tax, value.otherwise, value.wait_for_value)


def _extraction(settings: Settings) -> Extraction:
    consent = settings.consent
    where: dict[str, frozenset[str]] = {}
    for condition in [owner.where for owner in settings.conversions] + [owner.where for owner in settings.google_ads]:
        for path, values in _condition(condition).items():
            where[path] = where.get(path, frozenset()) | values
    fields = [conversion.value for conversion in settings.conversions if isinstance(conversion.value, FieldValue)]
    return Extraction(
        ad_user_data=_consent_field(consent.ad_user_data),
        ad_personalization=_consent_field(consent.ad_personalization) if consent.ad_personalization else None,
        where=where,
        amounts=frozenset(value.field for value in fields),
    )


def _consent_field(signal: ConsentSignal) -> ConsentField:
    return ConsentField(
        path=signal.field,
        granted=frozenset(normalise_label(value) for value in signal.granted),
        refused=frozenset(normalise_label(value) for value in signal.refused),
    )


# SDKs are heavy and slow to load: each connector is imported only where an account uses it.


def _google_sink(google: GoogleAds) -> ConversionSink:
    from connectors.google_ads.data_manager.sink import DataManagerOptions, DataManagerSink  # noqa: PLC0415

    return DataManagerSink(
        DataManagerOptions(
            customer_id=google.customer_id,
            login_customer_id=google.login_customer_id,
            key_file=google.credentials,
            endpoint=str(google.endpoint),
        )
    )


def _oplead(settings: Settings, book: Rulebook, clock: Clock) -> "OpleadSource":
    from connectors import oplead as platform  # noqa: PLC0415
    from connectors.pacing import Pacer  # noqa: PLC0415

    told = settings.oplead
    options = platform.OpleadOptions(
        token=told.token.get_secret_value(),
        zone=settings.zone,
        base_url=str(told.base_url).rstrip("/"),
        path_prefix=told.path_prefix,
        auth=platform.AuthOptions(**told.auth.model_dump()),
        pagination=platform.PaginationOptions(**told.pagination.model_dump()),
        since_filter=platform.SinceFilter(**told.since_filter.model_dump())
        if told.since_filter is not None and told.pull_style == "since"
        else None,
        detail=told.detail,
        fields=platform.FieldPaths(**told.fields.model_dump()),
        click_ids=platform.ClickIdRules(**settings.click_ids.model_dump()),
    )
    return platform.OpleadSource(
        options, wanted_fields=book.extraction.paths, clock=clock, pacer=Pacer(clock, told.rate)
    )
