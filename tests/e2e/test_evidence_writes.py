"""What `evidence` writes to Oplead: nothing without a yes, one test lead whatever is cut off, and honest verdicts."""

import json
import os
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.errors import Misconfigured
from connectors.evidence import ExchangeRecorder, Shown
from connectors.oplead.client import OpleadClient
from connectors.sandbox.oplead.form import FORM_TOKEN
from connectors.sandbox.oplead.gate import ADMIN_KEY
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.claims import ClaimId
from jobs.cli.progress import open_clock_showing_waits
from jobs.evidence.folder import EvidenceFolder
from jobs.evidence.oplead_writes import CHECKS
from jobs.evidence.session import Session
from jobs.evidence.summary import summaries
from jobs.evidence.verdicts import ClaimVerdict
from jobs.rules.extraction import TEST_DOMAIN
from jobs.settings.load import PartialSettings, load_partial
from jobs.wiring.evidence import look_at_oplead
from tests import quick

ON_THE_LEAD = ("create_and_change", "click_ids_return", "status", "document", "refusals", "deleted")


class CutOff(BaseException):
    """The process ends here."""


class Walk:
    """One sandbox's Oplead, and a folder that walks go on from."""

    def __init__(self, sandbox, folder, look=None):
        self.sandbox, self.folder, self.look = sandbox, folder, look
        self.answer = lambda _question: True
        self.asked, self.recorder, self.verdicts = [], ExchangeRecorder(), {}
        self.fields = ""
        self.write = ""
        self.more = "ignored_statuses: [Nurserie]"
        self.before = frozenset(map(str, self.log))

    def known(self):
        """Return the settings as they are now."""
        file = self.folder / "maison.yaml"
        urls = self.sandbox.sandbox_server_urls
        file.write_text(
            f"account: maison-durand\nclock: {urls['clock']}\n{self.more}\n"
            f"oplead:\n  token: ${{KEY}}\n  base_url: {urls['oplead']}\n  write: {{ {self.write} }}\n"
            f"  fields: {{ {self.fields} }}\n"
        )
        known = load_partial(file, {"KEY": ADMIN_KEY, "FORM": FORM_TOKEN}, needed=("account", "webhooks"))
        assert isinstance(known, PartialSettings), getattr(known, "problems", None)
        return known

    def take_look(self):
        """Read Oplead as it is now."""
        known = self.known()
        with open_clock_showing_waits(known.settings) as clock:
            self.look = look_at_oplead(known, clock, self.recorder)
        return self.look

    def check(self, name, **answers):
        """Run one check in a new process, as far as the folder goes; return its verdict and why."""
        known, evidence_folder = self.known(), EvidenceFolder(self.folder / "out")
        with (
            open_clock_showing_waits(known.settings) as clock,
            evidence_folder.open(clock.now().date(), "1.0", "0f") as evidence,
        ):
            evidence.verdicts = self.verdicts
            session = Session(
                known=known,
                settings=None,
                clock=clock,
                recorder=self.recorder,
                agrees=self._ask,
                evidence=evidence,
                save=lambda: evidence_folder.save(evidence, summaries(evidence)),
                look=self.look,
                **answers,
            )
            try:
                finding = CHECKS[ClaimId(f"oplead.{name}")](session)
            finally:
                self.left_behind = evidence.left_behind
            session.save()
        claim = ClaimId(f"oplead.{name}")
        self.verdicts[claim] = ClaimVerdict(claim, finding.verdict, finding.why, evidence.day)
        return finding.verdict.value, finding.why["en"]

    def kill_in(self, name, monkeypatch):
        """Run one check, and end the process once its first write was answered, before anybody hears of it."""
        attempt = OpleadClient.attempt

        def killed(client, *arguments, **options):
            attempt(client, *arguments, **options)
            raise CutOff

        with monkeypatch.context() as patched:
            patched.setattr(OpleadClient, "attempt", killed)
            with pytest.raises(CutOff):
                self.check(name)

    def use_form(self):
        """Have the form import in the settings."""
        url = f"{self.sandbox.sandbox_server_urls['oplead_form']}/addlead/"
        self.write += f"form: {{ token: '${{FORM}}', form: site-web, url: '{url}' }}"

    def _ask(self, question):
        self.asked.append(question)
        return self.answer(question)

    def _requests(self, server):
        return self.sandbox.servers[server].log.dump()["log"]

    @property
    def log(self):
        """Every request to Oplead and its form import so far."""
        return [*self._requests("oplead"), *self._requests("oplead_form")]

    @property
    def written(self):
        """Those of this test that write."""
        new = [one for one in self.log if str(one) not in self.before]
        return [f"{one['method']} {one['path']}" for one in new if one["method"] != "GET"]

    def reads_of(self, name):
        """Run one check, and return the paths that it reads of Oplead."""
        before = len(self._requests("oplead"))
        self.check(name)
        return [one["path"].partition("?")[0] for one in self._requests("oplead")[before:] if one["method"] == "GET"]

    @property
    def test_leads(self):
        """The leads at Oplead with an address of ours."""
        leads = self.sandbox.oplead.leads()
        return [one for one, lead in leads.items() if TEST_DOMAIN in str(lead)]

    def fail_next_write(self, path, kind=FaultKind.STATUS, **more):
        """Plant a fault right before the first write, as somebody agrees to it."""

        def plant(_question):
            if len(self.asked) == asked + 1:
                self.fail(path, kind, **more)
            return True

        asked, self.answer = len(self.asked), plant

    def fail(self, path, kind=FaultKind.STATUS, **more):
        """Plant a fault on the next request to a path."""
        self.sandbox.faults.plant(PlannedFault("oplead", kind, path=path, **more))


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One sandbox for all tests."""
    with Sandbox(quick.with_key(tmp_path_factory.mktemp("sandbox")), InventedLeads.generate(7, 40)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def look(running, tmp_path_factory):
    """What reading shows of it."""
    return Walk(running, tmp_path_factory.mktemp("look")).take_look()


@pytest.fixture
def walk(running, look, tmp_path):
    """A walk that has not begun, at an Oplead without a test lead."""
    running.clock.advance(running.clock.now() + timedelta(minutes=1))
    before = dict(running.oplead.switches)
    made = Walk(running, tmp_path, look)
    yield made
    running.faults.clear()
    for lead in made.test_leads:
        running.oplead.delete_lead(lead)
    running.oplead.subscriptions.all.clear()
    for name, position in before.items():
        running.oplead.set_switch(name, position)


@pytest.mark.parametrize("name", [claim.removeprefix("oplead.") for claim in CHECKS])
def test_nothing_is_written_without_a_yes(walk, name):
    """Whatever there is to write, with a test lead and without."""
    walk.use_form()
    walk.answer = lambda _question: False
    assert "unclear" == walk.check(name)[0]
    assert [] == walk.written

    walk.answer = lambda _question: True
    walk.check("create_and_change")
    before, walk.answer = walk.written, lambda _question: False
    verdict, _why = walk.check(name)
    assert before == walk.written
    assert ("confirmed" if name == "click_ids_return" else "unclear") == verdict


def test_an_oplead_as_assumed_confirms_what_one_test_lead_can_show(walk):
    """It is created once, and each check uses it."""
    said = {name: walk.check(name)[0] for name in ON_THE_LEAD[:-1]}

    assert said == {**dict.fromkeys(ON_THE_LEAD[:-1], "confirmed"), "document": "unclear", "refusals": "unclear"}
    assert 1 == walk.written.count("POST /v1/leads")
    assert "Nurserie" == walk.sandbox.oplead.leads()[walk.left_behind[0].id]["status"]
    assert {"lead", "document"} == {one.kind for one in walk.left_behind}
    assert {walk.left_behind[0].id} == {one.id for one in walk.left_behind}


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.FAILED_AFTER])
def test_a_test_lead_whose_answer_was_lost_is_found_not_made_again(walk, kind):
    """By its address."""
    count = len(walk.test_leads)
    walk.fail_next_write("/v1/leads", kind)
    assert "confirmed" == walk.check("create_and_change")[0]

    assert count + 1 == len(walk.test_leads)
    assert 1 == walk.written.count("POST /v1/leads")
    assert walk.test_leads[-1] == walk.left_behind[0].id


def test_a_walk_that_is_killed_before_the_answer_makes_no_second_test_lead(walk, monkeypatch):
    """It is on record before its request leaves, and found by the next walk."""
    count = len(walk.test_leads)

    walk.kill_in("create_and_change", monkeypatch)
    assert count + 1 == len(walk.test_leads)
    assert [("lead", "")] == [(one.kind, one.id) for one in walk.left_behind]

    assert "confirmed" == walk.check("create_and_change")[0]
    assert count + 1 == len(walk.test_leads)
    assert 1 == walk.written.count("POST /v1/leads")


@pytest.mark.parametrize("name", ["create_and_change", "subscriptions"])
def test_what_is_made_is_on_the_disk_before_its_request_leaves(walk, name, monkeypatch):
    """Each file before it gets its name, and the folder once it has: no power cut loses it."""
    seen, fsync, write = [], os.fsync, OpleadClient._write

    def synced(descriptor):
        at = Path(f"/proc/self/fd/{descriptor}").resolve()
        seen.append(at.name if at.is_file() else [each.name for each in at.glob(".*")])
        fsync(descriptor)

    def sent(client, verb, *rest):
        seen.append(verb)
        return write(client, verb, *rest)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(OpleadClient, "_write", sent)
    walk.check(name)

    assert [".evidence.json.new", [], ".summary.md.new", [], ".resume.md.new", [], "POST"] == seen[:7]


def test_a_test_lead_that_is_not_found_is_made_again_only_once_somebody_says_so(walk):
    """After Oplead has had its time."""
    walk.fail_next_write("/v1/leads", FaultKind.CUT_BEFORE)
    assert "unclear" == walk.check("create_and_change")[0]
    asked = len(walk.asked)
    assert ("unclear", asked) == (walk.check("create_and_change")[0], len(walk.asked))

    walk.sandbox.clock.advance(walk.sandbox.clock.now() + timedelta(minutes=31))
    assert "confirmed" == walk.check("create_and_change")[0]
    assert "was lost" in walk.asked[asked]


# ── what is not as assumed ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "switch", "position", "verdict"),
    [
        ("create_and_change", "update_verb", "PATCH", "refuted"),
        ("status", "status_verb", "POST", "refuted"),
        ("status", "settable_statuses", "documented", "confirmed"),
        ("document", "document_path", "attachments", "unclear"),
        ("refusals", "unknown_fields", "ignored", "refuted"),
    ],
)
def test_a_request_that_an_oplead_does_not_know_is_refuted(walk, name, switch, position, verdict):
    """As the sandbox's switches have it."""
    if name != "create_and_change":
        walk.check("create_and_change")
    walk.sandbox.oplead.set_switch(switch, position)

    assert verdict == walk.check(name)[0]


