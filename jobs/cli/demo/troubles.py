"""What goes wrong on which night of the demonstration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.records import DestinationId, LeadId
from connectors.sandbox.faults import Fault, Kind
from jobs.cli.demo.stage import Stage
from jobs.rules.keys import delivery_key

_LIST = "/v1/leads"
_UPLOAD = {
    "data_manager": ("data_manager", "/v1/events"),
    "google_ads_api": ("google_ads", "/google.ads.googleads.v26.services.ConversionUploadService/"),
}
"""The server and path of Google's uploads, by transport."""
_REFUSAL = {
    "data_manager": {"when": "processing", "reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"},
    "google_ads_api": {"when": "submit", "reason": "CLICK_NOT_FOUND"},
}


@dataclass(frozen=True, slots=True)
class Evening:
    """The night that is about to be played."""

    stage: Stage
    account: str
    google_transport: str
    since: datetime
    """When the night before was."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong."""

    said: str
    """What happens, and what is done about it."""
    begin: Callable[[Evening], None]
    end: Callable[[Evening], None] = lambda _: None


def troubles(google_transport: str) -> Mapping[int, Trouble]:
    """By the number of the night, the first being 0; a Tuesday. After Saturday and Sunday there is little to send."""
    return {**_ANYWHERE, **(_ONLY_DATA_MANAGER if google_transport == "data_manager" else {})}


def _plant(fault: Fault) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.faults.plant(fault)


def _break_upload(kind: Kind, *, status: int | None = None) -> Callable[[Evening], None]:
    """A fault in front of whatever carries conversions to Google."""

    def begin(evening: Evening) -> None:
        server, path = _UPLOAD[evening.google_transport]
        evening.stage.sandbox.faults.plant(Fault(server, kind, path=path, status=status))

    return begin


def _refuse_tokens(*, refuse: bool) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.oauth.switch("refuse_tokens", refuse)


def _name_rows(*, name: bool) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.data_manager.switch("record_indices", name)


def _refuse_one(conversion: str, label: str) -> Callable[[Evening], None]:
    """Have Google refuse one of tonight's conversions."""

    def begin(evening: Evening) -> None:
        for lead in _entering(evening, label)[:1]:
            key = delivery_key(evening.account, LeadId(lead), conversion, DestinationId("google_ads"), 1)
            sandbox = evening.stage.sandbox
            played = sandbox.data_manager if evening.google_transport == "data_manager" else sandbox.google_ads
            played.plant_rulings({key: _REFUSAL[evening.google_transport]})

    return begin


def _entering(evening: Evening, label: str) -> list[str]:
    """Leads that came from an ad, agreed, and got this status since the night before."""
    return [
        lead
        for lead, truth in evening.stage.population.truth().items()
        if truth.knows_google_click and truth.kinds["consent"] == "granted" and truth.kinds["shape"] == "sound"
        for change in truth.changes
        if change.status == label and evening.since < change.at <= evening.until
    ]


def _unnamed_begin(evening: Evening) -> None:
    _name_rows(name=False)(evening)
    _refuse_one("quote", "Devis à relancer")(evening)


_EVENTS = "/v26.0/"
_ANYWHERE: Mapping[int, Trouble] = {
    1: Trouble(
        "Oplead says 429, come back in 30 s: waited, then read on at half the pace",
        _plant(Fault("oplead", Kind.STATUS, path=_LIST, after=4, status=429, retry_after=30)),
    ),
    2: Trouble(
        "Google answers 503 to an upload: nobody knows what it kept, so the same bytes go again",
        _break_upload(Kind.STATUS, status=503),
    ),
    3: Trouble(
        "a proxy answers HTML instead of Meta: not taken for a success, sent again and flagged",
        _plant(Fault("meta", Kind.HTML, path=_EVENTS)),
    ),
    4: Trouble(
        "the connection breaks after Google has taken an upload: sent again, counted once",
        _break_upload(Kind.CUT_AFTER),
    ),
    6: Trouble(
        "the connection breaks after Meta has taken an upload: sent again, and flagged, for Meta may count twice",
        _plant(Fault("meta", Kind.CUT_AFTER, path=_EVENTS)),
    ),
    7: Trouble(
        "Google revokes the key for a night: Google stops and Meta goes on, nothing is lost",
        _refuse_tokens(refuse=True),
        _refuse_tokens(refuse=False),
    ),
    8: Trouble(
        "Oplead answers 502 and breaks off a page: read again",
        _plant(Fault("oplead", Kind.STATUS, path=_LIST, after=2, status=502, count=2)),
    ),
    9: Trouble(
        "Google refuses one appointment and says which: only that one is rejected",
        _refuse_one("appointment", "Rendez-vous"),
    ),
}
_ONLY_DATA_MANAGER: Mapping[int, Trouble] = {
    10: Trouble(
        "Google refuses one quote and does not say which: none of that upload is called accepted",
        _unnamed_begin,
        _name_rows(name=True),
    ),
}
