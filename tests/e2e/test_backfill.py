"""`backfill` and `retry` as operators type them: previewed, approved, sent once, without disturbing nightly runs."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from jobs.cancellation import never_cancelled
from jobs.cli.night import approval
from jobs.exit_codes import UsageError
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
RANGE = ("--from", "2026-08-20", "--to", "2026-09-05")
OLD = datetime(2026, 9, 3, 9, 0, tzinfo=UTC)
"""A moment inside `RANGE`."""
KILLED = -9
HELD = 75


@pytest.fixture
def past(company):
    """A company without `since` dates; `past(*leads)` serves leads and does a first run, so they predate the start."""
    for conversion in company.settings["conversions"]:
        conversion.pop("since")

    def serve(*leads):
        company.serve(*leads)
        company.night()
        return company

    return serve


def sold(company, number, at=OLD, **more):
    """A lead won at that time: an appointment and a sale."""
    return company.lead(number, ("Gagné", at), **more)


def backfill(company, *arguments, yes=True, **more):
    """Type a backfill of `RANGE`."""
    return type_in(company, "backfill", *RANGE, *arguments, *(["--yes"] if yes else []), **more)


def counted_once(company, numbers):
    """Assert that both conversions of each lead are accepted, and that Google counted each once."""
    names = {(f"L-{number}", conversion) for number in numbers for conversion in ("appointment", "sale")}
    accepted = {name for name, state in company.states().items() if state == "accepted"}
    assert names == accepted
    assert sorted(names) == sorted(company.taken())
    assert [] == company.disagreements()


def test_dry_run_groups_conversions_by_age_and_changes_nothing(past, company):
    """The groups also count what waits, what is withheld and what has expired."""
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


def test_repeated_backfill_sends_once_and_keeps_cursor_and_starts(past, company):
    """Typing it again sends nothing more and moves neither the nightly cursor nor the start dates."""
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


def test_without_a_terminal_it_asks_for_yes_or_dry_run(past, company):
    """It refuses before reading anything from Oplead."""
    past(sold(company, 1))
    asked = len(company.asked("oplead"))
    typed = backfill(company, yes=False)

    assert 2 == typed.code
    assert "--yes" in typed.err
    assert "--dry-run" in typed.err
    assert asked == len(company.asked("oplead"))


@pytest.mark.parametrize(("answer", "sent"), [(b"y\n", 1), (b"\n", 0)])
def test_asks_for_approval_at_a_terminal(past, company, answer, sent):
    """Enter alone means no."""
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


def test_waiting_for_approval_times_out(monkeypatch):
    """The account is locked while the question is open."""
    monkeypatch.setattr(approval, "PATIENCE_SECONDS", 0)

    with pytest.raises(UsageError, match="write --yes"):
        approval.ApprovalOptions().ask_approval("Send?", never_cancelled)


@pytest.mark.parametrize("state_in", ["file", pytest.param("database", marks=pytest.mark.exhaustive)])
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
def test_retyping_a_killed_backfill_counts_each_conversion_once(past, company, point, nth):
    """The second run replays what was sent and sends the rest."""
    past(*(sold(company, number) for number in range(2)))

    assert KILLED == company.killed(point, nth, ("backfill", *RANGE, "--yes"))
    assert 0 == backfill(company).code

    company.later()

    counted_once(company, range(2))


@pytest.mark.parametrize("state_in", ["file", "database"])
def test_nightly_run_finishes_a_killed_backfill(past, company):
    """The approval is stored, so no one has to type the command again."""
    past(*(sold(company, number) for number in range(2)))

    assert KILLED == company.killed("accepted, answer unread", 1, ("backfill", *RANGE, "--yes"))

    company.later()
    company.later()

    counted_once(company, range(2))


def test_refuses_to_run_beside_a_nightly_run(past, company):
    """The second process exits with 75 and does nothing."""
    past(sold(company, 1))
    codes = []
    company.before("oplead", "/v1/leads", lambda _: codes.append(company.command("backfill", *RANGE, "--yes")[0]))
    company.later()
    company.before("oplead", "/v1/leads", lambda _: None)

    assert {HELD} == set(codes)
    assert [] == company.ingests


def test_already_sent_conversions_are_skipped(past, company, tmp_path):
    """The list names leads, optionally with a conversion; the command reports ids it does not know."""
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
    assert "said that the platform has it: by other means" in type_in(company, "explain", "L-0").lines


def test_already_sent_rejects_a_malformed_list(past, company, tmp_path):
    """The message names the line."""
    past(sold(company, 1))
    listed = tmp_path / "imported.csv"
    listed.write_text("L-1\nL-1,sale,2026-09-01\n")
    typed = type_in(company, "backfill", "--already-sent", str(listed), "--yes")
    listed.write_text("L-1,sales\n")
    unknown = type_in(company, "backfill", "--already-sent", str(listed), "--yes")

    assert (2, 2) == (typed.code, unknown.code)
    assert "imported.csv:2: write a lead's id" in typed.err
    assert "no conversion is called 'sales'" in unknown.err


def test_assume_time_sends_undated_changes_to_google_only(past, company):
    """`--assume-time updated_at` dates them by the lead's last update; Meta never gets them."""
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
        (("backfill", "--from", "1/9/2026", "--to", "2026-09-02"), "1/9/2026 may be 2026-09-01 or"),
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
def test_rejects_invalid_arguments(past, company, arguments, said):
    """The message says what to write instead, and the exit code is 2."""
    past()
    typed = type_in(company, *arguments)

    assert 2 == typed.code
    assert said in " ".join((typed.out + typed.err).replace("│", " ").split())


def test_sends_nothing_when_oplead_fails(past, company):
    """The exit code is 3, and typing the command again resumes."""
    past(sold(company, 1))
    company.fail("oplead", "status", status=503, count=50)
    typed = backfill(company)
    company.heal()

    assert 3 == typed.code
    assert "reading stopped" in typed.lines
    assert [] == company.ingests
    assert 0 == backfill(company).code


def test_retry_resends_rejected_conversions_with_the_same_keys(company):
    """It lists them by code, reads the lead again, and Google counts them once it knows their click."""
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
