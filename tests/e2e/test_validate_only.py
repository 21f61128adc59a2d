"""`run --validate-only`: what is due is checked by Google or locally, and nothing is counted or kept."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.e2e.support.typed import documented, type_in

HOUR = timedelta(hours=1)
TRANSPORTS = ("data_manager", "google_ads_api")
FBCLID = "IwAR0bUS3xq0invented7Kd2nPz9tYvQhWcLmXsRfGjEaUoIbTyNkVwZpQxCdSl4"
GOOGLE_UPLOADS = {
    "data_manager": ("data_manager", "/v1/events:ingest"),
    "google_ads_api": ("google_ads", "/google.ads.googleads.v26.services.ConversionUploadService/"),
}
"""The server and path of uploads, by transport."""
DEATHS = {"data_manager": "answer read", "google_ads_api": "google_ads_api: answer read"}
"""Where a run may be killed, by transport."""
BAD_ROW = {
    "data_manager": ({"when": "submit", "reason": "INVALID_SHA256_FORMAT"}, "INVALID_SHA256_FORMAT"),
    "google_ads_api": ({"when": "submit", "reason": "UNPARSEABLE_GCLID"}, "UNPARSEABLE_GCLID"),
}
"""A verdict that cannot be known locally, and its code, by transport."""


def leads(company):
    """Three leads won a day ago: two from Google ads, one from a Meta ad."""
    at = company.START - 20 * HOUR
    from_meta = company.lead(3, ("Gagné", at))
    from_meta["leadData"]["externalID"] = f"fbclid={FBCLID}"
    return [company.lead(1, ("Gagné", at)), company.lead(2, ("Gagné", at)), from_meta]


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """The transport to Google."""
    return request.param


@pytest.fixture
def due(company, transport):
    """A company with an appointment and a sale due for each lead, at the platform of its ad."""
    company.use_meta()
    company.settings["google_ads"]["transport"] = transport
    company.serve(*leads(company))
    return company


def validate(company, *more):
    """The exit code and JSON of a validation."""
    done = type_in(company, "run", "--validate-only", "--json", *more)
    (told,) = done.objects
    assert done.code == told["exit_code"]
    return done.code, told


def verdicts(told):
    """How many conversions have each verdict: state and code."""
    return {
        (each["conversion"], each["destination"], each["state"], each["reason"]): each["count"]
        for each in told["delivered"]["moved"]
    }


def books(company):
    """Every conversion that any platform counts."""
    sandbox = company.sandbox
    return [
        *sandbox.data_manager.conversions_json(),
        *sandbox.google_ads.conversions_json(),
        *sandbox.meta.conversions_json(),
    ]


def files(company):
    """Every file in the state's folder, byte for byte, except the rate limiter's and SQLite's shared memory."""
    company.state.parent.mkdir(exist_ok=True)
    found = {path.name: path.read_bytes() for path in company.state.parent.iterdir()}
    return {name: data for name, data in found.items() if data and not name.endswith(("-shm", ".pace"))}


# ── what is checked ──────────────────────────────────────────────────────────────────────────────


def test_google_validates_and_meta_is_checked_locally(due):
    """Each conversion has its destination's verdict, and Meta's is marked `CHECKED_LOCALLY`."""
    code, told = validate(due)

    assert 0 == code
    assert {
        ("appointment", "google_ads", "accepted", "VALIDATED"): 2,
        ("appointment", "meta", "accepted", "CHECKED_LOCALLY"): 1,
        ("sale", "google_ads", "accepted", "VALIDATED"): 2,
        ("sale", "meta", "accepted", "CHECKED_LOCALLY"): 1,
    } == verdicts(told)
    assert ("validation", True) == (told["mode"], told["rehearsed"])


def test_validation_counts_nothing_and_skips_meta(due, transport):
    """Google is called at its usual address, no platform counts anything, and Meta gets no request at all."""
    validate(due)

    assert due.asked(*GOOGLE_UPLOADS[transport])
    assert [] == books(due)
    assert [] == due.asked("meta")


def test_each_data_manager_upload_sets_validate_only(due):
    """Each request carries `validateOnly: true`."""
    due.settings["google_ads"]["transport"] = "data_manager"
    validate(due)

    assert {(True, 200)} == {(body.get("validateOnly"), status) for body, status in due.ingests}