@pytest.mark.parametrize(
    ("name", "status", "verdict"),
    [
        ("create_and_change", 405, "refuted"),
        ("create_and_change", 403, "unclear"),
        ("create_and_change", 422, "unclear"),
        ("refusals", 422, "refuted"),
        ("refusals", 403, "unclear"),
    ],
)
def test_a_refusal_refutes_only_what_it_speaks_against(walk, name, status, verdict):
    """A key that may not, and a value that is not liked, say nothing of a request."""
    if name != "create_and_change":
        walk.check("create_and_change")
    walk.fail_next_write("/v1/leads", status=status)

    assert verdict == walk.check(name)[0]
    assert (name == "create_and_change") == (walk.left_behind == [])


def test_another_request_than_the_assumed_one_confirms_nothing(walk):
    """Where the settings write otherwise, that it works says nothing of the usual way."""
    walk.sandbox.oplead.set_switch("update_verb", "PATCH")
    walk.write += "update: 'PATCH /leads/{id}'"

    verdict, why = walk.check("create_and_change")

    assert "unclear" == verdict
    assert "as your settings say" in why


def test_a_click_id_that_comes_back_otherwise_is_refuted(walk):
    """Cut short, say; and gone is unclear, as it may be read elsewhere."""
    walk.check("create_and_change")
    assert "confirmed" == walk.check("click_ids_return")[0]
    lead = walk.left_behind[0].id
    walk.sandbox.oplead.put(lead, walk.sandbox.oplead.leads()[lead] | {"leadData": {"externalID": "gclid=CjShort0123"}})
    assert "refuted" == walk.check("click_ids_return")[0]

    walk.sandbox.oplead.put(lead, walk.sandbox.oplead.leads()[lead] | {"leadData": {}})
    assert "unclear" == walk.check("click_ids_return")[0]


