"""Worlds that mean ill: ids renumbered, backups restored, lists emptied, clocks ahead, webhooks forged.

Each is one company's nights, drawn from a seed, with kills among them. What should come of it is reckoned from the
stories alone: who reached what, and how often each platform counted it, under whichever id.
"""

import random
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from jobs.rules.model import delivery_key
from tests.e2e.support.chaos import DAY, SERVERS, Chaos
from tests.e2e.support.typed import type_in

CONVERSIONS = {"appointment": "RDV pris", "sale": "Gagné"}
DESTINATIONS = ("google_ads", "meta")
NIGHTS = 6
TURN = 4
"""The night at whose beginning the world turns."""
FAULTS = (
    {"kind": "cut_before"},
    {"kind": "cut_after"},
    {"kind": "status", "status": 503},
)


@dataclass
class Person:
    """Somebody who asked for an offer, under whichever ids."""

    number: int
    created: datetime
    steps: list = field(default_factory=list)
    ids: list = field(default_factory=list)

    @property
    def reached(self):
        """The conversions that are due: an appointment goes before a sale, whether or not it was noted."""
        labels = {label for label, _ in self.steps}
        return {"appointment", "sale"} if "Gagné" in labels else {"appointment"} if labels else set()


class HostileWorld(Chaos):
    """One company's nights in one kind of world; override what turns."""

    def __init__(self, company, seed):
        self.people = []
        self.codes = []
        """The exit code of each night's run."""
        self.hidden = set()
        """The numbers of those whom Oplead does not show at present."""
        self.number = 0
        super().__init__(company, seed)
        self.draw = random.Random(f"{type(self).__name__} {seed}")

    def _set_up(self):
        super()._set_up()
        self.company.conversion("sale").pop("undo_when")
        self.company.conversion("sale").pop("undo_via", None)
        self.company.max_per_run = 1000

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    def turn(self):
        """What goes wrong as the night of the turn begins."""

    def turn_back(self):
        """What a human does about it, the night after."""

    def play(self, kills=1):
        """All nights, then quiet ones."""
        for self.number in range(1, NIGHTS + 1):
            self.company.clock.advance(self.company.clock.now() + DAY)
            if self.number == TURN:
                self.turn()
            if self.number == TURN + 1:
                self.turn_back()
            self._move_people()
            self._plant_one()
            for _ in range(kills):
                self._kill()
            self._run()
            self.company.heal()
            self._after_outcomes()
        for _ in range(3):
            self.company.clock.advance(self.company.clock.now() + DAY)
            self._run()
            self._after_outcomes()

    def _run(self):
        self.codes.append(type_in(self.company, "run").code)

    def _after_outcomes(self):
        self.company.clock.advance(self.company.clock.now() + self.company.OUTCOMES_AFTER)
        type_in(self.company, "run")

    def _plant_one(self):
        fault = self.draw.choice(FAULTS)
        self.company.fail(self.draw.choice([name for name in SERVERS if name != "oplead"]), **fault)
        self.done.faults += 1

    def _move_people(self):
        for person in self.people:
            if self.draw.random() < 0.4:
                self._step(person)
        for _ in range(3):
            created = self.company.clock.now() - self.draw.randint(2, 3) * DAY
            person = Person(len(self.people) + 1, created)
            person.ids.append(self.name(person.number))
            self.people.append(person)
            if self.draw.random() < 0.7:
                self._step(person)
        self.serve()

    def _step(self, person):
        if "Gagné" not in {label for label, _ in person.steps}:
            label = "Gagné" if person.steps or self.draw.random() < 0.3 else "RDV pris"
            person.steps.append((label, self._when()))

    def _when(self):
        return self.company.clock.now() - timedelta(minutes=self.draw.randint(30, 1200))

    def name(self, number):
        """The id of a new lead."""
        return f"L-{number}"

    def serve(self):
        """Have Oplead show everybody as they are, but those who are hidden."""
        for person in self.people:
            told = self.told(person) | {"id": person.ids[-1]}
            if person.number not in self.hidden:
                self.company.serve(told)

    def told(self, person):
        """A person's lead as Oplead shows it."""
        return self.company.lead(
            person.number, *person.steps, created=person.created, clicks=self.company.both(person.number)
        )

    def hide(self, people):
        """Have Oplead show these people no more."""
        for person in people:
            self.hidden.add(person.number)
            self.company.sandbox.oplead.delete_lead(person.ids[-1])

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def wrongs(self):
        """Everything that is wrong at the end, one sentence each."""
        return [*self.company.disagreements(unanswered=("unconfirmed",)), *self._miscounted()]

    def _counted(self):
        """How often each conversion of each person was counted at each destination, and whether it is flagged."""
        rows = {row.key: row for destination in DESTINATIONS for row in self.company.deliveries(destination).values()}
        lines = {line.key: line for line in self.company.counted()}
        times, flagged = Counter(), defaultdict(bool)
        for person in self.people:
            for destination in DESTINATIONS:
                for conversion in CONVERSIONS:
                    for name in person.ids:
                        key = delivery_key("maison-test", LeadId(name), conversion, destination, 1)
                        place = (person.number, conversion, destination)
                        times[place] += lines[key].times if key in lines else 0
                        flagged[place] |= key in rows and bool(rows[key].may_count_twice)
        return times, flagged

    def _miscounted(self):
        times, flagged = self._counted()
        for person in self.people:
            for destination in DESTINATIONS:
                for conversion in CONVERSIONS:
                    place = (person.number, conversion, destination)
                    if times[place] > 1 and not flagged[place]:
                        yield f"{place}: counted {times[place]} times, and nobody is told"
                    if times[place] and conversion not in person.reached:
                        yield f"{place}: counted, and never reached"
                    if not times[place] and conversion in person.reached:
                        yield f"{place}: reached, and never counted"


