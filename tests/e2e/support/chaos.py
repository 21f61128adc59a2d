"""Nights in which everything goes wrong: runs killed, answers lost, platforms down; drawn from a seed."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from subprocess import TimeoutExpired

from jobs.ledger.schema import Transition
from jobs.rules.reasons import Reason
from tests.e2e.support.killed_run import POINTS

DAY = timedelta(days=1)
KILLED = -signal.SIGKILL
WAYS = ("data_manager", "google_ads_api", "undo_via")
"""How conversions and retractions are sent to Google."""
PRICES = ("12 500,00 €", "9 800,00 €", "21 000,00 €", "4 350,50 €")
FAULTS = (
    {"kind": "cut_before"},
    {"kind": "cut_after"},
    {"kind": "truncated"},
    {"kind": "html"},
    {"kind": "html", "status": 502},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 20},
    {"kind": "hang", "seconds": 0.2},
)
SERVERS = ("oplead", "oauth", "data_manager", "google_ads", "meta")
QUIET_NIGHTS = 6
"""Enough nights after the last fault to retract lost sales three days later and learn every outcome."""
SETTLED = {"accepted", "unconfirmed", "cancelled", "skipped"}
GIVEN_UP = (Reason.NO_ANSWER, Reason.REPLAY_COUNTS_TWICE)
"""Reasons in the ledger why an outcome can never be known."""


@dataclass
class Story:
    """One lead's steps, and what its sale is worth."""

    number: int
    created: object
    steps: list
    amount: str

    @property
    def label(self):
        """The current status."""
        return self.steps[-1][0]


@dataclass
class Tally:
    """The kills and faults so far."""

    by_event: Counter = field(default_factory=Counter)
    by_time: int = 0
    not_reached: int = 0
    faults: int = 0

    @property
    def kills(self):
        """How often a run was killed."""
        return self.by_event.total() + self.by_time


