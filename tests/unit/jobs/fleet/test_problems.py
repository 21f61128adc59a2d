"""What accounts need a human for: what is the same for many, and when it is over."""

from datetime import timedelta

import pytest

from connectors.language import Language, _, using_language
from connectors.records import DestinationId
from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import add_account, pause_account, remove_account, resume_account
from jobs.fleet.problems import incident_problem, read_fleet_problems, record_problems
from jobs.fleet.status import AccountState, load_fleet_status
from jobs.fleet.work import DidTask, WorkResult
from jobs.reporting.page.facts import Level, ResponsibleParty
from jobs.rules.incident import Incident, IncidentId, IncidentKind
from jobs.rules.reasons import DestinationScope, StopCause, StopKind

pytestmark = pytest.mark.xdist_group("postgresql")
GRANT = "the key is refused (invalid_grant) for customer 123-456-7890"
PLATFORMS = {"google_ads": "google_ads", "google-sud": "google_ads", "meta": "meta"}


@pytest.fixture
def connection(database):
    """A connection to a fleet of three accounts."""
    with database.connect() as opened:
        for name in ("one", "two", "three"):
            add_account(opened, name, "", first_run=True)
        yield opened


def stopped(account="one", *, destination="google_ads", answer=GRANT, hours=1, **scope):
    """A destination of an account that has stopped."""
    about = DestinationScope(DestinationId(destination), **scope)
    stop = StopCause(StopKind.REFUSED, (answer,))
    incident = Incident(IncidentId(IncidentKind.STOPPED, about), {"why": stop})
    return incident_problem(account, incident, timedelta(hours=hours), PLATFORMS)


def night(*problems, exit_code=Exit.STOPPED, task=DidTask.NIGHT):
    """A night that has found this."""
    return WorkResult(task, exit_code, problems=problems)


def failed(why, exit_code=Exit.CONFIGURATION):
    """A night that could not run."""
    return WorkResult(DidTask.NIGHT, exit_code, why=why)


def record(connection, account, result, *, asked=False):
    """Record what a run says of its account's problems."""
    record_problems(connection, account, result, asked=asked)


def causes(connection):
    """The accounts of each cause."""
    return [list(cause.accounts) for cause in read_fleet_problems(connection)]


def test_same_problem_of_many_accounts_is_one_cause(connection):
    """Whatever they call the destination, and whichever customer or action was named in the answer."""
    record(connection, "one", night(stopped("one", hours=3), stopped("one", corrections=True)))
    record(connection, "two", night(stopped("two", destination="google-sud", action="12345678")))
    other = GRANT.replace("123-456-7890", "999-999-9999")
    record(connection, "three", night(stopped("three", answer=other, hours=2)))

    (cause,) = read_fleet_problems(connection)

    assert ["one", "three", "two"] == list(cause.accounts)
    assert (Level.RED, ResponsibleParty.MARKETING, "google_ads stopped") == (cause.level, cause.who, cause.title)
    assert cause.text.startswith(f"one, for example: {GRANT}\n")


@pytest.mark.parametrize(
    "changes", [{"destination": "meta"}, {"answer": "HTTP 401"}, {"answer": "HTTP 403"}, {"answer": "the quota"}]
)
def test_different_problems_are_different_causes(connection, changes):
    """Another platform, or another answer."""
    record(connection, "one", night(stopped(answer="HTTP 500")))
    record(connection, "two", night(stopped("two", **{"answer": "HTTP 500"} | changes)))

    assert [["one"], ["two"]] == sorted(causes(connection))


def test_failure_is_the_same_in_each_language_and_for_each_name(connection):
    """What only one account has is passed over; each reader reads it in their language."""
    for name, language in (("one", Language.ENGLISH), ("two", Language.FRENCH)):
        with using_language(language):
            why = _("{name} is paused: resume it first", name=name)
        record(connection, name, failed(why))

    assert [["one", "two"]] == causes(connection)
    with using_language(Language.FRENCH):
        (cause,) = read_fleet_problems(connection)
    assert "est en pause" in cause.text


@pytest.mark.parametrize(
    "why",
    [
        "the environment variable MAISON_{upper}_TOKEN is not set: type  export MAISON_{upper}_TOKEN=…",
        "the environment variable {upper}__TOKEN is not set: type  export {upper}__TOKEN=…",
        (
            "TOKEN does not belong to {name}: in a fleet, this account may name variables that begin with {upper}__ "
            "and files in /srv/{name}."
        ),
        "/run/accounts/{name}-google.json: No such file or directory",
        "google_ads.credentials: the file /run/accounts/{name}.key is empty",
    ],
)
def test_secrets_that_are_missing_everywhere_are_one_cause(connection, why):
    """Each account has its own variable or file, and a machine that was set up wrongly has none of them."""
    for name in ("one", "two", "three"):
        record(connection, name, failed(why.format(name=name, upper=name.upper())))

    (cause,) = read_fleet_problems(connection)
    assert 3 == len(cause.accounts)
    assert cause.text.startswith(f"{cause.accounts[0]}, for example: ")


def test_night_knows_all_that_is_open(connection):
    """What it does not find is over; what it finds again goes on since then."""
    record(connection, "one", night(stopped(hours=5), stopped(destination="meta")))
    began = read_fleet_problems(connection)[0].since
    record(connection, "one", night(stopped(hours=0)))

    (cause,) = read_fleet_problems(connection)
    assert began == cause.since

    record(connection, "one", night(exit_code=Exit.DONE))
    assert [] == causes(connection)


