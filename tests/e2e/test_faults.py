"""Servers that fail in every way: few requests, waits on the sandbox's clock, a true exit code, and recovery."""

import json
import socket
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import httpx
import pytest

from connectors.google_ads import options
from connectors.oplead import client
from connectors.sandbox.oplead.server import SUPPLIER_KEY
from connectors.sandbox.server import WireResponse
from jobs.ledger import schema
from jobs.ledger.schema import Request
from tests.builders import stops

INGEST = "/v1/events:ingest"
STATUS = "/v1/requestStatus:retrieve"
UNKNOWN_STATUS = b'{"requestStatusPerDestination": [{"requestStatus": "SOMETHING_NEW"}]}'
TRIES = 5
FOREVER = 1_000
BACKOFF = timedelta(seconds=0.75)
"""The first wait, with the jitter of these runs; each later one is twice as long."""


def said(code, status, reason=None):
    """An error as Google's API words it."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason or status}
    return json.dumps({"error": {"code": code, "message": "An invented error.", "status": status, "details": [info]}})


BUSY = {"kind": "status", "status": 429, "body": said(429, "RESOURCE_EXHAUSTED")}
INTERNAL = {"kind": "status", "status": 500, "body": said(500, "INTERNAL")}
AWAY = {"kind": "status", "status": 503, "body": said(503, "UNAVAILABLE")}
BARE_429 = {"kind": "status", "status": 429}
BARE_500 = {"kind": "status", "status": 500}
PROXY_PAGE = {"kind": "html", "status": 502}
PORTAL_PAGE = {"kind": "html"}
HANG = {"kind": "hang", "seconds": 5}
CUT_BEFORE = {"kind": "cut_before"}
CUT_AFTER = {"kind": "cut_after"}
TRUNCATED = {"kind": "truncated"}


def sold(company, number=1):
    """A lead with an appointment and a sale to send, in one upload each."""
    return company.lead(number, ("Gagné", company.START - timedelta(days=1)))


@contextmanager
def impatient(fault, server, seconds=0.4):
    """Shorten the timeouts towards one server if the fault is a hang."""
    with pytest.MonkeyPatch.context() as patch:
        if fault == HANG and server == "oplead":
            patch.setattr(client, "TIMEOUT", httpx.Timeout(seconds))
        elif fault == HANG:
            patch.setattr(options, "GoogleOptions", partial(options.GoogleOptions, timeout=seconds))
        yield


def closed_port():
    """A port of this machine on which no process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def settled(company, *numbers):
    """Assert that each conversion of these leads is accepted on both sides, once."""
    names = sorted((f"L-{number}", conversion) for number in numbers for conversion in ("appointment", "sale"))
    assert dict.fromkeys(names, "accepted") == company.states()
    assert names == sorted(company.taken())
    assert [] == company.disagreements()


# ── uploads ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "wait", "replays"),
    [
        pytest.param(BUSY | {"retry_after": 90}, timedelta(seconds=90), 0, id="429, later named"),
        pytest.param(BUSY, BACKOFF, 0, id="429", marks=pytest.mark.exhaustive),
        pytest.param(
            AWAY | {"retry_after": 20}, timedelta(seconds=20), 0, id="503, later named", marks=pytest.mark.exhaustive
        ),
        pytest.param(BARE_500, BACKOFF, 0, id="500 not the API's", marks=pytest.mark.exhaustive),
        pytest.param(PROXY_PAGE, BACKOFF, 0, id="a proxy's page", marks=pytest.mark.exhaustive),
        pytest.param(PORTAL_PAGE, BACKOFF, 0, id="a page with 200", marks=pytest.mark.exhaustive),
        pytest.param(HANG, BACKOFF, 0, id="no answer"),
        pytest.param(CUT_BEFORE, BACKOFF, 0, id="cut before", marks=pytest.mark.exhaustive),
        pytest.param(CUT_AFTER, BACKOFF, 1, id="cut after it was taken"),
        pytest.param(TRUNCATED, BACKOFF, 1, id="half an answer", marks=pytest.mark.exhaustive),
    ],
)
def test_failed_upload_is_retried_the_same_night(company, fault, wait, replays):
    """The retry waits as long as the platform asked, and no human is needed."""
    company.serve(sold(company))
    company.fail("data_manager", path=INGEST, **fault)

    with impatient(fault, "data_manager"):
        summary = company.night()

    first, second, *rest = company.times("data_manager", INGEST)
    assert wait == second - first
    assert 1 == len(rest)
    assert 0 == summary.exit_code
    assert {"submitted"} == set(company.states().values())

    company.later()

    settled(company, 1)
    assert replays == sum(line["replays"] for line in company.platform.conversions_json())