class Chaos:
    """One company's nights under a seed."""

    def __init__(self, company, seed):
        self.company = company
        self.draw = random.Random(seed)
        self.way = WAYS[seed % len(WAYS)]
        self.knows_again = seed % 2 == 0
        self.stories = {}
        self.done = Tally()
        self.longest = 2.0
        """Real seconds that a run takes here, for kills at random times."""
        self._set_up()

    def _set_up(self):
        company = self.company
        company.use_meta(funnel={}, contact_data="none")
        company.settings["meta"].pop("funnel")
        company.sandbox.meta.set_switch("meta_deduplication", self.knows_again)
        # Otherwise Google silently ignores the new value of a sale that was undone and then won again.
        company.platform.set_switch("zero_is_final", value=False)
        sale = company.conversion("sale")
        sale["undo_when"] = ["lost"]
        if self.way == "google_ads_api":
            company.use_ads_api()
        elif self.way == "undo_via":
            sale["undo_via"] = "google_ads_api"

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    def night(self, kills):
        """One night: move leads, plant faults, and kill runs until one completes."""
        self.company.clock.advance(self.company.clock.now() + DAY)
        self._move_leads()
        self._plant()
        for _ in range(kills):
            self._kill()
        self.company.night()
        self.company.heal()
        self.company.later()
        self.company.later()

    def quiet_nights(self):
        """Nights without faults, until every delivery is settled."""
        self.company.heal()
        for _ in range(QUIET_NIGHTS):
            self.company.night(self.company.clock.now() + DAY)
            self.company.later()
            self.company.later()

    def _move_leads(self):
        now = self.company.clock.now()
        for story in list(self.stories.values()):
            chance = self.draw.random()
            at = now - timedelta(hours=self.draw.randint(1, 20), minutes=self.draw.randint(0, 59))
            if story.label == "Gagné" and chance < 0.15:
                story.steps.append(("Perdu", at))
            elif story.label == "Perdu" and chance < 0.15:
                story.steps.append(("Gagné", at))
            elif chance < 0.4:
                story.amount = self.draw.choice(PRICES)
        for _ in range(self.draw.randint(1, 3)):
            number = len(self.stories) + 1
            won = now - timedelta(hours=self.draw.randint(1, 20), minutes=self.draw.randint(0, 59))
            self.stories[number] = Story(number, now - 3 * DAY, [("Gagné", won)], self.draw.choice(PRICES))
        self._serve()

    def _serve(self):
        for story in self.stories.values():
            told = self.company.lead(
                story.number,
                *story.steps,
                created=story.created,
                amount=story.amount,
                clicks=self.company.both(story.number),
            )
            self.company.serve(told)

    def _plant(self):
        for _ in range(self.draw.randint(0, 3)):
            fault = self.draw.choice(FAULTS)
            self.company.fail(self.draw.choice(SERVERS), after=self.draw.randint(0, 2), **fault)
            self.done.faults += 1

    def _kill(self):
        # Half of the kills come at a random time, whatever the run is doing.
        if self.draw.random() < 0.5:
            self._kill_at_an_event()
        else:
            self._kill_at_any_time()

    def _kill_at_an_event(self):
        point = self.draw.choice(sorted(POINTS))
        if self.company.killed(point, self.draw.randint(1, 2)) == KILLED:
            self.done.by_event[point] += 1
        else:
            self.done.not_reached += 1

    def _kill_at_any_time(self):
        began = time.monotonic()
        with self.company.ended(self.company.start_command("run")) as process:
            try:
                process.communicate(timeout=self.draw.uniform(0.2, 1.0) * self.longest)
            except TimeoutExpired:
                process.kill()
                process.communicate(timeout=10)
                self.done.by_time += process.returncode == KILLED
            else:
                self.longest = max(0.5, (self.longest + time.monotonic() - began) / 2)
                self.done.not_reached += 1

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def wrongs(self):
        """Everything that is wrong at the end, one sentence each."""
        found = self.company.disagreements(unanswered=("unconfirmed",))
        return [*found, *self._lost(), *self._unsettled(), *self._not_corrected()]

    def _destinations(self):
        return ("google_ads", "meta")

    def _lost(self):
        """Conversions that were reached but never sent."""
        for destination in self._destinations():
            states = self.company.states(destination)
            for story in self.stories.values():
                for conversion in ("appointment", "sale"):
                    state = states.get((f"L-{story.number}", conversion))
                    if state not in ("accepted", "unconfirmed"):
                        yield f"{destination} L-{story.number} {conversion}: {state}"

    def _unsettled(self):
        """Deliveries still unsettled, or given up for no valid reason."""
        causes = {row.delivery: row.reason for row in self.company.rows(Transition) if row.to_state == "unconfirmed"}
        for destination in self._destinations():
            for name, row in self.company.deliveries(destination).items():
                if row.state == "unconfirmed" and causes[row.id] not in GIVEN_UP:
                    yield f"{destination} {name}: given up because of {causes[row.id]}"
        for row in self.company.corrections():
            if row.state not in SETTLED:
                yield f"correction of {row.lead} {row.conversion} at {row.destination}: {row.state}"

    def _not_corrected(self):
        """Sales at Google with a value other than the lead's current one."""
        unsure = {row.original for row in self.company.corrections() if row.state == "unconfirmed"}
        latest = {}
        for row in self.company.rows_where("sale"):
            if row.destination == "google_ads":
                latest[row.lead] = row
        lines = {line.key: line for line in self.company.counted()}
        for story in self.stories.values():
            row = latest.get(f"L-{story.number}")
            line = lines.get(row.key) if row is not None and row.state == "accepted" else None
            if line is None or row.id in unsure:
                continue
            worth = float(story.amount.removesuffix(" €").replace(" ", "").replace(",", "."))
            if story.label == "Perdu" and line.value != 0:
                yield f"{row.lead} is lost and worth {line.value}"
            came_back = any(label == "Perdu" for label, _ in story.steps) and self.way == "data_manager"
            if story.label == "Gagné" and not came_back and abs(line.value - worth) > 0.05 * worth:
                yield f"{row.lead} is worth {worth} and told as {line.value}"
