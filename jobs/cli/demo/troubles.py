"""What goes wrong on which night of the demonstration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from connectors.records import DestinationId, LeadId
from connectors.sandbox.faults import Fault, Kind
from jobs.cli.demo.stage import Stage
from jobs.rules.keys import delivery_key

_INGEST = "/v1/events"
_LIST = "/v1/leads"


@dataclass(frozen=True, slots=True)
class Evening:
    """The night that is about to be played."""

    stage: Stage
    account: str
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


def _fault(fault: Fault) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.faults.plant(fault)


def _refuse_tokens(*, refuse: bool) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.oauth.switch("refuse_tokens", refuse)


def _name_rows(*, name: bool) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.data_manager.switch("record_indices", name)


def _refuse_one(conversion: str, label: str) -> Callable[[Evening], None]:
    """Have Google refuse one of tonight's conversions when it processes it."""

    def begin(evening: Evening) -> None:
        for lead in _entering(evening, label)[:1]:
            key = delivery_key(evening.account, LeadId(lead), conversion, DestinationId("google_ads"), 1)
            ruling = {"when": "processing", "reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"}
            evening.stage.sandbox.data_manager.plant_rulings({key: ruling})

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


TROUBLES: Mapping[int, Trouble] = MappingProxyType(
    {
        1: Trouble(
            "Oplead says 429, come back in 30 s: waited, then read on at half the pace",
            _fault(Fault("oplead", Kind.STATUS, path=_LIST, after=4, status=429, retry_after=30)),
        ),
        2: Trouble(
            "Google answers 503 to an upload: nobody knows what it kept, so the same bytes go again",
            _fault(Fault("data_manager", Kind.STATUS, path=_INGEST, status=503)),
        ),
        3: Trouble(
            "a proxy answers HTML instead of Google: not taken for a success, sent again",
            _fault(Fault("data_manager", Kind.HTML, path=_INGEST)),
        ),
        4: Trouble(
            "the connection breaks after Google has taken an upload: sent again, counted once",
            _fault(Fault("data_manager", Kind.CUT_AFTER, path=_INGEST)),
        ),
        7: Trouble(
            "Google revokes the key for a night: the destination stops, nothing is lost",
            _refuse_tokens(refuse=True),
            _refuse_tokens(refuse=False),
        ),
        8: Trouble(
            "Oplead answers 502 and breaks off a page: read again",
            _fault(Fault("oplead", Kind.STATUS, path=_LIST, after=2, status=502, count=2)),
        ),
        9: Trouble(
            "Google refuses one appointment and says which: only that one is rejected",
            _refuse_one("appointment", "Rendez-vous"),
        ),
        10: Trouble(
            "Google refuses one quote and does not say which: none of that upload is called accepted",
            _unnamed_begin,
            _name_rows(name=True),
        ),
    }
)
"""By the number of the night, the first being 0; a Tuesday. After Saturday and Sunday there is little to send."""
