"""Builds what a walk through the assumptions asks Google and Meta with: nothing of it counts in a real dataset."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connectors.ports import ConversionSink
from connectors.records import DestinationId, TargetAssumptions
from jobs.settings.compile import target_assumptions
from jobs.settings.schema import Settings
from jobs.settings.types import DIGITS
from jobs.wiring.account import compile_rules_only
from jobs.wiring.night import google_options, meta_options

if TYPE_CHECKING:
    from connectors.meta.quality import QualityAnswer


@dataclass(frozen=True, slots=True)
class GoogleTrial:
    """What one Google destination is asked with."""

    sink: ConversionSink
    """Has conversions validated by the Data Manager API, and never counted."""
    expected: Sequence[TargetAssumptions]
    """Its conversions, for that API."""
    click_windows: Callable[[], Mapping[str, int] | None]
    """Reads the click window of each conversion action, in days; None if that may not be read."""


def google_trials(settings: Settings) -> Iterator[GoogleTrial]:
    """Yield what each Google destination with conversions is asked with.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    expected = target_assumptions(settings, compile_rules_only(settings))
    for google in settings.google_ads:
        from connectors.google_ads.preflight import GoogleInspector  # noqa: PLC0415
        from connectors.google_ads.sink import GoogleSink  # noqa: PLC0415

        options = replace(google_options(google, validate_only=True), transport="data_manager", timeout=60.0)
        conversions = [
            replace(one, target=replace(one.target, transport="data_manager", source="WEB"))
            for one in expected.get(DestinationId(google.id), ())
        ]
        if conversions:
            yield GoogleTrial(GoogleSink(options), conversions, GoogleInspector(options).click_windows)


def is_dataset_number(text: str) -> bool:
    """Return whether a text is a dataset's id, as settings take it."""
    return re.fullmatch(DIGITS, text) is not None


def nights_send_to(settings: Settings, dataset: str) -> bool:
    """Return whether a dataset is one of the settings', also where its id is written with a leading zero."""
    return int(dataset) in {int(one.dataset_id) for one in settings.meta}


def meta_test_sink(settings: Settings, dataset: str) -> ConversionSink | None:
    """Return a sink that sends to a dataset made for tests; None if nights send to it, or to none at Meta.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    if not settings.meta or nights_send_to(settings, dataset):
        return None
    from connectors.meta.sink import MetaSink  # noqa: PLC0415

    return MetaSink(replace(meta_options(settings.meta[0], validate_only=False), dataset_id=dataset))


def meta_quality(settings: Settings) -> "list[QualityAnswer]":
    """Return how Meta answers for the ratings of each dataset, by reading alone.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    from connectors.meta.quality import ask_for_quality  # noqa: PLC0415

    return [ask_for_quality(meta_options(one, validate_only=True)) for one in settings.meta]