@pytest.mark.parametrize(
    ("fault", "span", "state"),
    [
        pytest.param(BUSY | {"retry_after": 90}, 4 * timedelta(seconds=90), "pending", id="429, later named"),
        pytest.param(INTERNAL, 15 * BACKOFF, "in_doubt", id="500", marks=pytest.mark.exhaustive),
        pytest.param(PORTAL_PAGE, 15 * BACKOFF, "in_doubt", id="a page with 200", marks=pytest.mark.exhaustive),
        pytest.param(HANG, 15 * BACKOFF, "in_doubt", id="no answer", marks=pytest.mark.exhaustive),
        pytest.param(CUT_BEFORE, 15 * BACKOFF, "in_doubt", id="cut before", marks=pytest.mark.exhaustive),
        pytest.param(CUT_AFTER, 15 * BACKOFF, "in_doubt", id="cut after it was taken"),
    ],
)
def test_persistent_upload_failure_stops_after_five_tries(company, fault, span, state):
    """Without an answer the other upload gets one try; nothing is accepted, and the next night recovers."""
    company.serve(sold(company))
    company.fail("data_manager", path=INGEST, count=FOREVER, **fault)

    with impatient(fault, "data_manager", seconds=0.25):
        summary = company.night()

    tried = company.times("data_manager", INGEST)
    silent = state == "in_doubt"
    assert TRIES + silent == len(tried)
    assert span == tried[TRIES - 1] - tried[0]
    assert 3 == summary.exit_code
    assert ["google_ads"] == list(stops(summary))
    assert (2 if silent else 0) == summary.in_doubt
    assert {state} == set(company.states().values())

    company.heal()

    assert 0 == company.later(timedelta(days=1)).exit_code

    company.later()

    settled(company, 1)


def test_long_retry_after_ends_the_run(company):
    """A delay over five minutes is not waited for: the refused rows become due when the platform said."""
    company.settings["conversions"] = [company.conversion("sale")]
    company.serve(sold(company))
    company.fail("data_manager", path=INGEST, retry_after=3_600, **BUSY)

    summary = company.night()

    assert 3 == summary.exit_code
    assert company.START == company.clock.now()

    company.later(timedelta(minutes=59))

    assert 1 == len(company.times("data_manager", INGEST))
    assert {"pending"} == set(company.states().values())

    company.later(timedelta(minutes=2))
    company.later()

    assert [("L-1", "sale")] == company.taken()
    assert [] == company.disagreements()


def nights_without_an_answer(company):
    """Lose every answer to the only upload for five nights; return the exit codes."""
    company.settings["conversions"] = [company.conversion("sale")]
    company.serve(sold(company))
    company.fail("data_manager", path=INGEST, count=FOREVER, **CUT_BEFORE)
    return [company.later(timedelta(days=1)).exit_code for _ in range(5)]


def test_answers_lost_four_nights_end_unconfirmed(company):
    """After three more nights the outcome cannot be known: it is neither called accepted nor sent again.

    The first night stops the destination; the others only replay old requests, which stop nothing else.
    """
    assert [3, 1, 1, 1] == nights_without_an_answer(company)[:4]

    company.heal()

    assert 0 == company.later(timedelta(days=1)).exit_code
    assert {("L-1", "sale"): "unconfirmed"} == company.states()
    assert 4 * TRIES == len(company.times("data_manager", INGEST))
    assert [] == company.taken()


@pytest.mark.exhaustive
def test_reports_once_what_becomes_unconfirmed(company):
    """The night that gives up exits with 1, and the one after with 0."""
    assert 1 == nights_without_an_answer(company)[4]
    assert 0 == company.later(timedelta(days=1)).exit_code


