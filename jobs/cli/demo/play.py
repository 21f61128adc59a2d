"""Play the demonstration: nights with planned failures until nothing is left to do, then the audit."""

import random
import shlex
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from connectors.language import N_, _, _n, format_integer, format_short_day
from connectors.records import DestinationId, LeadId
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.sandbox import STATE_FILE
from jobs.account.files import load_account
from jobs.account.night import RunOptions, do_night
from jobs.account.pages import write_page_of_usual_period
from jobs.account.state import open_view
from jobs.cli.demo.audit import print_demo_audit
from jobs.cli.demo.sandbox import InventedLeadsSpec, RunningSandbox, serve_sandbox_for_block
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.outbox import outbox
from jobs.reporting.console import facts_grid, print_title, results_console, say
from jobs.reporting.run_report import Night, count_deliveries_moved_to
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import delivery_key
from jobs.settings import Settings
from jobs.timetable import daily_timetable
from jobs.wiring.account import compile_rules_only

_LIST, _META_EVENTS = "/v1/leads", "/v26.0/"
_UPLOAD = {
    "data_manager": ("data_manager", "/v1/events"),
    "google_ads_api": ("google_ads", "/google.ads.googleads.v26.services.ConversionUploadService/"),
}
"""The server and path of Google uploads, by transport."""
_REFUSAL = {
    "data_manager": {"when": "processing", "reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"},
    "google_ads_api": {"when": "submit", "reason": "CLICK_NOT_FOUND"},
}
_LONGEST = 60
"""The maximum number of nights."""
_WAIT = timedelta(hours=1)
"""How long each night waits for outcomes, as `run --wait 1h` does."""
_COLUMNS = {
    N_("read"): 6,
    N_("changed"): 9,
    N_("sent"): 8,
    N_("accepted"): 10,
    N_("rejected"): 9,
    N_("expired"): 9,
    N_("held back"): 10,
    N_("exit"): 5,
}
"""Headings and widths; with the night's date they fill 80 columns."""
_NIGHT_WIDTH = 14


def play_demo(keep: Path | None, cast: InventedLeadsSpec, nights: int, google_transport: str) -> int:
    """Play the demonstration; return 0 if the last run had nothing to send and the books agree, else 1."""
    if keep is not None and (keep / STATE_FILE).exists():
        raise UsageError(
            _(
                "{folder} holds a demonstration already; go on with `oplead-sync sandbox --out {quoted}`, or name "
                "another",
                folder=keep,
                quoted=shlex.quote(str(keep)),
            )
        )
    # Every random wait, including the connectors', uses this generator: the same seed gives the same numbers.
    random.seed(cast.seed)
    with (
        nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="oplead-sync-demo-") as folder,
        serve_sandbox_for_block(Path(folder), cast, google_transport) as stage,
    ):
        pages = keep or Path(tempfile.mkdtemp(prefix="oplead-sync-report-"))
        show = _DemoRun(stage, load_account(stage.settings, stage.environ).settings, results_console(), pages)
        show.print_introduction(cast)
        show.play_nights(nights)
        nothing_sent = show.play_once_more()
        books_agree = print_demo_audit(show.console, stage, show.settings, kept=keep is not None)
        show.print_page()
    return Exit.DONE if nothing_sent and books_agree else Exit.ATTENTION