def test_no_test_lead_is_created_where_no_lead_shows_an_address(walk):
    """A night would not know it; by the form neither."""
    walk.fields = "email: contact.courriel"
    walk.use_form()

    for name in ("create_and_change", "form"):
        verdict, why = walk.check(name)
        assert "unclear" == verdict
        assert "no test lead was created" in why
    assert ([], []) == (walk.written, walk.left_behind)


def test_a_lead_that_does_not_show_our_address_is_left_alone(walk):
    """Whose ever it is; what to paste is said, should it be ours."""
    walk.check("create_and_change")
    lead = walk.left_behind[0].id
    shown = walk.sandbox.oplead.leads()[lead]
    walk.sandbox.oplead.put(lead, shown | {"contact": shown["contact"] | {"email": "someone@example.com"}})
    before = walk.written

    assert f"exclude: {{ fields: {{ id: ['{lead}'] }} }}" in walk.check("create_and_change")[1]
    for name in ON_THE_LEAD[1:]:
        assert "unclear" == walk.check(name)[0]
    assert before == walk.written


def test_a_test_lead_of_another_folder_is_used_again(walk, tmp_path_factory):
    """One Oplead has one."""
    walk.check("create_and_change")
    walk.sandbox.clock.advance(walk.sandbox.clock.now() + timedelta(minutes=1))
    other = Walk(walk.sandbox, tmp_path_factory.mktemp("other"), walk.look)

    assert "confirmed" == other.check("create_and_change")[0]
    assert walk.left_behind == other.left_behind
    assert [f"PUT /v1/leads/{other.left_behind[0].id}"] == other.written


