"""Whatever Oplead's API turns out to be: what `probe` suggests reads every lead right, or a missing setting is named.

A person pastes the suggestion under `oplead:` and takes from the same survey where consent and amounts stand. Then one
conversion, which every lead reaches by being created, tells on the wire what was read: time, click ids, consent,
amount, contact.
"""

import hashlib
import json
from collections import defaultdict
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.sandbox.oplead import ADMIN_KEY
from connectors.sandbox.population import FIRST_NIGHT, Population
from jobs.ledger import tables
from tests.e2e.support.company import ACTIONS, CUSTOMER
from tests.e2e.support.shapes import SHAPES
from tests.e2e.support.typed import type_in

REFUSED = {}
"""Shapes nobody can tell how to read without being told: shape → (the setting that the message names, why)."""
FEW = 6
"""More refusals than this would not be a tolerant reading."""
LEADS = 130
PARIS = ZoneInfo("Europe/Paris")
YES = {"oui", "true", "1", "yes", "o"}
NO = {"non", "false", "0", "no", "n"}
OTHERWISE = 1.0
GOOGLE_KINDS = ("gclid", "gbraid", "wbraid")


@pytest.fixture(scope="module")
def population():
    """Leads of two months, young enough to be told of."""
    return Population.generate(seed=5, leads=LEADS, past_days=58, future_days=0)


class Newcomer:
    """Somebody with a key and an address, who has never seen this platform's API.

    Attributes:
        survey: what `probe --json` printed.
    """

    def __init__(self, company):
        self.company = company
        self.environ = company.environ
        self.folder = company.directory / "run"
        self.folder.mkdir(exist_ok=True)
        self.survey = {}
        addresses = company.sandbox.addresses
        self.oplead = {"token": "${OPLEAD_TOKEN}", "base_url": addresses["oplead"]}
        self.known = {"account": "newcomer", "timezone": "Europe/Paris", "currency": "EUR", "clock": addresses["clock"]}

    @property
    def config(self):
        """The settings' file that commands read."""
        return self.folder / "newcomer.yaml"

    def write(self, **settings):
        """Write the settings known by now, and these."""
        state = f"sqlite:///{self.company.state}"
        self.config.write_text(json.dumps(self.known | {"oplead": self.oplead, "state": state} | settings))

    def probe(self):
        """Run `probe` with nothing but the key and the address, and paste what it suggests."""
        self.write()
        done = type_in(self, "probe", "--json")
        self.survey = done.objects[-1] if done.out.strip() else {}
        self.oplead |= self.survey.get("suggestion", {})
        return done

    def run(self):
        """The first night with what was suggested, and what a person reads off the survey."""
        google = self.company.settings["google_ads"] | {
            "credentials": "${GOOGLE_ADS_KEY_FILE}",
            "endpoint": self.company.sandbox.addresses["data_manager"],
            "ads_api_endpoint": self.company.sandbox.addresses["google_ads"],
            "audience": "all",
            "contact_data": "attach",
            "max_per_run": 10 * LEADS,
        }
        self.write(
            stages={"seen": [one["label"] for one in self.survey["labels"]]},
            consent={"ad_user_data": self._consent(), "missing": "withhold"},
            google_ads=google,
            conversions=[
                {
                    "id": "lead",
                    "stage": "created",
                    "since": "2026-06-01",
                    "value": {"field": self._amount(), "tax": "included", "otherwise": OTHERWISE},
                    "google_ads": {"conversion_action": ACTIONS["quote"]},
                }
            ],
        )
        return type_in(self, "run", "--json")

    def _consent(self):
        answers = [one for one in self.survey["few_values"] if one["consent"] and "person" not in one["path"].lower()]
        (found,) = answers
        words = list(found["values"])
        return {
            "field": found["path"],
            "granted": [word for word in words if word.lower() in YES],
            "refused": [word for word in words if word.lower() in NO],
        }

    def _amount(self):
        return max(self.survey["amounts"], key=lambda one: one["readable"])["path"]

    def sent(self):
        """Every event that Google was told, by its lead, and how often it was."""
        names = {row.key: row.lead for row in self.company.rows(tables.Delivery)}
        events = defaultdict(list)
        for body, _ in self.company.ingests:
            for event in body["events"]:
                events[names[event["transactionId"]]].append(event)
        return events


@pytest.fixture
def newcomer(companies, population, shape):
    """A newcomer before an Oplead of this shape."""
    company = companies(start=FIRST_NIGHT, population=population)
    assert company.environ["OPLEAD_TOKEN"] == ADMIN_KEY
    shape.put_on(company.sandbox.oplead)
    return Newcomer(company)


def readable(population):
    """What is meant by each lead that is one."""
    return {lead: truth for lead, truth in population.truth().items() if truth.kinds["shape"] == "sound"}


def now(truth, what):
    """What a lead's last change up to the first night says of its status, consent or amount."""
    said = [getattr(change, what) for change in truth.changes if change.at <= FIRST_NIGHT and getattr(change, what)]
    return said[-1] if said else None