@dataclass(slots=True)
class _DemoRun:
    """One demonstration."""

    stage: RunningSandbox
    settings: Settings
    console: Console
    pages: Path
    """The folder of the report's page: what is kept, else one that outlives the demonstration."""
    page: Path | None = field(init=False, default=None)
    busiest: int = field(init=False, default=0)
    """How many conversions the busiest night sent."""
    since: datetime = field(init=False)
    """The time of the previous night."""
    until: datetime = field(init=False)
    """The time of the current night."""

    def __post_init__(self) -> None:
        self.since = self.until = self.stage.sandbox.clock.now()

    @property
    def transport(self) -> str:
        """The transport to Google."""
        return self.settings.google_ads[0].transport

    def print_introduction(self, cast: InventedLeadsSpec) -> None:
        """Print the introduction and the column headings."""
        introduction = (
            _n(
                "An invented company: {count} lead over 90 days in a simulated Oplead, a simulated Google and Meta to "
                "send to, a clock that jumps from night to night. The job itself is the real one.",
                "An invented company: {count} leads over 90 days in a simulated Oplead, a simulated Google and Meta to "
                "send to, a clock that jumps from night to night. The job itself is the real one.",
                cast.leads,
            ),
            _("The first night only takes note: what happened before it does not count (see `since`)."),
            _(
                "Exit code 1 asks for a human: some invented leads are broken on purpose. 3 says that something "
                "stopped."
            ),
        )
        for paragraph in introduction:
            self.console.print(paragraph, markup=False)
        print_title(headings())

    def play_nights(self, nights: int) -> None:
        """Play at least `nights` nights, then until nothing is due or awaited, up to `_LONGEST` in all."""
        clock = self.stage.sandbox.clock
        for played in range(_LONGEST):
            self._play(played)
            if played + 1 >= nights and not self._count_open_deliveries():
                return
            firing = daily_timetable("05:30", self.settings.zone).next_night_after(clock.now() + timedelta(hours=12))
            if firing is not None:
                clock.advance(firing.at)

    def play_once_more(self) -> bool:
        """Run again at once with nothing new to do, and return whether nothing was sent."""
        night = do_night(self.settings, RunOptions())
        requests = night.summary.delivered.requests + night.summary.corrected.requests
        said = _("Nothing is due or awaited any more. Run once more at once: it sent nothing, as it should be.")
        if requests:
            said = _n(
                "Nothing is due or awaited any more. Run once more at once: it sent {count} request, which is wrong.",
                "Nothing is due or awaited any more. Run once more at once: it sent {count} requests, which is wrong.",
                requests,
            )
        self.console.print(f"\n{said}", markup=False)
        return requests == 0

    def write_page(self, sent: int) -> None:
        """Write the report's page after a night that sent so many conversions, if it was a lively one.

        The last nights only finish what is open, and would leave marketing a page of zeros.
        """
        self.busiest = max(self.busiest, sent)
        if 2 * sent < self.busiest:
            return
        with open_view(self.settings) as view:
            book = compile_rules_only(self.settings)
            self.page = write_page_of_usual_period(view.session, self.settings, book, self.pages, now=view.now).page

    def print_page(self) -> None:
        """Say where the report's page is."""
        print_title(_("What the ads brought in, as `oplead-sync report` showed it after the last lively night"))
        say(f"  {self.page}")

    def _play(self, played: int) -> None:
        sandbox = self.stage.sandbox
        self.since, self.until = self.until, sandbox.clock.now()
        trouble = _TROUBLES.get(played)
        if trouble is not None and trouble.only not in (None, self.transport):
            trouble = None
        if trouble is not None:
            trouble.begin(self)
        night = do_night(self.settings, RunOptions(wait=_WAIT, first_run=played == 0))
        sandbox.oauth.set_switch("refuse_tokens", False)
        sandbox.data_manager.set_switch("record_indices", True)
        sandbox.faults.clear()
        self.console.print(night_row(night, self.settings.zone))
        if trouble is not None:
            self.console.print(facts_grid([("└", _(trouble.story))]), style="yellow")
        self.write_page(night.summary.delivered.sent)

    def _count_open_deliveries(self) -> int:
        with open_view(self.settings) as view:
            return outbox.count_unfinished_deliveries(view.session, self.settings.account)

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────

    def break_upload(self, kind: FaultKind, *, status: int | None = None) -> None:
        """Plant a fault in the current transport's upload to Google."""
        server, path = _UPLOAD[self.transport]
        self.stage.sandbox.faults.plant(PlannedFault(server, kind, path=path, status=status))

    def have_google_reject_one(self, conversion: str, label: str) -> None:
        """Have Google reject the conversion of a consenting lead with a Google click that got this status today."""
        sandbox = self.stage.sandbox
        server = sandbox.data_manager if self.transport == "data_manager" else sandbox.google_ads
        for lead, truth in self.stage.population.ground_truth().items():
            is_sendable = truth.knows_google_click and truth.kinds["consent"] == "granted"
            is_today = any(each.status == label and self.since < each.at <= self.until for each in truth.changes)
            if is_sendable and is_today and truth.kinds["shape"] == "sound":
                key = delivery_key(self.settings.account, LeadId(lead), conversion, DestinationId("google_ads"), 1)
                server.plant_event_rulings({key: _REFUSAL[self.transport]})
                return

    def have_google_reject_unnamed(self, conversion: str, label: str) -> None:
        """Do the same as `have_google_reject_one`, with a response that doesn't identify the rejected conversion."""
        self.stage.sandbox.data_manager.set_switch("record_indices", False)
        self.have_google_reject_one(conversion, label)