def test_a_walk_that_goes_on_reads_nothing_twice(walk):
    """Its test lead's page once before it is changed and once after; the newest leads for the form not at all."""
    walk.use_form()
    walk.check("create_and_change")
    lead = f"/v1/leads/{walk.left_behind[0].id}"

    assert [lead, lead] == [path for path in walk.reads_of("create_and_change") if path == lead]
    assert "/v1/leads" not in walk.reads_of("form")


def test_a_test_lead_whose_page_alone_is_gone_is_not_made_again(walk):
    """Settings may name another page; it is still listed."""
    walk.check("create_and_change")
    walk.sandbox.clock.advance(walk.sandbox.clock.now() + timedelta(minutes=31))
    walk.fail(f"/v1/leads/{walk.left_behind[0].id}", status=404, count=99)
    before, noted = walk.written, walk.left_behind

    assert "unclear" == walk.check("create_and_change")[0]
    assert (before, noted) == (walk.written, walk.left_behind)


def test_a_test_lead_that_somebody_has_deleted_leaves_the_notes(walk):
    """Once it cannot be one that Oplead is slow to show."""
    walk.check("create_and_change")
    lead = walk.left_behind[0].id
    walk.sandbox.oplead.delete_lead(lead)
    walk.check("status")
    assert [lead] == [one.id for one in walk.left_behind]

    walk.sandbox.clock.advance(walk.sandbox.clock.now() + timedelta(minutes=31))
    walk.check("status")
    assert [] == walk.left_behind
    assert "confirmed" == walk.check("create_and_change")[0]