def test_refused_connection_leaves_rows_pending(company):
    """Nothing can have arrived, so no row is `in_doubt`."""
    company.serve(sold(company))
    company.settings["google_ads"]["endpoint"] = f"http://127.0.0.1:{closed_port()}"

    summary = company.night()

    assert 3 == summary.exit_code
    assert TRIES == summary.delivered.requests
    assert {"pending"} == set(company.states().values())

    del company.settings["google_ads"]["endpoint"]
    company.night()
    company.later()

    settled(company, 1)


# ── permission ───────────────────────────────────────────────────────────────────────────────────


def test_revoked_token_is_exchanged_during_the_run(company):
    """The refused upload is repeated with a new token, and the run continues."""
    company.serve(sold(company))
    revoking = iter([False, True])

    def revoke(_):
        if next(revoking, False):
            company.sandbox.oauth.set_switch("revoke_tokens", True)

    company.before("data_manager", INGEST, revoke)

    summary = company.night()

    assert [200, 401, 200] == [status for _, status in company.ingests]
    assert 0 == summary.exit_code

    company.later()

    settled(company, 1)


@pytest.mark.parametrize(
    ("break_it", "mend_it", "uploads"),
    [
        pytest.param(
            lambda company: company.fail("data_manager", "status", status=401, count=FOREVER),
            lambda company: company.heal(),
            1,
            id="a new token refused",
        ),
        pytest.param(
            lambda company: company.sandbox.oauth.set_switch("refuse_tokens", True),
            lambda company: company.sandbox.oauth.set_switch("refuse_tokens", False),
            0,
            id="no token given",
        ),
        pytest.param(
            lambda company: company.settings["google_ads"].update(login_customer_id="1112223334"),
            lambda company: company.settings["google_ads"].update(login_customer_id="1112223333"),
            1,
            id="the wrong manager account",
        ),
    ],
)
def test_refusing_destination_stops_after_one_request(company, break_it, mend_it, uploads):
    """Everything waits as `pending` for a human; once fixed, everything is sent."""
    company.serve(sold(company))
    break_it(company)

    summary = company.night()

    assert uploads == len(company.times("data_manager", INGEST))
    assert uploads == len(company.times("data_manager"))
    assert 1 == len(company.times("oauth", "/token"))
    assert 3 == summary.exit_code
    assert ["google_ads"] == list(stops(summary))
    assert {"pending"} == set(company.states().values())

    mend_it(company)

    assert 0 == company.later(timedelta(days=1)).exit_code

    company.later()

    settled(company, 1)


def test_missing_conversion_action_stops_only_itself(company):
    """The other conversion action of the same customer is sent normally."""
    company.serve(sold(company))
    company.conversion("appointment")["google_ads"]["conversion_action"] = "555"

    summary = company.night()

    assert 3 == summary.exit_code
    assert ["google_ads/555"] == list(stops(summary))
    assert {("L-1", "appointment"): "pending", ("L-1", "sale"): "submitted"} == company.states()

    company.conversion("appointment")["google_ads"]["conversion_action"] = "987654321"
    company.later()
    company.later()

    settled(company, 1)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(BARE_429, id="429", marks=pytest.mark.exhaustive),
        pytest.param(BARE_500, id="500"),
        pytest.param(PORTAL_PAGE, id="a page with 200", marks=pytest.mark.exhaustive),
        pytest.param(HANG, id="no answer", marks=pytest.mark.exhaustive),
        pytest.param(CUT_BEFORE, id="cut before", marks=pytest.mark.exhaustive),
        pytest.param(TRUNCATED, id="half an answer", marks=pytest.mark.exhaustive),
    ],
)
def test_failing_token_server_leaves_rows_pending(company, fault):
    """Without a token nothing is sent: the run makes five tries, and the next one recovers."""
    company.serve(sold(company))
    company.fail("oauth", count=FOREVER, **fault)

    with impatient(fault, "oauth", seconds=0.25):
        summary = company.night()

    asked = company.times("oauth", "/token")
    assert TRIES == len(asked)
    assert 15 * BACKOFF == asked[-1] - asked[0]
    assert [] == company.ingests
    assert 3 == summary.exit_code
    assert {"pending"} == set(company.states().values())

    company.heal()
    company.night()
    company.later()

    settled(company, 1)


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────