def test_outcomes_mend_no_night(connection):
    """Only a night shows that a night runs again; what a run did not look at stays as it was."""
    record(connection, "one", night(stopped()))
    record(connection, "one", failed("no token"))
    assert [["one"], ["one"]] == causes(connection)

    record(connection, "one", WorkResult(DidTask.NOTHING, Exit.DONE))
    record(connection, "one", WorkResult(DidTask.NIGHT, Exit.HELD, why="its database is away"))
    record(connection, "one", night(stopped(), task=DidTask.OUTCOMES))
    assert [["one"], ["one"]] == causes(connection)

    record(connection, "one", night(stopped()))
    assert [["one"]] == causes(connection)


def test_another_failure_is_another_problem(connection):
    """An account has one at a time, since its own time."""
    record(connection, "one", failed("no token"))
    connection.execute("UPDATE fleet_problem SET since = now() - interval '1 day'")
    record(connection, "one", failed("no token"))
    (before,) = read_fleet_problems(connection)
    record(connection, "one", failed("no key", Exit.BUG))
    (after,) = read_fleet_problems(connection)

    assert timedelta(days=1) == after.since - before.since
    assert "no key" == after.text


def test_nothing_is_expected_of_accounts_that_do_not_run(connection):
    """And one that comes back begins anew."""
    for name in ("one", "two", "three"):
        record(connection, name, failed("no token"))
    pause_account(connection, "one")
    remove_account(connection, "two")
    assert [["three"]] == causes(connection)

    connection.execute("UPDATE fleet_problem SET seen_at = now() - interval '1 hour'")
    add_account(connection, "two", "", first_run=False)
    assert ["two"] not in causes(connection)


def test_attention_without_an_incident_says_why(connection):
    """So that no account needs a human without a reason."""
    record(connection, "one", WorkResult(DidTask.NIGHT, Exit.ATTENTION, why="look", problems=()))

    (cause,) = read_fleet_problems(connection)
    assert (Level.AMBER, "Somebody is needed", "look") == (cause.level, cause.title, cause.text)


def test_leads_do_not_leave_the_account():
    """A rejected one's id is of no use elsewhere."""
    about = DestinationScope(DestinationId("meta"))
    values = {"leads": ("lead-77",), "codes": ("X",)}
    problem = incident_problem(
        "one", Incident(IncidentId(IncidentKind.REJECTED, about), values), timedelta(), PLATFORMS
    )

    assert "lead-77" not in problem.details


def test_late_nights_are_a_cause_unless_their_account_has_told_why(connection):
    """Too few workers are told of as well; of a paused account nothing is expected."""
    connection.execute("UPDATE fleet_account SET night_at = now() - interval '61 minutes'")
    connection.execute("UPDATE fleet_account SET night_at = now() - interval '59 minutes' WHERE name = 'two'")
    (cause,) = read_fleet_problems(connection)
    assert (["one", "three"], Level.RED, "Nights are late") == (list(cause.accounts), cause.level, cause.title)

    record(connection, "one", failed("no token"))
    assert [["one"], ["three"]] == sorted(causes(connection))
    pause_account(connection, "three")
    assert [["one"]] == causes(connection)


def test_only_what_keeps_nights_from_running_explains_that_one_is_late(connection):
    """Not what a night has told that ran, nor what an account had before it came back into the fleet."""
    record(connection, "one", failed("look", Exit.ATTENTION))
    record(connection, "two", failed("no token"))
    connection.execute("UPDATE fleet_problem SET seen_at = now() - interval '1 day' WHERE account = 'two'")
    remove_account(connection, "two")
    add_account(connection, "two", "", first_run=False)
    connection.execute("UPDATE fleet_account SET night_at = now() - interval '2 hours' WHERE name <> 'three'")

    assert [["one"], ["one", "two"]] == sorted(causes(connection))


def test_account_that_runs_again_is_not_late_for_nights_that_nobody_expected(connection):
    """Paused, or removed and added again; one that runs all the same stays late."""
    pause_account(connection, "one")
    remove_account(connection, "two")
    connection.execute("UPDATE fleet_account SET night_at = now() - interval '2 days'")

    for name in ("one", "three"):
        resume_account(connection, name)
    for name in ("two", "three"):
        add_account(connection, name, "new", first_run=True)

    assert [["three"]] == causes(connection)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(WorkResult(DidTask.UNABLE, Exit.HELD, why="no such name in the vault"), id="a vault"),
        pytest.param(WorkResult(DidTask.NOTHING, Exit.HELD, timedelta(hours=9), why="away"), id="a database"),
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_account_whose_nights_are_only_ever_tried_is_late_after_an_hour(connection, result, is_new):
    """Though nothing of what holds it up needs a human at once, and each try makes it due later."""
    for name in ("two", "three"):
        remove_account(connection, name)
    if not is_new:
        connection.execute("UPDATE fleet_account SET night_at = now()")
    passed, told_after = timedelta(), []
    for job in range(9):
        run = queue.begin_run(connection, "one", job=job, machine="machine", version=1)
        assert queue.end_run(connection, run, result)
        record(connection, "one", result)
        wait = "SELECT due_at - now() AS wait FROM fleet_account WHERE name = 'one'"
        wait = connection.execute(wait).fetchone()["wait"]
        passed += wait
        connection.execute("UPDATE fleet_account SET due_at = now(), night_at = night_at - %s", [wait])
        if causes(connection):
            told_after.append(passed)
            (told,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts
            assert (AccountState.LATE, Exit.HELD, result.why) == (told.state, told.exit_code, told.why.split(": ")[-1])

    assert timedelta(hours=1) < told_after[0] <= timedelta(hours=2)
    assert passed == told_after[-1]