def test_a_deleted_lead_is_gone_from_what_stays(walk):
    """One that is still shown settles nothing: whether it is deleted is the person's word."""
    walk.check("create_and_change")
    assert "unclear" == walk.check("deleted")[0]

    walk.answer = lambda _question: walk.sandbox.oplead.delete_lead(walk.left_behind[0].id) is None
    assert "confirmed" == walk.check("deleted")[0]
    assert [] == walk.left_behind


def test_a_document_whose_answer_was_lost_is_not_sent_again(walk):
    """Somebody looks whether it is there."""
    walk.check("create_and_change")
    lead = walk.left_behind[0].id
    walk.fail(f"/v1/leads/{lead}/document", FaultKind.CUT_AFTER)
    walk.answer = lambda question: "is its document" not in question
    assert "unclear" == walk.check("document")[0]
    walk.answer = lambda _question: True

    assert "you have seen it" in walk.check("document")[1]
    assert 1 == sum("document" in one for one in walk.written)


# ── the form, and subscriptions ──────────────────────────────────────────────────────────────────


def test_a_form_is_sent_once_and_its_lead_read_back(walk):
    """A second walk looks at the same lead."""
    walk.use_form()

    assert "confirmed" == walk.check("form")[0]
    assert "confirmed" == walk.check("form")[0]
    assert ["POST /addlead/"] == walk.written


def test_a_form_is_refuted_by_a_value_that_its_lead_does_not_show_within_a_minute(walk):
    """And that the other test lead shows."""
    walk.write += "fields: { city: address.city }, "
    walk.use_form()
    walk.check("create_and_change")
    walk.check("form")
    lead = walk.left_behind[-1].id
    walk.sandbox.oplead.put(lead, walk.sandbox.oplead.leads()[lead] | {"address": {}})
    before = walk.sandbox.clock.now()

    assert "refuted" == walk.check("form")[0]
    assert walk.sandbox.clock.now() - before >= timedelta(minutes=1)


def test_subscriptions_are_made_listed_and_ended(walk):
    """Nothing stays, and those of others are left alone."""
    others = walk.sandbox.oplead.subscriptions.add("lead.created", "https://example.com/hook", "admin")
    assert "confirmed" == walk.check("subscriptions")[0]

    assert [others] == [*walk.sandbox.oplead.subscriptions.all.values()]
    assert [] == walk.left_behind


def test_subscriptions_of_a_walk_that_was_cut_off_are_ended_by_the_next(walk, monkeypatch):
    """They are found by their address."""
    walk.kill_in("subscriptions", monkeypatch)
    assert (1, ["subscription"]) == (
        len(walk.sandbox.oplead.subscriptions.all),
        [one.kind for one in walk.left_behind],
    )

    assert "confirmed" == walk.check("subscriptions")[0]
    assert ({}, []) == (walk.sandbox.oplead.subscriptions.all, walk.left_behind)


OTHERS = '{"id": "S-90", "event": "lead.created", "url": "https://example.com/hook"}'
NOT_WHOLE = f'{{"data": [{OTHERS}], "total": 4}}'
"""A page that lacks three of the four that it counts."""


def test_no_subscription_is_made_that_a_list_with_a_gap_might_not_show(walk):
    """It could not be ended for sure."""
    walk.fail("/v1/subscriptions", after=1, status=200, body=NOT_WHOLE)

    assert "unclear" == walk.check("subscriptions")[0]
    assert ([], []) == (walk.written, walk.left_behind)