def test_outcomes_are_requested_when_due(company):
    """Ten minutes after the upload no request is made; at half an hour the outcome is there."""
    company.serve(sold(company))
    company.night()

    early = company.later(timedelta(minutes=10))

    assert [] == company.times("data_manager", STATUS)
    assert 2 == early.resolved.pending
    assert {"submitted"} == set(company.states().values())

    company.later(timedelta(minutes=20))

    assert 2 == len(company.times("data_manager", STATUS))
    settled(company, 1)


def test_unfinished_outcome_is_requested_again(company):
    """Deliveries stay `submitted`, and no human is needed."""
    company.platform.set_switch("processing_minutes", 120)
    company.serve(sold(company))
    company.night()

    summary = company.later()

    assert 2 == summary.resolved.pending
    assert 0 == summary.exit_code
    assert {"submitted"} == set(company.states().values())

    company.later(timedelta(hours=2))

    settled(company, 1)


@pytest.mark.parametrize(
    ("fault", "code", "asked"),
    [
        pytest.param(BUSY, 0, 4, id="429", marks=pytest.mark.exhaustive),
        pytest.param(BARE_500, 0, 4, id="500 not the API's"),
        pytest.param(PORTAL_PAGE, 0, 4, id="a page with 200", marks=pytest.mark.exhaustive),
        pytest.param(HANG, 0, 4, id="no answer", marks=pytest.mark.exhaustive),
        pytest.param(TRUNCATED, 0, 4, id="half an answer", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "status", "status": 403, "body": said(403, "PERMISSION_DENIED")}, 1, 4, id="403"),
        pytest.param({"kind": "status", "status": 401}, 1, 4, id="401", marks=pytest.mark.exhaustive),
    ],
)
def test_failed_outcome_request_leaves_deliveries_submitted(company, fault, code, asked):
    """They are neither called accepted nor sent again, and a later run asks once more."""
    company.serve(sold(company))
    company.night()
    company.fail("data_manager", path=STATUS, count=FOREVER, **fault)

    with impatient(fault, "data_manager", seconds=0.25):
        summary = company.later()

    assert code == summary.exit_code
    assert len(company.times("data_manager", STATUS)) <= asked
    assert {"submitted"} == set(company.states().values())

    company.heal()
    company.night()

    settled(company, 1)
    assert 2 == len(company.ingests)


def answer_one_status(company, answer):
    """Answer this for the status of the first request, for good, and truly for all others."""
    (first, *_) = [request.ticket for request in company.rows(Request)]

    def handle(request, handler):
        return answer if (first,) in request.query.values() else handler(request)

    company._around("data_manager", STATUS, handle)
    return first


@pytest.mark.parametrize("code", [403, 404])
def test_one_refused_status_stops_no_upload(company, code):
    """Night after night the rest goes out and is settled; the request is named in words, and on the page."""
    company.settings["conversions"] = [company.conversion("sale")]
    company.settings["report"] = {"folder": "pages"}
    company.serve(sold(company))
    company.night()
    error = said(code, "NOT_FOUND" if code == 404 else "PERMISSION_DENIED")
    ticket = answer_one_status(company, WireResponse(code, error.encode()))
    for night in (1, 2, 3):
        company.serve(sold(company, 1 + night))
        company.clock.advance(company.START + night * timedelta(days=1))
        ended, out, _ = company.command("run")

        assert (1, 1 + night) == (ended, len(company.ingests))
        assert f"does not say what became of uploads Request {ticket} has no outcome" in " ".join(out.split())
    (page,) = (company.directory / "run" / "pages").glob("*.html")

    assert ["submitted", "accepted", "accepted", "submitted"] == [
        state for _, state in sorted(company.states().items())
    ]
    assert ticket in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(WireResponse(200, b"<html></html>"), id="HTML"),
        pytest.param(WireResponse(200, b"{}"), id="an empty object"),
        pytest.param(WireResponse(503, b""), id="503"),
        pytest.param(WireResponse(200, UNKNOWN_STATUS), id="an unknown status"),
    ],
)
def test_status_that_never_comes_is_told_on_the_second_night(company, answer):
    """With its age, how many there are and the last answer; not on the first, when it may still come."""
    company.settings["conversions"] = [company.conversion("sale")]
    company.serve(sold(company))
    company.night()
    ticket = answer_one_status(company, answer)
    codes = []
    for night in (1, 2, 3):
        company.serve(sold(company, 1 + night))
        codes.append(company.night(company.START + night * timedelta(days=1)).exit_code)
    company.clock.advance(company.START + timedelta(days=4))
    ended, out, _ = company.command("run")
    said = " ".join(out.split())

    assert ([0, 1, 1], 1) == (codes, ended)
    assert f"Request {ticket} has no outcome; it was due 96 h ago. The last answer: " in said