def test_text_output_says_who_validated(due):
    """The wording is marketing's: valid by the platform, or on this machine only."""
    done = type_in(due, "run", "--validate-only")

    assert 0 == done.code
    assert "validation, nothing counts or changes" in done.lines
    assert "What would be sent, checked" in done.lines
    assert "appointment google_ads 2 valid, says the platform" in done.lines
    assert "appointment meta 1 valid, checked on this machine only" in done.lines
    assert "accepted" not in done.lines


def test_validation_works_in_the_installed_command(due):
    """It runs in its own process before any run, and creates no state."""
    due.state.unlink()
    code, out, _ = due.command("run", "--validate-only", "--json")
    told = documented(out)

    assert (0, "validation") == (code, told["mode"])
    assert 4 == len(verdicts(told))
    assert {due.config.name} == files(due).keys()
    assert [] == books(due)


# ── what is wrong ────────────────────────────────────────────────────────────────────────────────


def test_bad_row_is_reported_and_the_others_are_valid(due, transport):
    """The bad row alone has the platform's code, and the exit code is 1."""
    ruling, reason = BAD_ROW[transport]
    platform = due.platform if transport == "data_manager" else due.sandbox.google_ads
    platform.plant_event_rulings({due.gclid(1): ruling})
    code, told = validate(due)
    people = type_in(due, "run", "--validate-only")

    assert (1, 1) == (code, people.code)
    assert 1 == verdicts(told)["sale", "google_ads", "rejected", reason]
    assert 1 == verdicts(told)["sale", "google_ads", "accepted", "VALIDATED"]
    assert "rejected" in people.lines
    assert reason in people.lines
    assert [] == books(due)


def test_refused_google_key_exits_with_3_and_meta_is_checked(due):
    """A destination stops by itself."""
    due.sandbox.oauth.set_switch("refuse_tokens", value=True)
    code, told = validate(due)
    people = type_in(due, "run", "--validate-only")

    assert (3, 3) == (code, people.code)
    assert ["google_ads"] == list(told["stopped"])
    assert {"meta"} == {destination for _, destination, state, _ in verdicts(told) if state == "accepted"}
    assert "google_ads stopped: invalid_grant" in people.lines


def test_stopped_destination_counts_unchecked_conversions(due):
    """The Google Ads API is closed to this project: everything due there is listed as unchecked, with the reason."""
    due.settings["google_ads"]["transport"] = "google_ads_api"
    due.sandbox.google_ads.set_switch("ads_api_allowlisted", value=False)
    code, told = validate(due)
    people = type_in(due, "run", "--validate-only")
    stop = "google_ads"

    assert 3 == code
    assert [
        {"conversion": conversion, "destination": "google_ads", "state": "pending", "reason": stop, "count": 2}
        for conversion in ("appointment", "sale")
    ] == told["not_checked"]
    assert "appointment google_ads 2 not checked: google_ads stopped: " in people.lines
    assert "sale google_ads 2 not checked: google_ads stopped: " in people.lines
    assert "appointment meta 1 valid" in people.lines
    assert "tried again" not in people.lines


def test_stopped_action_leaves_only_its_own_unchecked(due):
    """The destination's other actions still get their verdict."""
    due.conversion("sale")["google_ads"]["conversion_action"] = "987654399"
    _, told = validate(due)

    assert [("sale", "google_ads", 2)] == [
        (each["conversion"], each["destination"], each["count"]) for each in told["not_checked"]
    ]


def test_waiting_conversions_are_not_listed_as_unchecked(due):
    """Nothing has stopped, and one lead is too recent to be due."""
    due.serve(*leads(due), due.lead(8, ("Gagné", due.START - HOUR), created=due.START - 2 * HOUR))

    assert [] == validate(due)[1]["not_checked"]


def test_wrong_action_exits_with_3_and_is_named(due):
    """An error that would refuse every conversion of an action stops that action."""
    due.conversion("sale")["google_ads"]["conversion_action"] = "987654399"
    code, told = validate(due)

    assert 3 == code
    assert ["google_ads/987654399"] == list(told["stopped"])
    assert "INVALID_CONVERSION_ACTION_TYPE" in told["stopped"]["google_ads/987654399"]
    assert 2 == verdicts(told)["appointment", "google_ads", "accepted", "VALIDATED"]


