"""Whatever Oplead's API looks like, `probe`'s suggestion reads every lead right, or it names the missing setting.

A person pastes the suggestion under `oplead:` and reads from the same survey where consent and amounts are. One
conversion, which every lead reaches by being created, then shows on the wire what was read: time, click ids, consent,
amount, contact.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from ruamel.yaml import YAML

from connectors.sandbox.oplead.leads.rendering import wire_lead_id
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from jobs.ledger import schema
from tests import quick
from tests.builders import leads_at_time
from tests.e2e.support.company import ACTIONS, CUSTOMER
from tests.e2e.support.shapes import shapes
from tests.e2e.support.typed import type_in

LEADS = 137
YES, NO = "oui", "non"
OTHERWISE = 1.0
GOOGLE_KINDS = ("gclid", "gbraid", "wbraid")


@dataclass(frozen=True)
class Refusal:
    """Shapes that cannot be read without a setting."""

    setting: str
    """The setting that the message names."""
    because: str
    of: Callable
    """Whether a shape belongs to them."""
    written: dict
    """What a person who knows the platform then writes under `oplead:`."""


REFUSED = (
    Refusal(
        "oplead.auth",
        "the token goes in a header that only this platform's documentation names",
        lambda shape: shape.auth == "token_header",
        {"auth": {"style": "header", "name": "X-Oplead-Auth", "prefix": "Token "}},
    ),
)
"""The shapes that `probe` cannot work out by looking."""


def refusal_of(shape):
    """Why a shape is refused; None if it has to be readable."""
    return next((refusal for refusal in REFUSED if refusal.of(shape)), None)


def named(chosen):
    """The shapes as parameters, each named by its number and what it is most likely to fail on."""
    return [
        pytest.param(shape, id=f"{number:02d} {shape.envelope} {shape.pagination} {shape.names} {shape.auth}")
        for number, shape in enumerate(shapes())
        if chosen(shape)
    ]


FORMATS = ("openapi3_json", "openapi3_yaml", "swagger2_json", "swagger2_yaml")


def documented():
    """Every shape with the form of its specification; Swagger 2 cannot tell the entries of a list apart."""
    for number, shape in enumerate(shapes()):
        needs_3 = shape.lead_data != "object" and shape.list_has_details is not True
        form = FORMATS[number % (2 if needs_3 else 4)]
        yield pytest.param(shape, form, id=f"{number:02d} {form} {shape.pagination} {shape.auth}")


@pytest.fixture(scope="module")
def population():
    """Leads of two months, recent enough to be sent."""
    return InventedLeads.generate(seed=5, leads=LEADS, past_days=58, future_days=0)


class Newcomer:
    """A person with a key and an address who has never seen this platform's API.

    Attributes:
        survey: what `probe --json` found.
    """

    def __init__(self, company):
        self.company = company
        self.environ = company.environ
        self.folder = company.directory / "run"
        self.folder.mkdir(exist_ok=True)
        self.survey = {}
        addresses = company.sandbox.sandbox_server_urls
        self.oplead = {"token": "${OPLEAD_TOKEN}", "base_url": addresses["oplead"]}
        self.known = {"account": "newcomer", "timezone": "Europe/Paris", "currency": "EUR", "clock": addresses["clock"]}

    @property
    def config(self):
        """The settings file that commands read."""
        return self.folder / "newcomer.yaml"

    def write(self, **settings):
        """Write the settings known so far, and these."""
        state = f"sqlite:///{self.company.state}"
        self.config.write_text(json.dumps(self.known | {"oplead": self.oplead, "state": state} | settings))

    def probe(self):
        """Run `probe` with only the key and the address, and paste what it suggests."""
        self.write()
        done = type_in(self, "probe", "--json")
        if done.out.strip() and "survey" in done.objects[-1]:
            self.survey = done.objects[-1]["survey"]
            self.oplead = YAML(typ="safe").load(done.objects[-1]["settings"])["oplead"]
        return done

    def run(self):
        """Do a first run with the suggestion and what a person reads in the survey."""
        google = self.company.settings["google_ads"] | {
            "credentials": "${GOOGLE_ADS_KEY_FILE}",
            "endpoint": self.company.sandbox.sandbox_server_urls["data_manager"],
            "ads_api_endpoint": self.company.sandbox.sandbox_server_urls["google_ads"],
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
        answers = [
            one["path"]
            for one in self.survey["few_values"]
            if one["consent"] and {YES, NO} <= set(one["values"]) and "person" not in one["path"].lower()
        ]
        assert 1 == len(answers), self.survey["few_values"]
        return {"field": answers[0], "granted": [YES], "refused": [NO]}

    def _amount(self):
        if self.survey["amounts"]:
            return max(self.survey["amounts"], key=lambda one: one["readable"])["path"]
        # No lead in the survey was sold: the person knows the CRM's name for the amount.
        return "montant" if self.company.sandbox.oplead.shape.names == "french" else "amount"

    def sent(self):
        """Every event sent to Google, by lead, each time it was."""
        names = {row.key: row.lead for row in self.company.rows(schema.Delivery)}
        events = defaultdict(list)
        for body, _ in self.company.ingests:
            for event in body["events"]:
                events[names[event["transactionId"]]].append(event)
        return events


@pytest.fixture
def newcomer(companies, population, shape):
    """A newcomer facing an Oplead of this shape."""
    company = companies(start=FIRST_NIGHT, population=population)
    company.sandbox.oplead.shape = shape
    return Newcomer(company)


def readable(population, shape):
    """The truth about each lead that is readable and there on the first night, under the id it is served by."""
    served = leads_at_time(population, FIRST_NIGHT)
    return {
        str(wire_lead_id(lead, shape.ids)): truth
        for lead, truth in population.ground_truth().items()
        if lead in served and truth.kinds["shape"] == "sound"
    }


def now(truth, what):
    """A lead's status, consent or amount by its last change up to the first night."""
    said = [getattr(change, what) for change in truth.changes if change.at <= FIRST_NIGHT and getattr(change, what)]
    return said[-1] if said else None


