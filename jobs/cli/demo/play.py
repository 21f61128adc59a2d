"""Plays the demonstration: nights with planned troubles until nothing is left to do, then the audit."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from connectors.records import DestinationId, LeadId
from connectors.sandbox.faults import FaultKind, PlannedFault
from connectors.sandbox.sandbox import STATE_FILE
from connectors.text import counted, number
from jobs.cli.accounts import load_account
from jobs.cli.demo.audit import prove
from jobs.cli.demo.sandbox import Cast, Stage, staged
from jobs.cli.exits import Exit, Failure
from jobs.cli.output import report, unwatched
from jobs.cli.session import RunOptions, do_night, looking
from jobs.ledger import outbox
from jobs.ledger.schema import Adjustment, Delivery
from jobs.reporting.console import facts, results
from jobs.reporting.run_report import Night, count_moved
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import delivery_key
from jobs.settings import Settings

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


def _plant(fault: PlannedFault) -> Callable[[Evening], None]:
    return lambda evening: evening.stage.sandbox.faults.plant(fault)


def _break_upload(kind: FaultKind, *, status: int | None = None) -> Callable[[Evening], None]:
    """A fault in front of whatever carries conversions to Google."""

    def begin(evening: Evening) -> None:
        server, path = _UPLOAD[evening.google_transport]
        evening.stage.sandbox.faults.plant(PlannedFault(server, kind, path=path, status=status))

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
        _plant(PlannedFault("oplead", FaultKind.STATUS, path=_LIST, after=4, status=429, retry_after=30)),
    ),
    2: Trouble(
        "Google answers 503 to an upload: nobody knows what it kept, so the same bytes go again",
        _break_upload(FaultKind.STATUS, status=503),
    ),
    3: Trouble(
        "a proxy answers HTML instead of Meta: not taken for a success, sent again and flagged",
        _plant(PlannedFault("meta", FaultKind.HTML, path=_EVENTS)),
    ),
    4: Trouble(
        "the connection breaks after Google has taken an upload: sent again, counted once",
        _break_upload(FaultKind.CUT_AFTER),
    ),
    6: Trouble(
        "the connection breaks after Meta has taken an upload: sent again, and flagged, for Meta may count twice",
        _plant(PlannedFault("meta", FaultKind.CUT_AFTER, path=_EVENTS)),
    ),
    7: Trouble(
        "Google revokes the key for a night: Google stops and Meta goes on, nothing is lost",
        _refuse_tokens(refuse=True),
        _refuse_tokens(refuse=False),
    ),
    8: Trouble(
        "Oplead answers 502 and breaks off a page: read again",
        _plant(PlannedFault("oplead", FaultKind.STATUS, path=_LIST, after=2, status=502, count=2)),
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


LONGEST = 60
"""Nights after which nobody waits for the end any more."""
WAIT = timedelta(hours=1)
"""How long each night waits for outcomes, as `run --wait 1h` does."""
DAILY = time(5, 30)
_COLUMNS = {
    "read": 8,
    "changed": 9,
    "sent": 7,
    "accepted": 10,
    "rejected": 10,
    "expired": 9,
    "held back": 11,
    "exit": 6,
}
"""How wide each is, for 80 with the night's day."""


def play(keep: Path | None, cast: Cast, nights: int, google_transport: str) -> int:
    """Play the whole demonstration; 0 where the last run had nothing to send and both books agree."""
    if keep is not None and (keep / STATE_FILE).exists():
        message = (
            f"{keep} holds a demonstration already; go on with `oplead-sync sandbox --out {keep}`, or name another"
        )
        return report(Failure(message, Exit.CONFIGURATION))
    # Every random wait, ours and the connectors', is drawn here: the same seed gives the same numbers.
    random.seed(cast.seed)
    with _folder(keep) as folder, staged(folder, cast, google_transport) as stage:
        settings = load_account(stage.settings, stage.environ)
        console = results()
        show = _Show(stage, settings, console)
        show.open(cast)
        show.play_nights(nights)
        nothing_sent = show.play_once_more()
        agreed = prove(console, stage, settings, kept=keep is not None)
    return Exit.DONE if nothing_sent and agreed else Exit.ATTENTION


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="oplead-sync-demo-") as folder:
        yield Path(folder)