# ── Oplead ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        pytest.param(BARE_429 | {"retry_after": 45}, timedelta(seconds=45), id="429, later named"),
        pytest.param(BARE_429, timedelta(minutes=1), id="429", marks=pytest.mark.exhaustive),
        pytest.param(BARE_500, None, id="500", marks=pytest.mark.exhaustive),
        pytest.param(PORTAL_PAGE, None, id="a page with 200", marks=pytest.mark.exhaustive),
        pytest.param(HANG, None, id="no answer"),
        pytest.param(CUT_BEFORE, None, id="cut before", marks=pytest.mark.exhaustive),
        pytest.param(TRUNCATED, None, id="half an answer", marks=pytest.mark.exhaustive),
    ],
)
def test_failed_oplead_request_is_retried_the_same_night(company, fault, wait):
    """The retry waits as long as Oplead asked, a minute where it asked for none, or else at most a second."""
    company.serve(sold(company))
    company.fail("oplead", **fault)

    with impatient(fault, "oplead"):
        summary = company.night()

    first, second = company.times("oplead")
    assert second - first == wait or (wait is None and timedelta() < second - first <= timedelta(seconds=1))
    assert 0 == summary.exit_code

    company.later()

    settled(company, 1)


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        pytest.param(BARE_429 | {"retry_after": 45}, TRIES, id="429, later named", marks=pytest.mark.exhaustive),
        pytest.param(BARE_429 | {"retry_after": 3_600}, 1, id="429, much later named"),
        pytest.param(PROXY_PAGE, TRIES, id="a proxy's page", marks=pytest.mark.exhaustive),
        # All attempts of a read share the time of four waits.
        pytest.param(HANG, TRIES - 1, id="no answer", marks=pytest.mark.exhaustive),
        pytest.param(CUT_AFTER, TRIES, id="cut", marks=pytest.mark.exhaustive),
        pytest.param(TRUNCATED, TRIES, id="half an answer"),
        pytest.param({"kind": "status", "status": 401}, 1, id="401", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "status", "status": 403}, 1, id="403", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "status", "status": 404}, 1, id="404", marks=pytest.mark.exhaustive),
    ],
)
def test_persistent_oplead_failure_still_sends_due_rows(company, fault, asked):
    """Reading stops, and the next run reads what this one could not."""
    company.serve(sold(company, 1))
    company.sandbox.oauth.set_switch("refuse_tokens", True)
    company.night()
    company.sandbox.oauth.set_switch("refuse_tokens", False)
    company.serve(sold(company, 2))
    company.fail("oplead", count=FOREVER, **fault)
    before = len(company.times("oplead"))

    with impatient(fault, "oplead", seconds=0.25):
        summary = company.night()

    assert asked == len(company.times("oplead")) - before
    assert 3 == summary.exit_code
    assert summary.source_stopped is not None
    assert {} == stops(summary)
    assert {("L-1", "appointment"): "submitted", ("L-1", "sale"): "submitted"} == company.states()

    company.heal()

    assert 0 == company.later().exit_code

    company.later()

    settled(company, 1, 2)


@pytest.mark.parametrize("token", [SUPPLIER_KEY, "no-such-key"])
def test_refused_oplead_token_names_the_key_wanted(company, token):
    """The message does not show the key that was used."""
    company.environ["OPLEAD_TOKEN"] = token

    summary = company.night()

    assert 3 == summary.exit_code
    assert "client admin's API key" in summary.source_stopped.answers[0]
    assert token not in summary.source_stopped.answers[0]
    assert 1 == len(company.times("oplead"))


