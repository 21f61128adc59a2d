"""The settings as the jobs need them: what to read, what counts, and where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from connectors.ports import ConversionSink
from connectors.records import DestinationId
from jobs.rules.facts import Route
from jobs.rules.intake import Extraction


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

    def way(self, destination: DestinationId, transport: str, owner: str) -> str:
        """What a way to a destination is called: by its own name, unless the settings take that way no longer."""
        targets = [route.target for route in self.routes_to(destination)]
        if any((target.transport, target.owner) == (transport, owner) for target in targets):
            return destination
        return f"{destination} (before: {owner} by {transport})"

    def route(self, conversion: str, destination: str) -> Route | None:
        """The route of a conversion to a destination; None where the settings have none."""
        place = (conversion, destination)
        return next((route for route in self.routes if (route.conversion, route.destination) == place), None)

    def routes_to(self, destination: DestinationId) -> tuple[Route, ...]:
        """The routes that end at a destination."""
        return tuple(route for route in self.routes if route.destination == destination)


Sinks = Mapping[DestinationId, ConversionSink]