def agrees(truth):
    """Whether the lead's data may be sent on the first night."""
    return truth.kinds["consent"] in ("granted", "withdrawn") and now(truth, "consent") is None


def googles(truth):
    """The one click id that Google receives."""
    found = [(kind, value) for wanted in GOOGLE_KINDS for kind, value in truth.trace.readable if kind == wanted]
    return dict(found[:1])


def hashes(truth):
    """The contact hashes that Google receives."""
    local, _, domain = (truth.person.email or "").rpartition("@")
    if domain in ("gmail.com", "googlemail.com"):
        local = local.partition("+")[0].replace(".", "")
    texts = [f"{local}@{domain}"] if truth.person.email else []
    return {hashlib.sha256(text.encode()).hexdigest() for text in (*texts, *truth.person.phones)}


def unsaid(truth):
    """The hash of a foreign number typed in national form: no reader need guess its country, none may guess wrong."""
    return hashes(truth) if truth.kinds["phone"] == "foreign_national" else set()


def told(event):
    """The hashes in an event."""
    return {next(iter(one.values())) for one in event.get("userData", {}).get("userIdentifiers", ())}


def exact(moment, shape):
    """A time as exactly as this shape writes it."""
    return moment.replace(second=0, microsecond=0) if shape.dates == "french" else moment.replace(microsecond=0)


def amount_sent(truth, shape):
    """The amount that is sent; None if what is typed cannot be read."""
    typed = now(truth, "amount")
    if typed and truth.amount is not None:
        return float(truth.amount)
    return OTHERWISE if not typed or shape.amounts == "number" else None


def test_at_most_one_shape_in_five_is_refused():
    """There are at least sixty shapes, and each refusal names a setting and a reason."""
    refused = [shape for shape in shapes() if refusal_of(shape)]

    assert 60 <= len(shapes())
    assert len(refused) <= len(shapes()) / 5
    assert all(refusal.setting.startswith("oplead.") and refusal.because for refusal in REFUSED)