def test_failure_on_a_later_page_keeps_pages_already_read(company):
    """Leads already read are planned and sent, and the next run resumes where this one stopped."""
    company.serve(sold(company, 1), *(company.lead(number) for number in range(2, 150)), sold(company, 150))
    company.fail("oplead", after=1, count=FOREVER, **BARE_500)

    summary = company.night()

    assert 3 == summary.exit_code
    assert 100 == summary.pulled.seen
    assert {"L-1"} == {lead for lead, _ in company.states()}
    assert {"submitted"} == set(company.states().values())

    company.heal()

    assert 50 == company.later().pulled.seen

    company.later()

    settled(company, 1, 150)


YEAR_OFF = """
from datetime import timedelta
from connectors.sandbox_clock import SandboxClock
now = SandboxClock.now
SandboxClock.now = lambda clock: now(clock) + timedelta(days={days})
"""


@pytest.mark.parametrize("days", [365, pytest.param(-365, marks=pytest.mark.exhaustive)])
def test_clock_a_year_off_exits_with_2_and_changes_nothing(company, days):
    """The message says so; nothing expires, and the next run continues as usual."""
    company.serve(sold(company, 1))
    company.sandbox.oauth.set_switch("refuse_tokens", True)
    company.night()
    states, cursor, starts = (company.states(), company.rows_of("cursor"), company.rows_of("start"))

    code, _, told = company.command("run", prelude=YEAR_OFF.format(days=days))

    assert (2, True, True) == (code, "this machine's clock says" in told, "2026-09-10" in told)
    assert (states, cursor, starts) == (company.states(), company.rows_of("cursor"), company.rows_of("start"))
    company.sandbox.oauth.set_switch("refuse_tokens", False)
    company.later()
    company.later()
    settled(company, 1)


# ── this program ─────────────────────────────────────────────────────────────────────────────────


BREAKS = "import {module} as module\nmodule.{place} = lambda *_, **__: {{}}['jean@example.com']"
FAILS_FOR_ONE = """
from {module} import {holder} as holder
works = holder.{name}
def fails_for_one(given):
    return {{}}["jean@example.com"] if {condition} else works(given)
holder.{name} = {kind}(fails_for_one)
"""
ENCODE = {
    "data_manager": ("connectors.google_ads.data_manager.sink", "DataManagerSink"),
    "google_ads_api": ("connectors.google_ads.ads_api.sink", "AdsApiSink"),
}


@pytest.mark.parametrize("transport", ENCODE)
def test_event_that_cannot_be_encoded_waits_alone(company, transport):
    """All others go out, a human is told, and the next night tries it again without stopping anything."""
    company.settings["google_ads"]["transport"] = transport
    module, holder = ENCODE[transport]
    company.serve(sold(company, 1), sold(company, 2), sold(company, 3))
    second = f"given.click_id.value == '{company.gclid(2)}'"
    breaks = FAILS_FOR_ONE.format(module=module, holder=holder, name="encode", kind="staticmethod", condition=second)
    for days in range(1, 3):
        code, said, err = company.command("run", prelude=breaks)
        lines = map(json.loads, err.splitlines())
        failed = [line for line in lines if line["event"] == "an event could not be encoded"]

        assert (70, {"KeyError"}) == (code, {line["error"] for line in failed})
        assert 2 == len(failed)
        assert "jean" not in err + said
        assert "Parts of a run failed" in said
        assert {("L-2", "appointment"), ("L-2", "sale")} == {
            name for name, state in company.states().items() if state == "pending"
        }
        assert {"not_encoded"} == {row.reason for row in company.deliveries().values() if row.state == "pending"}
        company.clock.advance(company.START + timedelta(days=days))

    assert 0 == company.command("run")[0]
    assert not {"pending", "in_doubt"} & set(company.states().values())
    assert [1] == sorted({line.times for line in company.counted()})


