"""A company's first month: its leads, its runs as a person sees them, what arrived, and what was reported."""

import re
from base64 import urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha512

from connectors.sandbox.population.company import paris_wall_time
from tests.e2e.support.company import ACTIONS, CUSTOMER, START
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
CLICK_BEFORE_LEAD = timedelta(minutes=5)
GOOGLE_DECIDES = timedelta(minutes=31)
"""Google has the outcome twenty minutes after an upload."""
CONVERSION_OF_ACTION = {action: conversion for conversion, action in ACTIONS.items()}
CONVERSION_OF_EVENT = {"Schedule": "appointment", "Purchase": "sale"}
PRICE = "12 500,00 €"
PAID = 12_500.0


def _letters(number, length):
    """Letters of both cases, digits and signs, always the same for a number."""
    drawn = b"".join(sha512(f"{number} {part}".encode()).digest() for part in range(3))
    return urlsafe_b64encode(drawn).decode()[:length]


def gclid(number):
    """A lead's Google click id, of varying length like real ones."""
    return f"Cj0KCQjw{_letters(number, 60 + number * 7 % 25)}EALw_wcB"


def fbclid(number):
    """A lead's Meta click id."""
    return f"IwY2xjaw{_letters(number, 90 + number * 7 % 50)}"


@dataclass(frozen=True, order=True)
class Arrival:
    """One event that a platform received and counted."""

    lead: str
    conversion: str
    at: datetime
    value: float | None
    owner: str = CUSTOMER

    @property
    def name(self):
        """The lead and the conversion."""
        return self.lead, self.conversion


@dataclass(frozen=True)
class Night:
    """How a run ended, as the person on call sees it."""

    code: int
    attention: tuple
    """The sentences for a human."""
    printed: str
    complaint: str = field(repr=False)

    @property
    def said(self):
        """The exit code and the sentences for a human."""
        return self.code, self.attention

    def told(self, *words):
        """Assert that the run needs a human, with a sentence that matches all of these regular expressions."""
        assert self.code in (1, 3), (self.code, self.attention)
        fitting = [one for one in self.attention if all(re.search(word, one, re.IGNORECASE) for word in words)]
        assert fitting, self.attention


QUIET = (0, ())
"""A run that needs no human."""


@dataclass
class Prospect:
    """A lead and its history so far."""

    number: int
    created: datetime
    steps: list
    updated: datetime
    lead_data: dict
    fields: dict

    @property
    def id(self):
        """Oplead's id of the lead."""
        return f"L-{self.number}"

    def served(self, dates):
        """Its JSON; `dates` says which dates of its history are served: history, status_date or none."""
        label, at = self.steps[-1]
        told = {
            "id": self.id,
            "createdAt": paris_wall_time(self.created),
            "updatedAt": paris_wall_time(self.updated),
            "status": label,
            "leadData": {name: value for name, value in self.lead_data.items() if value is not None},
            "contact": {"email": f"lead.{self.number}@example.com"},
            "channel": "Site web",
        }
        if dates != "none":
            told["statusDate"] = paris_wall_time(at)
        if dates == "history":
            told["statusHistory"] = [{"status": name, "date": paris_wall_time(when)} for name, when in self.steps]
        return told | self.fields