def test_refused_oplead_token_exits_with_3(due):
    """There is nothing to check, and the output says why."""
    due.environ["OPLEAD_TOKEN"] = "wrong-and-invented"
    code, told = validate(due)

    assert 3 == code
    assert "401" in told["source_stopped"]
    assert {} == verdicts(told)


def test_unreadable_lead_is_named_in_the_report(company):
    """Validations and dry runs leave no state to look the lead up in later."""
    company.serve(company.lead(1, ("Gagné", company.START - 20 * HOUR)))
    company.sandbox.oplead.put("L-99", {"id": "L-99", "createdAt": "31/02/2026 25:61", "status": "Nouveau"})
    for mode in ("--validate-only", "--dry-run"):
        done = type_in(company, "run", mode)

        assert 1 == done.code
        assert "A human is needed" in done.lines
        assert "lead L-99 could not be read: " in done.lines


def test_reports_that_nothing_is_due(company):
    """An empty table would look broken."""
    done = type_in(company, "run", "--validate-only")

    assert 0 == done.code
    assert "Nothing is due, so nothing was checked." in done.lines


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--dry-run",), "type --dry-run or --validate-only, not both: only the second asks the platforms"),
        (("--wait", "45m"), "nothing is sent, so there is nothing to wait for"),
    ],
    ids=["--dry-run", "--wait"],
)
def test_incompatible_options_are_refused(company, more, said):
    """The exit code is 2 with the reason; no request is made and no state created."""
    company.state.unlink()
    done = type_in(company, "run", "--validate-only", *more)

    assert 2 == done.code
    assert said in " ".join(done.err.split())
    assert "" == done.out
    assert [] == company.arrivals
    assert not company.state.exists()


def test_dry_run_with_wait_is_refused(company):
    """Nothing is sent, so there is nothing to wait for."""
    done = type_in(company, "run", "--dry-run", "--wait", "1h")

    assert 2 == done.code
    assert "nothing to wait for" in done.err


# ── side effects ─────────────────────────────────────────────────────────────────────────────────


def test_validation_creates_no_state(due):
    """Not even a lock file appears."""
    before = files(due) | {due.config.name: due.config.read_bytes()}
    validate(due)

    assert before == files(due)


def test_validation_leaves_the_state_unchanged(due):
    """Its deliveries are submitted, waiting, withheld and newly due, and not one byte of any file changes."""
    due.night()
    due.clock.advance(due.clock.now() + HOUR)
    due.serve(due.lead(4, ("Gagné", due.clock.now() - HOUR)))
    before, counted, asked = files(due), books(due), len(due.asked("meta"))
    code, told = validate(due)

    assert 0 == code
    assert ("sale", "google_ads", "accepted", "VALIDATED") in verdicts(told)
    assert before == files(due)
    assert counted == books(due)
    assert asked == len(due.asked("meta"))


def test_validation_leaves_a_killed_runs_state_unchanged(due, transport):
    """What the killed run left in doubt is only checked, and the next run replays it."""
    assert -9 == due.killed(DEATHS[transport])
    before, counted = files(due), books(due)
    validate(due)
    unchanged = (before, counted) == (files(due), books(due))
    due.night()
    due.later()

    assert unchanged
    assert {"accepted"} == set(due.states().values()) - {"withheld"}
    assert {1} == {line["accepted"] for line in due.platform.conversions_json()}


def test_validation_fixes_no_start_date(due):
    """Without `since` a conversion starts with the first real run: a lead won between the two is not sent."""
    for conversion in due.settings["conversions"]:
        del conversion["since"]
    del due.settings["meta"]["funnel_since"]
    validate(due)
    due.clock.advance(due.clock.now() + 24 * HOUR)
    due.serve(due.lead(5, ("Gagné", due.clock.now() - 10 * HOUR)))
    due.night()

    assert {"skipped"} == set(due.states().values())


def test_validation_works_while_the_state_is_locked(due):
    """It works on a copy, so it neither waits for a run nor disturbs it."""
    due.night()
    with closing(sqlite3.connect(due.state, isolation_level=None)) as other:
        other.execute("begin immediate")
        code, _ = validate(due)

    assert 0 == code