@pytest.mark.parametrize(
    ("module", "place", "event"),
    [
        ("jobs.cli.night.run", "gather_brief", "what needs doing could not be counted"),
        ("jobs.account.lead_search", "leads_in_doubt", "leads whose creation was never answered"),
        ("jobs.account.after_a_night", "update_incidents", "the incidents could not be brought up to date"),
        ("jobs.account.after_a_night", "run_metrics", "the metrics could not be written"),
    ],
)
def test_fault_in_what_follows_a_night_costs_only_that(company, module, place, event):
    """The night is sent, recorded and told, and ends with 70 and the place in the code."""
    company.settings["metrics"] = "night.prom"
    company.serve(sold(company))
    code, said, err = company.command("run", prelude=BREAKS.format(module=module, place=place))
    failed = next(line for line in map(json.loads, err.splitlines()) if line["event"].startswith(event))

    assert (70, "KeyError", True) == (code, failed["error"], bool(failed["trace"]))
    assert "jean" not in err + said
    assert {"submitted"} == set(company.states().values())
    assert "1 part of this run failed" in said or "A part of the last night failed" in said

    company.clock.advance(company.START + timedelta(days=1))

    assert 0 == company.command("run")[0]


def test_contact_data_that_cannot_be_hashed_cost_no_other_lead_anything(company):
    """The others are sent to both platforms, a human is told, and the next night hashes them."""
    company.use_meta()
    for number in range(1, 4):
        lead = sold(company, number) | ({} if number == 1 else {"amount": ""})
        lead["leadData"]["externalID"] = company.both(number)
        company.serve(lead)
    breaks = FAILS_FOR_ONE.format(
        module="connectors.meta",
        holder="identity",
        name="hash_contact",
        kind="",
        condition="'lead.2@example.com' in given.emails",
    )

    def hashed():
        return {row.lead for row in company.rows(schema.ContactHash) if row.destination == "meta"}

    code, said, err = company.command("run", prelude=breaks)

    assert 70 == code
    assert "lead.2" not in err + said
    assert "jean" not in err + said
    assert "contact data could not be hashed" in err
    assert "submitted" in company.states().values()
    assert "accepted" == company.states("meta")["L-1", "sale"]
    assert {"L-3"} == hashed()

    company.clock.advance(company.START + timedelta(days=1))

    assert 0 == company.command("run")[0]
    assert {"L-2", "L-3"} == hashed()


DATA_MANAGER, ADS_API = "connectors.google_ads.data_manager.sink", "connectors.google_ads.ads_api"


@pytest.mark.parametrize(
    ("module", "place", "left"),
    [
        pytest.param(DATA_MANAGER, "DataManagerSink._receipt", "in_doubt", id="data-manager-after"),
        pytest.param(DATA_MANAGER, "check_events", "pending", id="data-manager-before"),
        pytest.param(f"{ADS_API}.sink", "_read_answer", "in_doubt", id="ads-api-after"),
        pytest.param(f"{ADS_API}.sink", "upload_request", "pending", id="ads-api-request"),
        pytest.param(f"{ADS_API}.sink", "ServiceAccount.access_token_or_receipt", "pending", id="ads-api-token"),
        pytest.param(f"{ADS_API}.client", "_await_ready", "pending", id="ads-api-connecting"),
    ],
)
def test_fault_in_one_platforms_connector_costs_the_other_nothing(company, module, place, left):
    """The other platform has its turn, the end is 70 with the place in the code, and the next night mends it."""
    company.use_meta()
    if module.startswith(ADS_API):
        company.use_ads_api()
    lead = sold(company)
    lead["leadData"]["externalID"] = company.both(1)
    company.serve(lead)
    code, _, err = company.command("run", prelude=BREAKS.format(module=module, place=place))
    failed = next(line for line in map(json.loads, err.splitlines()) if line["event"] == "sending failed")

    assert (70, "KeyError", "google_ads") == (code, failed["error"], failed["destination"])
    assert failed["trace"]
    assert "jean" not in err
    assert {left, "pending"} == set(company.states().values())
    assert {"accepted"} == set(company.states("meta").values())

    company.clock.advance(company.START + timedelta(days=1))

    assert 0 == company.command("run")[0]
    assert {"submitted"} == set(company.states().values()) or {"accepted"} == set(company.states().values())