class Month:
    """The runs of a company that begins, and everything around them.

    Attributes:
        dates: which dates Oplead serves: history, status_date or none.
        last: when the last night was, or would have been.
    """

    def __init__(self, company, dates="history"):
        self.company = company
        self.settings = company.settings
        self.dates = dates
        self.last = START - DAY
        self.leads = {}
        self._clicks = {}
        self._hidden = None
        for conversion in self.settings["conversions"]:
            conversion.pop("since")
            conversion.pop("implied_by", None)

    def conversion(self, name):
        """A conversion's part of the settings, to be changed in place."""
        return self.company.conversion(name)

    # ── leads ────────────────────────────────────────────────────────────────────────────────────

    def create(self, *numbers, created=None, consent="oui", clicks=None, utm="google", customer=CUSTOMER, **fields):
        """Create leads, by default in the morning after the last night.

        Args:
            numbers: the leads' numbers.
            created: when they are created.
            consent: their consent answer; None for no answer.
            clicks: makes the contents of their click id field from a number; `gclid=…` by default.
            utm: their source; None for none.
            customer: the customer whose ad was clicked.
            fields: their other fields.
        """
        known = {}
        for number in numbers:
            at = created or self.last + HOUR + number % 200 * MINUTE
            clicked = {"clicked_at": (at - CLICK_BEFORE_LEAD).isoformat(), "customer": customer}
            known[gclid(number)] = clicked
            text = clicks(number) if clicks else f"gclid={gclid(number)}"
            lead_data = {"externalID": text, "consent": consent, "utm_source": utm}
            self.leads[number] = Prospect(number, at, [("Nouveau", at)], at, lead_data, dict(fields))
            self._clicks |= {gclid(number): f"L-{number}", fbclid(number): f"L-{number}"}
        self.company.platform.register_clicks(known)
        self._serve(*numbers)

    def enter(self, label, *numbers, at=None, **fields):
        """Move leads to a status, by default in the afternoon after the last night; return when each moved."""
        times = {}
        for number in numbers:
            lead = self.leads[number]
            when = times[number] = at or self.last + 6 * HOUR + number % 600 * MINUTE
            lead.steps.append((label, when))
            lead.updated = max(when, lead.updated)
            lead.fields |= ({"amount": PRICE} if label == "Gagné" else {}) | fields
        self._serve(*numbers)
        return times

    def edit(self, *numbers, **changed):
        """Change something else in leads: a field, or for the consent and click id fields, a value in `leadData`."""
        for number in numbers:
            lead = self.leads[number]
            lead.updated = max(self.last + 7 * HOUR + number % 600 * MINUTE, lead.updated)
            for name, value in changed.items():
                (lead.lead_data if name in ("consent", "externalID", "optin") else lead.fields)[name] = value
        self._serve(*numbers)

    def rename_label(self, old, new):
        """Rename a label in Oplead as its administrator would: on every lead and in every history, all dates unchanged.

        If leads have no dates, the rename counts as a change of each.
        """
        for lead in self.leads.values():
            if self.dates == "none" and lead.steps[-1][0] == old:
                lead.updated = self.last + 5 * HOUR
            lead.steps = [(new if label == old else label, at) for label, at in lead.steps]
        self._serve(*self.leads)

    def history(self, count, days=80):
        """Create past leads from 1001 on: new, in progress, booked or sold; some without consent or click id."""
        for number in range(1001, 1001 + count):
            created = START - DAY - (number - 1000) * days / count * DAY
            consent = {3: None, 7: "non"}.get(number % 16, "oui")
            clicks = (lambda _: "") if number % 8 == 5 else None
            self.create(number, created=created, consent=consent, clicks=clicks)
            way = ("En cours", "Rendez-vous", "Gagné")[: number % 4]
            for step, label in enumerate(way, 1):
                self.enter(label, number, at=created + step * 6 * HOUR)

    def delete(self, *numbers):
        """Delete leads in Oplead, which then answers 410."""
        for number in numbers:
            self.company.sandbox.oplead.delete_lead(self.leads.pop(number).id)

    def merge(self, number, into):
        """Merge a lead into another in Oplead: the list omits it, and its own page shows the other."""
        deleted, there = (f"/v1/leads/L-{each}" for each in (number, into))
        self.hide(number)
        self.company.redirect("oplead", deleted, there)

    def hide(self, *numbers):
        """Hide these leads from Oplead's key, in the list and individually; with no numbers it sees all again."""
        oplead = self.company.sandbox.oplead
        if self._hidden is None:
            every = oplead.leads
            oplead.leads = lambda: {name: lead for name, lead in every().items() if name not in self._hidden}
        self._hidden = {f"L-{number}" for number in numbers}

    def _serve(self, *numbers):
        for number in numbers:
            lead = self.leads[number]
            self.company.sandbox.oplead.put(lead.id, lead.served(self.dates))

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    def night(self, *arguments, days=1):
        """Do the next night's run, as cron would, with these extra arguments."""
        self.last += days * DAY
        self.company.clock.advance(self.last)
        return self._worked(*arguments)

    def refused_night(self):
        """Do the next night's run with settings that refuse it; return its output."""
        self.last += DAY
        self.company.clock.advance(self.last)
        night = self._run()
        assert night.code == 2, night.said
        return night.printed + night.complaint

    def nights(self, count):
        """Do this many nightly runs, one after the other."""
        return [self.night() for _ in range(count)]

    def run_again(self, *arguments):
        """Do one more run on the day after the last night, once Google has the outcomes."""
        self.company.clock.advance(self.company.clock.now() + GOOGLE_DECIDES)
        return self._worked(*arguments)

    def _worked(self, *arguments):
        night = self._run(*arguments)
        assert night.code in (0, 1, 3), (night.printed, night.complaint)
        return night

    def _run(self, *arguments):
        done = type_in(self.company, "run", "--json", *arguments)
        told = done.objects[-1] if done.out.strip() else {}
        return Night(done.code, tuple(told.get("attention", ())), done.out, done.err)

    # ── results ─────────────────────────────────────────────────────────────────────────────────

    def arrivals(self):
        """Every event that Google counted, each time it arrived."""
        self.company.clock.advance(self.company.clock.now() + GOOGLE_DECIDES)
        events = {one["transactionId"]: one for body, _ in self.company.ingests for one in body["events"]}
        return sorted(
            Arrival(
                lead=self._clicks.get(events[line["transaction_id"]]["adIdentifiers"]["gclid"], "nobody"),
                conversion=CONVERSION_OF_ACTION[line["action"]],
                at=datetime.fromisoformat(line["event_time"]),
                value=line["value"],
                owner=line["customer"],
            )
            for line in self.company.platform.conversions_json()
            for _ in range(1 + line["replays"] + line["restatements"])
        )

    def meta_arrivals(self):
        """Every event that Meta received, each time it arrived."""
        return sorted(
            Arrival(
                lead=self._clicks.get(event["user_data"]["fbc"].split(".", 3)[3], "nobody"),
                conversion=CONVERSION_OF_EVENT[event["event_name"]],
                at=datetime.fromtimestamp(event["event_time"], UTC),
                value=event["custom_data"].get("value"),
                owner=post.dataset,
            )
            for post in self.company.posts
            if post.status == 200
            for event in post.events
        )

    def arrived(self):
        """The lead and conversion of every event that Google counted."""
        return [one.name for one in self.arrivals()]

    def uploaded(self):
        """How often each lead's each conversion was in an upload to Google, whatever its outcome."""
        shown = Counter()
        for body, _ in self.company.ingests:
            action = body["destinations"][0]["productDestinationId"]
            for event in body["events"]:
                lead = self._clicks.get(event["adIdentifiers"]["gclid"], "nobody")
                shown[lead, CONVERSION_OF_ACTION[action]] += 1
        return shown

    def true_books(self):
        """Assert that, once outcomes are known, ledger and platforms agree on every delivery."""
        self.run_again()
        assert [] == self.company.disagreements()


def expected(conversion, times, value=None, **more):
    """The events that should have arrived for leads that reached a conversion at these times."""
    worth = {"appointment": 60.0, "sale": PAID}[conversion] if value is None else value
    return [Arrival(f"L-{number}", conversion, at, worth, **more) for number, at in times.items()]
