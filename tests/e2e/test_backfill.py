"""`backfill` and `retry` as operators type them: shown, agreed to, sent once, and the nights none the wiser."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from jobs.cancellation import go_on
from jobs.cli import approved_send
from jobs.cli.output import UsageError
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
RANGE = ("--from", "2026-08-20", "--to", "2026-09-05")
OLD = datetime(2026, 9, 3, 9, 0, tzinfo=UTC)
"""In that time."""
KILLED = -9
HELD = 75


@pytest.fixture
def past(company):
    """A company whose conversions count from its first night on, which has been; `past(*leads)` are from before."""
    for conversion in company.settings["conversions"]:
        conversion.pop("since")

    def serve(*leads):
        company.serve(*leads)
        company.night()
        return company

    return serve


def sold(company, number, at=OLD, **more):
    """A lead won then: an appointment and a sale."""
    return company.lead(number, ("Gagné", at), **more)


def backfill(company, *arguments, yes=True, **more):
    """Type a backfill of that time."""
    return type_in(company, "backfill", *RANGE, *arguments, *(["--yes"] if yes else []), **more)


def counted_once(company, numbers):
    """Both conversions of each of these leads accepted, and counted once by Google."""
    names = {(f"L-{number}", conversion) for number in numbers for conversion in ("appointment", "sale")}
    accepted = {name for name, state in company.states().items() if state == "accepted"}
    assert names == accepted
    assert sorted(names) == sorted(company.taken())
    assert [] == company.disagreements()


def test_what_would_be_sent_is_shown_by_age(past, company):
    """With what waits, what is held back and what is too late; a dry run leaves everything as it is."""
    past(
        sold(company, 1),
        sold(company, 2, amount=None),
        sold(company, 3, leadData={"externalID": f"gclid={company.gclid(3)}"}),
        sold(company, 4, datetime(2026, 8, 25, 9, tzinfo=UTC), created=datetime(2026, 5, 20, 9, tzinfo=UTC)),
        sold(company, 5, datetime(2026, 9, 6, 9, tzinfo=UTC)),
    )
    before = company.rows_of("delivery"), company.rows_of("run"), company.rows_of("cursor")
    typed = backfill(company, "--dry-run", yes=False)
    (told,) = backfill(company, "--dry-run", "--json", yes=False).objects
    shown = {
        (group["conversion"], group["age"]): [group[name] for name in ("sent", "waits", "withheld", "expired")]
        for group in told["groups"]
    }

    assert 0 == typed.code
    assert {
        ("appointment", "0-7"): [2, 0, 1, 0],
        ("appointment", "8-30"): [0, 0, 0, 1],
        ("sale", "0-7"): [2, 0, 1, 0],
        ("sale", "8-30"): [0, 0, 0, 1],
    } == shown
    assert ["consent_missing"] * 2 == [each["reason"] for each in told["stands"] if each["state"] == "withheld"]
    assert "consent not asked 2 " in typed.lines
    assert "2 conversions can no longer be sent" in typed.lines
    assert "Nothing was sent or changed." in typed.lines
    assert before == (company.rows_of("delivery"), company.rows_of("run"), company.rows_of("cursor"))
    assert [] == company.ingests


def test_it_goes_out_once_and_the_nights_stay_as_they_are(past, company):
    """However often it is typed; the nightly place in the leads and the starts are not moved."""
    past(*(sold(company, number) for number in range(3)))
    company.clock.advance(company.clock.now() + DAY)
    before = company.rows_of("cursor"), company.rows_of("start")

    assert [0, 0] == [backfill(company).code, backfill(company).code]
    assert before == (company.rows_of("cursor"), company.rows_of("start"))

    company.later()
    backfill(company)

    counted_once(company, range(3))
    commands = [row[2] for row in company.rows_of("run")]
    assert ["run", "backfill", "backfill", "run", "backfill"] == commands


def test_without_anyone_to_agree_it_says_what_to_write(past, company):
    """Before anything is read."""
    past(sold(company, 1))
    asked = len(company.asked("oplead"))
    typed = backfill(company, yes=False)

    assert 2 == typed.code
    assert "--yes" in typed.err
    assert "--dry-run" in typed.err
    assert asked == len(company.asked("oplead"))


@pytest.mark.parametrize(("answer", "sent"), [(b"y\n", 1), (b"\n", 0)])
def test_a_person_at_a_terminal_is_asked(past, company, answer, sent):
    """Enter alone is no."""
    past(sold(company, 1))
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from jobs.cli import main; main()", "backfill", *RANGE]
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    try:
        with company.ended(
            subprocess.Popen(
                [*command, "--config", str(company.config)],
                env=inherited | company.environ | {"TERM": "xterm", "COLUMNS": "200"},
                stdin=follower,
                stdout=follower,
                stderr=subprocess.PIPE,
            )
        ) as process:
            os.close(follower)
            seen = b""
            while b"[y/N]" not in seen:
                seen += os.read(leader, 65_536)
            os.write(leader, answer)
            _, complaint = process.communicate(timeout=40)
    finally:
        os.close(leader)

    assert 0 == process.returncode, complaint
    assert b"Send 2 conversions now?" in seen
    assert sent == bool(company.ingests)


def test_nobody_is_waited_for_long(monkeypatch):
    """The account is held meanwhile."""
    monkeypatch.setattr(approved_send, "PATIENCE_SECONDS", 0)

    with pytest.raises(UsageError, match="write --yes"):
        approved_send.Approval().agrees("Send?", go_on)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("backfill: in a page's commit", 1),
        pytest.param("backfill: page committed", 1, marks=pytest.mark.exhaustive),
        pytest.param("leads planned", 2, marks=pytest.mark.exhaustive),
        pytest.param("backfill: in the picks' commit", 5, marks=pytest.mark.exhaustive),
        ("backfill: picks committed", 5),
        pytest.param("in the intent's commit", 1, marks=pytest.mark.exhaustive),
        pytest.param("intent committed", 2, marks=pytest.mark.exhaustive),
        ("accepted, answer unread", 2),
        pytest.param("answer read", 1, marks=pytest.mark.exhaustive),
        pytest.param("in the receipt's commit", 2, marks=pytest.mark.exhaustive),
        pytest.param("receipt committed", 1, marks=pytest.mark.exhaustive),
    ],
)
def test_killed_anywhere_and_typed_again(past, company, point, nth):
    """What was sent is asked about, the rest goes out, and each conversion counts once."""
    past(*(sold(company, number) for number in range(2)))

    assert KILLED == company.killed(point, nth, ("backfill", *RANGE, "--yes"))
    assert 0 == backfill(company).code

    company.later()

    counted_once(company, range(2))


def test_killed_and_the_night_goes_on(past, company):
    """What was agreed to is kept, so nobody has to type it again."""
    past(*(sold(company, number) for number in range(2)))

    assert KILLED == company.killed("accepted, answer unread", 1, ("backfill", *RANGE, "--yes"))

    company.later()
    company.later()

    counted_once(company, range(2))


def test_beside_a_night(past, company):
    """Whoever comes second leaves with 75, and nothing is done."""
    past(sold(company, 1))
    codes = []
    company.before("oplead", "/v1/leads", lambda _: codes.append(company.command("backfill", *RANGE, "--yes")[0]))
    company.later()
    company.before("oplead", "/v1/leads", lambda _: None)

    assert {HELD} == set(codes)
    assert [] == company.ingests


def test_what_was_sent_by_other_means_never_goes_out(past, company, tmp_path):
    """By a list of leads, perhaps each with a conversion; ids nobody knows are told."""
    past(*(sold(company, number) for number in range(3)))
    listed = tmp_path / "imported.csv"
    listed.write_text("lead;conversion\n# by hand until September\nL-0\nL-1;sale\nL-9\n", encoding="utf-8-sig")
    typed = type_in(company, "backfill", "--already-sent", str(listed), "--yes")

    assert 0 == typed.code
    assert "3 conversions never go out" in typed.lines
    assert "1 lead never read: L-9" in typed.lines
    assert [] == company.ingests

    backfill(company)
    company.later()

    assert {("L-1", "appointment"), ("L-2", "appointment"), ("L-2", "sale")} == set(company.taken())
    assert ["already_sent"] * 3 == [row.reason for row in company.deliveries().values() if row.state == "skipped"]
    assert "says that the platform has it by other means" in type_in(company, "explain", "L-0").lines


def test_a_list_that_cannot_be_understood_changes_nothing(past, company, tmp_path):
    """Its line is named."""
    past(sold(company, 1))
    listed = tmp_path / "imported.csv"
    listed.write_text("L-1\nL-1,sale,2026-09-01\n")
    typed = type_in(company, "backfill", "--already-sent", str(listed), "--yes")
    listed.write_text("L-1,sales\n")
    unknown = type_in(company, "backfill", "--already-sent", str(listed), "--yes")

    assert (2, 2) == (typed.code, unknown.code)
    assert "imported.csv:2: write a lead's id" in typed.err
    assert "no conversion is called 'sales'" in unknown.err


def test_an_undated_change_goes_out_by_the_explicit_choice(past, company):
    """At the lead's last update, and never to Meta."""
    company.use_meta(funnel={})
    at = company.START - 6 * DAY
    past(sold(company, 1, at, statusDate=None, statusHistory=None, clicks=company.both(1)))
    held = backfill(company, "--dry-run", "--json", yes=False).objects[0]
    backfill(company, "--assume-time", "updated_at")
    company.later()

    assert {"appointment", "sale"} == {each["conversion"] for each in held["undated"]}
    assert {"accepted"} == set(company.states().values())
    assert {at.replace(microsecond=0)} == {row.at.replace(microsecond=0) for row in company.deliveries().values()}
    assert {"assumed"} == {row.origin for row in company.deliveries().values()}
    assert {"skipped"} == set(company.states("meta").values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backfill",), "write --from DAY and --to DAY"),
        (("backfill", "--from", "2026-09-01"), "write --from DAY and --to DAY"),
        (("backfill", "--from", "1/9/2026", "--to", "2026-09-02"), "write a day as 2026-09-01"),
        (("backfill", "--from", "2026-09-03", "--to", "2026-09-02", "--yes"), "--from is after --to"),
        (
            ("backfill", "--from", "2027-09-01", "--to", "2027-09-02", "--yes"),
            "--from 2027-09-01 is in the future, where nothing has happened yet; write a day up to 2026-09-",
        ),
        (("backfill", *RANGE, "--yes", "--conversion", "sales"), "the settings have appointment, sale"),
        (("backfill", *RANGE, "--yes", "--destination", "meta"), "the settings have google_ads"),
        (("backfill", *RANGE, "--json"), "write --yes to agree"),
        (("retry", "--yes", "--code", "NO_SUCH"), "--code NO_SUCH: nothing was rejected at all"),
    ],
)
def test_what_does_not_fit_is_refused(past, company, arguments, said):
    """With what to write instead, and exit code 2."""
    past()
    typed = type_in(company, *arguments)

    assert 2 == typed.code
    assert said in " ".join((typed.out + typed.err).replace("│", " ").split())