class Renumbered(HostileWorld):
    """The CRM gives all its leads new ids; a human says that they are the same."""

    share = 1.0

    def turn(self):
        """New ids for all, or for a share of them."""
        for person in self.people:
            if self.draw.random() < self.share:
                self.company.sandbox.oplead.delete_lead(person.ids[-1])
                person.ids.append(f"N-{1000 + person.number}")

    def turn_back(self):
        """They are the same."""
        self.answered = type_in(self.company, "run", "--same-leads")


class HalfRenumbered(Renumbered):
    """Half of the leads get new ids."""

    share = 0.5


class Restored(HostileWorld):
    """After two nights the state of before comes back, and a human says so."""

    def _kept(self):
        return self.company.directory / "backup"

    def turn(self):
        """A backup, as one is taken each morning."""
        shutil.copytree(self.company.state.parent, self._kept())

    def turn_back(self):
        """The disk is gone: back to the backup, told as one."""
        for part in ("", "-wal", "-shm"):
            here, kept = (folder / f"state.db{part}" for folder in (self.company.state.parent, self._kept()))
            here.unlink(missing_ok=True)
            if kept.exists():
                shutil.copy(kept, here)
        refused = type_in(self.company, "run")
        self.refused = refused.code
        self.answered = type_in(self.company, "state", "restored", "--yes")


class Emptied(HostileWorld):
    """For a night Oplead shows no lead at all."""

    share = 1.0

    def turn(self):
        """Whoever is there is shown no more."""
        self.hide([person for person in self.people if self.draw.random() < self.share])

    def turn_back(self):
        """They are back, with what happened meanwhile."""
        self.hidden.clear()


class Halved(Emptied):
    """For a night Oplead shows a third of its leads."""

    share = 0.67


class ClockAhead(HostileWorld):
    """One night, changes are dated hours ahead of the clock."""

    def _when(self):
        ahead = self.number == TURN and self.draw.random() < 0.5
        return self.company.clock.now() + timedelta(hours=5) if ahead else super()._when()


class Forged(HostileWorld):
    """Oplead dates nothing, and somebody who knows the webhooks' secret reports sales; true reports come too."""

    def _set_up(self):
        super()._set_up()
        self.company.sandbox.oplead.set_switch("status_dates", "none")
        self.company.settings["webhooks"] = {
            "secret": "${HOOK}",
            "inbox": str(self.company.directory / "maison-test.inbox.db"),
        }
        self.company.environ["HOOK"] = "zephyr-zephyr-zephyr-zephyr-zephyr"
        self.events = 0

    def _step(self, person):
        super()._step(person)
        if person.steps and self.draw.random() < 0.7:
            self._report(person, *person.steps[-1])

    def serve(self):
        """Report what is not so of half of them, too."""
        super().serve()
        for person in self.people:
            if self.draw.random() < 0.5:
                label = self.draw.choice(["Gagné", "RDV pris", "Perdu", "Nouveau", "Inconnu"])
                self._report(person, label, self._when())

    def _report(self, person, label, at):
        self.events += 1
        event = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(person.ids[-1]), label, Moment(at))
        digest = sha256(str(self.events).encode()).hexdigest()
        with self.company.inbox() as inbox:
            inbox.append_events([ReceivedEvent(event, self.company.clock.now(), digest, is_unique=True)])


WORLDS = (Renumbered, HalfRenumbered, Restored, Emptied, Halved, ClockAhead, Forged)