@pytest.mark.parametrize("shape", named(refusal_of))
def test_undecidable_shape_names_the_setting_to_write(newcomer, population, shape):
    """Nothing is read until the setting is written; then every lead is read right."""
    refusal = refusal_of(shape)
    newcomer.company.state.unlink()
    refused = newcomer.probe()

    assert refused.code in (1, 2, 3)
    assert refusal.setting in refused.out + refused.err
    assert not newcomer.company.state.exists()

    quick.with_state(newcomer.company.state)
    newcomer.oplead |= refusal.written
    reads_every_lead_right(newcomer, population, shape)


@pytest.mark.parametrize("shape", named(lambda shape: not refusal_of(shape)))
def test_suggested_settings_read_every_lead_right(newcomer, population, shape):
    """Label, creation time, click ids, consent, amount and contact are the true ones, and nothing is invented."""
    reads_every_lead_right(newcomer, population, shape)


@pytest.mark.parametrize(("shape", "form"), list(documented()))
def test_specification_settles_every_shape_with_few_requests(newcomer, population, shape, form):
    """At most three requests go to the documentation and five to the API, and every lead is read right."""
    newcomer.company.sandbox.oplead.set_switch("documentation", form)
    reads_every_lead_right(newcomer, population, shape, most=(3, 5))


def reads_every_lead_right(newcomer, population, shape, *, most=None):
    """Probe, paste, run, and compare everything read and sent with the truth; `most` are the requests allowed."""
    looked = newcomer.probe()
    if most is not None:
        asked = [one["path"] for one in newcomer.company.asked("oplead")]
        documentation = sum(path.startswith("/documentation/") for path in asked)
        assert (documentation <= most[0], len(asked) - documentation <= most[1]) == (True, True), newcomer.survey["how"]

    assert looked.code in (0, 1), looked.out + looked.err
    assert [] == newcomer.survey["undecided"]

    night = newcomer.run()

    assert night.code in (0, 1), night.out + night.err
    truths = readable(population, shape)
    rows = {row.id: row for row in newcomer.company.rows(schema.LeadRow)}
    assert set(truths) == set(rows)

    assert {lead: exact(truth.created, shape) for lead, truth in truths.items()} == {
        lead: row.created_at for lead, row in rows.items()
    }

    labels = {(now(truth, "status"), rows[lead].label) for lead, truth in truths.items()}
    assert len({true for true, _ in labels}) == len(labels) == len({read for _, read in labels})

    clicks = defaultdict(set)
    for row in newcomer.company.rows(schema.ClickIdRow):
        clicks[row.lead].add((row.kind, row.value))
    assert {lead: set(truth.trace.readable) for lead, truth in truths.items() if truth.trace.readable} == clicks

    sent = newcomer.sent()
    reachable = {lead for lead, truth in truths.items() if agrees(truth) and (googles(truth) or hashes(truth))}
    unreadable = {lead for lead in reachable if amount_sent(truths[lead], shape) is None}
    # Google waits six hours after a click, and the job three days for an amount.
    young = {lead for lead in reachable if truths[lead].created > FIRST_NIGHT - timedelta(days=3)}
    assert reachable - unreadable - young == set(sent) - young
    assert {1} == {len(events) for events in sent.values()}
    for lead, (event,) in sent.items():
        truth = truths[lead]
        assert (lead, amount_sent(truth, shape)) == (lead, event["conversionValue"])
        assert (lead, exact(truth.created, shape)) == (lead, datetime.fromisoformat(event["eventTimestamp"]))
        assert (lead, hashes(truth)) == (lead, told(event) | unsaid(truth))
        assert (lead, googles(truth)) == (lead, dict(event.get("adIdentifiers", {})))
    assert {CUSTOMER} == {
        body["destinations"][0]["operatingAccount"]["accountId"] for body, _ in newcomer.company.ingests
    }