def test_a_source_that_fails_sends_nothing(past, company):
    """Exit code 3; typed again it goes on."""
    past(sold(company, 1))
    company.fail("oplead", "status", status=503, count=50)
    typed = backfill(company)
    company.heal()

    assert 3 == typed.code
    assert "reading stopped" in typed.lines
    assert [] == company.ingests
    assert 0 == backfill(company).code


def test_rejected_ones_are_sent_anew(company):
    """Shown by code, read again, and counted once Google knows their click."""
    lead = company.lead(1, ("Gagné", company.CREATED))
    company.sandbox.oplead.put("L-1", lead)
    company.night()
    company.later()

    assert {"rejected"} == set(company.states().values())

    keys = {row.key for row in company.deliveries().values()}
    company.serve(lead)
    shown = type_in(company, "retry", "--dry-run", "--json").objects[0]["rejected"]

    assert {"PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"} == {each["code"] for each in shown}
    assert 2 == sum(each["count"] for each in shown)
    assert {"rejected"} == set(company.states().values())

    typed = type_in(company, "retry", "--yes")
    company.later()

    assert 0 == typed.code
    assert ["/v1/leads/L-1"] == [entry["path"] for entry in company.asked("oplead", "/v1/leads/")]
    assert {"accepted"} == set(company.states().values())
    assert keys == {row.key for row in company.deliveries().values()}
    assert [] == company.disagreements()
    assert "Nothing was rejected that fits." in type_in(company, "retry", "--yes").lines