def agrees(truth):
    """Whether the lead's data may be sent on the first night."""
    return truth.kinds["consent"] in ("granted", "withdrawn") and now(truth, "consent") is None


def googles(truth):
    """The one click id that Google is told of."""
    found = [(kind, value) for wanted in GOOGLE_KINDS for kind, value in truth.readable if kind == wanted]
    return dict(found[:1])


def hashes(truth):
    """What Google is told of the person."""
    local, _, domain = (truth.email or "").rpartition("@")
    if domain in ("gmail.com", "googlemail.com"):
        local = local.partition("+")[0].replace(".", "")
    texts = [f"{local}@{domain}"] if truth.email else []
    return {hashlib.sha256(text.encode()).hexdigest() for text in (*texts, *truth.phones)}


def told(event):
    """The hashes in an event."""
    return {next(iter(one.values())) for one in event.get("userData", {}).get("userIdentifiers", ())}


def same_moment(truth, read):
    """Whether a time is the true one, as exactly as the answer writes it: to the second, the minute or the day."""
    if truth.replace(microsecond=0) == read.replace(microsecond=0):
        return "second"
    if truth.replace(second=0, microsecond=0) == read:
        return "minute"
    noon = datetime.combine(truth.astimezone(PARIS).date(), time(12), PARIS)
    return (
        "day" if abs(read - noon) < timedelta(minutes=1) or timedelta(0) <= read - truth < timedelta(minutes=1) else ""
    )


def test_refusals_are_few():
    """Of sixty shapes only some need to be told what no look can find out, each for a reason of its own."""
    shapes = {str(shape) for shape in SHAPES}

    assert 60 <= len(shapes)
    assert set(REFUSED) <= shapes
    assert FEW >= len(REFUSED)
    assert all(setting.startswith("oplead.") and why for setting, why in REFUSED.values())


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if str(shape) in REFUSED], ids=str)
def test_what_cannot_be_told_is_refused(newcomer, shape):
    """The setting to write is named, by `probe` or by the run; no lead is read by halves, nothing is sent."""
    setting, _ = REFUSED[str(shape)]
    done = newcomer.probe()
    said = done.out + done.err
    if done.code == 0 and not newcomer.survey["undecided"]:
        done = newcomer.run()
        said = done.out + done.err

    assert done.code in (1, 2, 3)
    assert setting in said
    assert not newcomer.company.ingests
    assert not newcomer.company.state.exists() or not newcomer.company.rows(tables.LeadRow)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if str(shape) not in REFUSED], ids=str)
def test_what_probe_suggests_reads_every_lead_right(newcomer, population):
    """Every lead there, its label, creation, click ids, consent, amount and contact the true ones; nothing invented."""
    looked = newcomer.probe()

    assert looked.code in (0, 1), looked.out + looked.err
    assert [] == newcomer.survey["undecided"]

    night = newcomer.run()

    assert night.code in (0, 1), night.out + night.err
    truths = readable(population)
    rows = {row.id: row for row in newcomer.company.rows(tables.LeadRow)}
    assert set(truths) == set(rows)

    precisions = {lead: same_moment(truth.created, rows[lead].created_at) for lead, truth in truths.items()}
    assert "" not in precisions.values(), [lead for lead, exact in precisions.items() if not exact]
    assert len(set(precisions.values()) - {"second"}) <= 1

    labels = {(now(truth, "status"), rows[lead].label) for lead, truth in truths.items()}
    assert len({true for true, _ in labels}) == len(labels) == len({read for _, read in labels})

    clicks = defaultdict(set)
    for row in newcomer.company.rows(tables.ClickIdRow):
        clicks[row.lead].add((row.kind, row.value))
    assert {lead: set(truth.readable) for lead, truth in truths.items() if truth.readable} == clicks

    sent = newcomer.sent()
    reachable = {lead for lead, truth in truths.items() if agrees(truth) and (googles(truth) or hashes(truth))}
    unreadable = {lead for lead in reachable if now(truths[lead], "amount") and truths[lead].amount is None}
    # Google waits six hours after a click, and we three days for an amount.
    young = {lead for lead in reachable if truths[lead].created > FIRST_NIGHT - timedelta(days=3)}
    assert reachable - unreadable - young == set(sent) - young
    assert {1} == {len(events) for events in sent.values()}
    for lead, (event,) in sent.items():
        truth = truths[lead]
        amount = float(truth.amount) if now(truth, "amount") else OTHERWISE
        assert (lead, amount) == (lead, event["conversionValue"])
        assert (lead, hashes(truth)) == (lead, told(event))
        assert (lead, googles(truth)) == (lead, dict(event.get("adIdentifiers", {})))
    assert {CUSTOMER} == {
        body["destinations"][0]["operatingAccount"]["accountId"] for body, _ in newcomer.company.ingests
    }
