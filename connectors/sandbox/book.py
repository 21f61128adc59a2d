"""The conversions that Google counted: one line each, with its adjustments and replays."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

_APIS = ("data_manager", "google_ads")


@dataclass(frozen=True, slots=True)
class GoogleAcceptance:
    """An event at the moment its processing found no error; times are ISO 8601."""

    customer: str
    action: str
    transaction_id: str
    event_time: str
    value: float | None
    currency: str
    click_kind: str
    """gclid, gbraid, wbraid, or contact."""
    matched: bool
    """Whether a registered click stands behind it."""
    digest: str
    request: str
    at: str
    api: str = "data_manager"
    """Which API took it: data_manager or google_ads."""
    key: str = ""
    """Its identity, where that is not its transaction id."""
    click: str = ""
    """The click id behind it, kept only where the API identifies events by it."""
    known_by: tuple[str, ...] = ()
    """The click ids and hashes it came with."""


@dataclass(frozen=True, slots=True)
class GoogleBookLine:
    """A counted conversion. Its first event stays; value, currency and digest are the latest."""

    first: GoogleAcceptance
    value: float | None
    currency: str
    digest: str
    restatements: int = 0
    """How often another value replaced the one before."""
    replays: int = 0
    """How often it came again with the same value."""
    changed_replays: int = 0
    """How many of those replays were not the same event to the byte."""
    retracted: bool = False
    """Whether it counts no more, and is worth nothing."""
    adjusted_at: str = ""
    """The latest adjustment time that a correction named, ISO 8601."""
    ignored: int = 0
    """How many corrections changed nothing, as no more of them are taken."""

    def is_final(self, *, at_zero: bool) -> bool:
        """Whether nothing more changes it: it is retracted, or restated to 0 where that is final too."""
        return self.retracted or (at_zero and self.restatements > 0 and self.value == 0)


class GoogleBook:
    """Every conversion once, by customer, action, key and the API that took it."""

    def __init__(self, lines: Iterable[GoogleBookLine] = ()) -> None:
        self._lines = {_identity(line.first): line for line in lines}
        self._moments = {_moment(line.first) for line in self._lines.values()}

    def accept(self, event: GoogleAcceptance, *, across: bool = False, zero_is_final: bool = False) -> None:
        """Count the event, or let it adjust the conversion it repeats.

        The same transaction id on the same action is an adjustment: value and currency replace the first,
        all else is kept; it never counts twice.
        https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade

        Args:
            event: what was accepted.
            across: whether a conversion that the other API took may be the one it repeats.
            zero_is_final: whether a conversion that was restated to 0 stays so.
        """
        line = self.find(event, across=across)
        if line is None:
            self.put(GoogleBookLine(event, event.value, event.currency, event.digest))
            self._moments.add(_moment(event))
        else:
            self.put(_adjusted(line, event, zero_is_final=zero_is_final))

    def find(self, event: GoogleAcceptance, *, across: bool) -> GoogleBookLine | None:
        """The conversion that this event repeats."""
        apis = (event.api, *_APIS) if across else (event.api,)
        return self.corrected(event.customer, event.action, event.key or event.transaction_id, apis)

    def corrected(self, customer: str, action: str, key: str, apis: Iterable[str]) -> GoogleBookLine | None:
        """The conversion that a correction names by its key, of the first of these APIs that took one."""
        known = (self._lines.get((customer, action, key, api)) for api in apis)
        return next((line for line in known if line), None)

    def put(self, line: GoogleBookLine) -> None:
        """Add a conversion, or replace the line it had."""
        self._lines[_identity(line.first)] = line

    def holds_moment(self, event: GoogleAcceptance) -> bool:
        """Whether the same API counted the same click at the same second on the same action before."""
        return bool(event.click) and _moment(event) in self._moments

    def lines(self) -> list[dict[str, object]]:
        """The book as JSON, in the order of first acceptance."""
        return [_json(line) for line in self._lines.values()]

    def known_by(self) -> dict[str, tuple[str, ...]]:
        """What each conversion came with, by its transaction id."""
        return {line.first.transaction_id: tuple(line.first.known_by) for line in self._lines.values()}

    def dump(self) -> list[dict[str, Any]]:
        """Everything, for `load`."""
        return [asdict(line) for line in self._lines.values()]

    @classmethod
    def load(cls, dumped: Iterable[Mapping[str, Any]]) -> "GoogleBook":
        """The book of an earlier `dump`."""
        return cls(GoogleBookLine(**{**each, "first": GoogleAcceptance(**each["first"])}) for each in dumped)


def _identity(event: GoogleAcceptance) -> tuple[str, str, str, str]:
    return event.customer, event.action, event.key or event.transaction_id, event.api


def _moment(event: GoogleAcceptance) -> tuple[str, str, str, str, str]:
    return event.customer, event.action, event.click, event.event_time, event.api


def _adjusted(line: GoogleBookLine, event: GoogleAcceptance, *, zero_is_final: bool) -> GoogleBookLine:
    if event.value is not None and (event.value, event.currency) != (line.value, line.currency):
        if line.is_final(at_zero=zero_is_final):
            return replace(line, ignored=line.ignored + 1)
        times = line.restatements + 1
        return replace(line, value=event.value, currency=event.currency, digest=event.digest, restatements=times)
    changed = line.changed_replays + (event.digest != line.digest)
    return replace(line, replays=line.replays + 1, changed_replays=changed)


def _json(line: GoogleBookLine) -> dict[str, object]:
    first, latest = line.first, asdict(line)
    del latest["first"]
    return latest | {
        "api": first.api,
        "customer": first.customer,
        "action": first.action,
        "transaction_id": first.transaction_id,
        "accepted": 1,
        "count": 0 if line.retracted else 1,
        "event_time": first.event_time,
        "first_value": first.value,
        "click_kind": first.click_kind,
        "matched": first.matched,
        "first_digest": first.digest,
        "first_request": first.request,
        "accepted_at": first.at,
    }