@dataclass(frozen=True, slots=True)
class _PlannedFailure:
    """A planned failure of one night."""

    story: str
    """What fails, and how the job handles it."""
    begin: Callable[[_DemoRun], None]
    only: str | None = None
    """The only transport it applies to; None means any."""


def _plant(fault: PlannedFault) -> Callable[[_DemoRun], None]:
    return lambda show: show.stage.sandbox.faults.plant(fault)


_TROUBLES: Mapping[int, _PlannedFailure] = {
    1: _PlannedFailure(
        N_("Oplead says 429, come back in 30 s: waited, then read on at half the pace"),
        _plant(PlannedFault("oplead", FaultKind.STATUS, path=_LIST, after=4, status=429, retry_after=30)),
    ),
    2: _PlannedFailure(
        N_("Google answers 503 to an upload: nobody knows what it kept, so the same bytes go again"),
        lambda show: show.break_upload(FaultKind.STATUS, status=503),
    ),
    3: _PlannedFailure(
        N_("a proxy answers HTML instead of Meta: not taken for a success, sent again and flagged"),
        _plant(PlannedFault("meta", FaultKind.HTML, path=_META_EVENTS)),
    ),
    4: _PlannedFailure(
        N_("the connection breaks after Google has taken an upload: sent again, counted once"),
        lambda show: show.break_upload(FaultKind.CUT_AFTER),
    ),
    6: _PlannedFailure(
        N_("the connection breaks after Meta has taken an upload: sent again, and flagged, for Meta may count twice"),
        _plant(PlannedFault("meta", FaultKind.CUT_AFTER, path=_META_EVENTS)),
    ),
    7: _PlannedFailure(
        N_("Google revokes the key for a night: Google stops and Meta goes on, nothing is lost"),
        lambda show: show.stage.sandbox.oauth.set_switch("refuse_tokens", True),
    ),
    8: _PlannedFailure(
        N_("Oplead answers 502 and breaks off a page: read again"),
        _plant(PlannedFault("oplead", FaultKind.STATUS, path=_LIST, after=2, status=502, count=2)),
    ),
    9: _PlannedFailure(
        N_("Google refuses one appointment and says which: only that one is rejected"),
        lambda show: show.have_google_reject_one("appointment", "Rendez-vous"),
    ),
    10: _PlannedFailure(
        N_("Google refuses one quote and does not say which: none of that upload is called accepted"),
        lambda show: show.have_google_reject_unnamed("quote", "Devis à relancer"),
        only="data_manager",
    ),
}
"""By night, counted from 0, which is a Tuesday; after a Saturday or Sunday there is little to send."""


def headings() -> str:
    """Return the heading line of the table of nights."""
    columns = "".join(f"{_(name):>{width}}" for name, width in _COLUMNS.items())
    return f"{_('night'):<{_NIGHT_WIDTH}}{columns}"


def night_row(night: Night, zone: ZoneInfo) -> str:
    """Format a night as one line of 80 columns."""
    summary = night.summary
    at = summary.started_at.astimezone(zone)
    counts = (
        summary.pulled.seen,
        summary.pulled.changed,
        summary.delivered.sent,
        *(count_deliveries_moved_to(summary, DeliveryState(name)) for name in ("accepted", "rejected", "expired")),
        sum(tally.count for tally in night.tallies if tally.state is DeliveryState.WITHHELD),
        summary.exit_code,
    )
    cells = zip(counts, _COLUMNS.values(), strict=True)
    counted = "".join(f"{format_integer(count):>{width}}" for count, width in cells)
    return f"{format_short_day(at, of_week=True):<{_NIGHT_WIDTH}}{counted}"
