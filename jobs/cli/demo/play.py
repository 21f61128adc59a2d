"""Plays the demonstration: nights with troubles, until nothing is left to do, and then the proof."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from connectors.sandbox.sandbox import STATE_FILE
from jobs.cli.accounts import load_account
from jobs.cli.demo.proof import prove
from jobs.cli.demo.stage import Cast, Stage, staged
from jobs.cli.demo.troubles import Evening, troubles
from jobs.cli.exits import Exit, Failure
from jobs.cli.guarded import report
from jobs.cli.nights import Wanted, do_night
from jobs.cli.progress import unwatched
from jobs.cli.state import looking
from jobs.ledger import sendables
from jobs.ledger.fates import Fate
from jobs.ledger.tables import Adjustment, Delivery
from jobs.reporting.night import Night, moved
from jobs.reporting.terminal import counted, facts, number, results
from jobs.settings import Settings

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
        settings = load_account(stage.settings, stage.environ).settings
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
        night = do_night(self.settings, unwatched(), Wanted())
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
        night = do_night(self.settings, unwatched(), Wanted(wait=WAIT, first_run=played == 0))
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
            return sum(sendables.open_or_awaited(look.session, self.settings.account, kind) for kind in kinds)


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
    held_back = sum(tally.count for tally in night.tallies if tally.fate is Fate.WITHHELD)
    counts = (
        summary.pulled.seen,
        summary.pulled.changed,
        summary.delivered.sent,
        moved(summary, Fate.ACCEPTED),
        moved(summary, Fate.REJECTED),
        moved(summary, Fate.EXPIRED),
        held_back,
        summary.exit_code,
    )
    cells = zip(counts, _COLUMNS.values(), strict=True)
    return f"{f'{at:%a} {at.day} {at:%b}':<10}{''.join(f'{number(count):>{width}}' for count, width in cells)}"