@dataclass(slots=True)
class _Show:
    """One demonstration, night by night."""

    stage: Stage
    settings: Settings
    console: Console
    before: datetime = field(init=False)
    """When the night before was."""

    def __post_init__(self) -> None:
        self.before = self.stage.sandbox.clock.now()

    def open(self, cast: Cast) -> None:
        """Say what is about to be seen."""
        self.console.print(
            f"An invented company: {counted(cast.leads, 'lead')} over 90 days in a played Oplead, a played Google and "
            "a played Meta to send to, a clock that jumps from night to night. The job itself is the real one."
        )
        self.console.print("The first night only takes note: what happened before it does not count (see `since`).")
        self.console.print(
            "Exit code 1 asks for a human: some invented leads are broken on purpose. 3 says that something stopped.\n"
        )
        self.console.print(f"[bold]{headings()}[/bold]")

    def play_nights(self, nights: int) -> None:
        """Play so many nights, and on until nothing is due or awaited."""
        for played in range(LONGEST):
            self._play(played)
            if played + 1 >= nights and not self._left():
                return
            self.stage.sandbox.clock.advance(_next_night(self.stage.sandbox.clock.now(), self.settings.zone))

    def play_once_more(self) -> bool:
        """Run again at once, with nothing new to do; whether nothing was sent."""
        night = do_night(self.settings, unwatched(), RunOptions())
        requests = night.summary.delivered.requests + night.summary.corrected.requests
        sent = "nothing, as it should be" if requests == 0 else f"{counted(requests, 'request')}, which is wrong"
        self.console.print(f"\nNothing is due or awaited any more. Run once more at once: it sent {sent}.")
        return requests == 0

    def _play(self, played: int) -> None:
        now = self.stage.sandbox.clock.now()
        transport = self.settings.google_ads[0].transport
        evening = Evening(self.stage, self.settings.account, transport, self.before, now)
        trouble = troubles(transport).get(played)
        if trouble is not None:
            trouble.begin(evening)
        night = do_night(self.settings, unwatched(), RunOptions(wait=WAIT, first_run=played == 0))
        if trouble is not None:
            trouble.end(evening)
        self.stage.sandbox.faults.clear()
        self.before = now
        self.console.print(night_row(night, self.settings.zone))
        if trouble is not None:
            self.console.print(facts([("└", trouble.said)]), style="yellow")

    def _left(self) -> int:
        with looking(self.settings) as look:
            kinds = (Delivery, Adjustment)
            return sum(outbox.open_or_awaited(look.session, self.settings.account, kind) for kind in kinds)


def _next_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The next 05:30 in the account's zone, at least half a day away."""
    local = (now + timedelta(hours=12)).astimezone(zone)
    day = local.date() if local.time() < DAILY else local.date() + timedelta(days=1)
    return datetime.combine(day, DAILY, zone)


def headings() -> str:
    """What stands above the nights."""
    return f"{'night':<10}{''.join(f'{name:>{width}}' for name, width in _COLUMNS.items())}"


def night_row(night: Night, zone: ZoneInfo) -> str:
    """One night on one line, for 80 columns."""
    summary = night.summary
    at = summary.started_at.astimezone(zone)
    held_back = sum(tally.count for tally in night.tallies if tally.state is DeliveryState.WITHHELD)
    counts = (
        summary.pulled.seen,
        summary.pulled.changed,
        summary.delivered.sent,
        count_moved(summary, DeliveryState.ACCEPTED),
        count_moved(summary, DeliveryState.REJECTED),
        count_moved(summary, DeliveryState.EXPIRED),
        held_back,
        summary.exit_code,
    )
    cells = zip(counts, _COLUMNS.values(), strict=True)
    return f"{f'{at:%a} {at.day} {at:%b}':<10}{''.join(f'{number(count):>{width}}' for count, width in cells)}"