@pytest.mark.parametrize(
    ("status", "body"), [(200, NOT_WHOLE), (200, "[]"), (200, f"[{OTHERS}]"), (403, ""), (404, "")], ids=str
)
def test_a_subscription_that_is_not_listed_stays_in_the_notes_and_is_ended_by_the_next_walk(walk, status, body):
    """Whatever an answer calls its id: that may be another's."""
    others = walk.sandbox.oplead.subscriptions.add("lead.created", "https://example.com/hook", "admin")
    walk.fail("/v1/subscriptions", after=2, status=201, body=f'{{"id": "{others.id}"}}')
    walk.fail("/v1/subscriptions", after=4, count=2, status=status, body=body)
    with nullcontext() if 200 == status else pytest.raises(Misconfigured):
        assert "unclear" == walk.check("subscriptions")[0]

    walk.sandbox.faults.clear()
    assert ["POST /v1/subscriptions"] * 3 == walk.written
    assert (["subscription"], 3) == (
        [one.kind for one in walk.left_behind],
        len(walk.sandbox.oplead.subscriptions.all),
    )

    assert "confirmed" == walk.check("subscriptions")[0]
    assert ([others], []) == ([*walk.sandbox.oplead.subscriptions.all.values()], walk.left_behind)


def test_what_is_still_listed_once_it_was_ended_settles_nothing(walk):
    """It may be listed as ended, or be gone in a moment; until it is, nothing more is made."""
    ours = json.dumps([{"id": "S-1", "event": "lead.created", "url": f"https://{TEST_DOMAIN}/evidence"}])
    walk.fail("/v1/subscriptions", after=9, status=200, body=ours)
    assert "unclear" == walk.check("subscriptions")[0]
    assert ["subscription"] == [one.kind for one in walk.left_behind]
    before = len(walk.written)

    walk.fail("/v1/subscriptions", after=1, status=200, body=ours)
    assert "none was made" in walk.check("subscriptions")[1]
    assert before == len(walk.written)


@pytest.mark.parametrize(("status", "verdict"), [(405, "refuted"), (404, "unclear"), (403, "unclear")])
def test_an_end_that_is_refused_refutes_only_where_there_is_no_such_request(walk, status, verdict):
    """What is gone already was ended by somebody else; what stays is noted."""
    walk.fail("/v1/subscriptions/", status=status)

    assert verdict == walk.check("subscriptions")[0]
    assert 1 == len(walk.sandbox.oplead.subscriptions.all) == len(walk.left_behind)


@pytest.mark.parametrize(("nth", "verdict"), [(0, "refuted"), (1, "refuted"), (2, "unclear")])
def test_an_event_of_another_name_is_refuted_where_a_later_one_is_taken(walk, nth, verdict):
    """What is refused after all others may be one too many."""
    walk.fail("/v1/subscriptions", status=422, after=2 + nth)

    assert verdict == walk.check("subscriptions")[0]
    assert [] == walk.left_behind


def test_no_list_means_no_subscription(walk):
    """What is made must be seen to be ended."""
    walk.fail("/v1/subscriptions", status=404)

    with pytest.raises(Misconfigured):
        walk.check("subscriptions")
    assert [] == walk.written


def test_a_specification_holds_where_what_was_written_so_has_worked(walk):
    """Without one, and before all was written, it is unclear; what does not work as specified refutes it."""
    assert "unclear" == walk.check("specification")[0]
    walk.sandbox.oplead.set_switch("documentation", "openapi3_json")
    walk.take_look()
    assert "unclear" == walk.check("specification")[0]
    for name in ("create_and_change", "status"):
        walk.check(name)
    assert "unclear" == walk.check("specification")[0]
    walk.check("subscriptions")
    assert "confirmed" == walk.check("specification")[0]

    walk.fail_next_write("/v1/leads", status=404)
    assert "refuted" == walk.check("status")[0]
    assert "refuted" == walk.check("specification")[0]


def test_what_is_kept_of_the_exchanges_holds_no_address_and_no_key(walk):
    """Structure alone, of reads and writes."""
    for name in ON_THE_LEAD[:-1]:
        walk.check(name)
    kept = walk.recorder.taken(Shown())

    assert {"POST", "PUT", "GET"} == {one.method for one in kept}
    assert not [one for one in kept if TEST_DOMAIN in str(one) or ADMIN_KEY in str(one)]
