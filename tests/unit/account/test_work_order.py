"""What a fleet's worker makes of an account: what its own machine lacks is told from what no machine could run."""

import json
from contextlib import closing, nullcontext
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from connectors.language import Language, translated, using_language
from jobs.account.runner import AccountNightRunner
from jobs.account.work_order import WorkOrderExecutor, _result
from jobs.cancellation import StopSignal
from jobs.exit_codes import Exit
from jobs.fleet.accounts import StoredSettings
from jobs.fleet.work import DidTask, WorkOrder, WorkResult
from jobs.ledger.storage.state_file import OtherSchemaError
from jobs.privacy.redaction import Redaction
from jobs.scheduler import TaskOutcome
from jobs.timetable import daily_timetable
from tests.postgresql import server

SETTINGS = """
account: maison
currency: EUR
schedule: { daily: "05:30" }
oplead: { token: "${MAISON__TOKEN}" }
stages: { won: Gagné, lost: Perdu }
consent: { ad_user_data: { field: leadData.consent, granted: oui, refused: non } }
google_ads: { customer_id: 123-456-7890, credentials: maison/key.json }
conversions: [{ id: sale, stage: won, google_ads: { conversion_action: 12 } }]
"""
KEY = {"type": "service_account", "client_email": "x", "private_key": "x", "token_uri": "https://oauth2.example/token"}
TOKEN = {"MAISON__TOKEN": "tok-5a1d"}
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def did(tmp_path):
    """What becomes of an order for an account of these settings on a machine with these variables."""

    def execute(text, environ, key=None, clock_error=timedelta()):
        if key is not None:
            (tmp_path / "maison").mkdir(exist_ok=True)
            (tmp_path / "maison" / "key.json").write_text(json.dumps(key), encoding="utf-8")
        stored = StoredSettings("maison", 1, text, False, datetime(2026, 11, 28, tzinfo=UTC), None)
        order = WorkOrder(stored, timedelta(days=1), clock_error=clock_error)
        with closing(StopSignal()) as stop:
            return WorkOrderExecutor(tmp_path, stop, Redaction(), environ).execute_work_order(order)

    return execute


@pytest.mark.parametrize(
    ("changes", "code", "why"),
    [
        pytest.param({"environ": {}}, Exit.CONFIGURATION, "MAISON__TOKEN is not set", id="a variable"),
        pytest.param({"key": None}, Exit.CONFIGURATION, "the key file does not exist", id="a file"),
        pytest.param({"key": {}}, Exit.CONFIGURATION, "the key file is not", id="what the file should hold"),
        pytest.param(
            {"environ": {"OPLEAD_SYNC_SECRETS_COMMAND": "/no/such/command"}},
            Exit.CONFIGURATION,
            "the command cannot be run",
            id="a command",
        ),
        pytest.param(
            {"environ": {"OPLEAD_SYNC_SECRETS_COMMAND": "/bin/false"}},
            Exit.HELD,
            "the command ended with 1",
            id="a vault that answers",
        ),
        pytest.param(
            {"text": f"{SETTINGS}of_a_later_version: true\n"}, Exit.CONFIGURATION, "no such key", id="a newer program"
        ),
    ],
)
def test_account_whose_machine_lacks_something_is_left_to_another(did, changes, code, why):
    """Its settings were valid where they were added; no night of it is put off."""
    result = did(**{"text": SETTINGS, "environ": TOKEN, "key": KEY} | changes)

    assert (DidTask.UNABLE, code, None, None) == (result.task, result.exit_code, result.next_in, result.night_in)
    assert why in result.why
    assert "maison.yaml" not in result.why


def test_worker_hands_no_account_a_secret_of_another(did):
    """Also where the settings were stored before that was refused; they stay due, as the owner may mend it."""
    environ = TOKEN | {"VILLA__TOKEN": "tok-0ther"}
    result = did(SETTINGS.replace("MAISON__TOKEN", "VILLA__TOKEN"), environ, KEY)

    assert (DidTask.UNABLE, Exit.CONFIGURATION) == (result.task, result.exit_code)
    assert result.why.startswith("oplead.token: VILLA__TOKEN does not belong to maison")


def test_account_whose_state_s_database_is_away_does_not_put_off_its_night(did):
    """It is as undone as before, and late if it was: not due with the next one only."""
    result = did(SETTINGS + "state: postgresql://oplead@127.0.0.1:1/none\n", TOKEN, KEY)

    assert (DidTask.NOTHING, Exit.HELD, None) == (result.task, result.exit_code, result.night_in)


@pytest.mark.xdist_group("postgresql")
@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_account_whose_state_s_database_is_of_another_version_is_tried_again(did, revision):
    """Nothing is wrong with it: somebody deploys, or was interrupted; its night is not put off meanwhile."""
    with server().database(like="deployed") as url:
        with server().connect(url.partition("?")[0].rpartition("/")[2]) as connection:
            connection.execute("UPDATE public.alembic_version SET version_num = %s", [revision])
        result = did(SETTINGS + "state: ${MAISON__STATE}\n", TOKEN | {"MAISON__STATE": url}, KEY)

    assert (DidTask.NOTHING, Exit.HELD, None) == (result.task, result.exit_code, result.night_in)


def test_night_that_meets_another_version_halfway_is_tried_again(did, monkeypatch):
    """As one that another run holds."""

    def do_night(*_, **__):
        raise OtherSchemaError("upgraded")

    monkeypatch.setattr("jobs.account.runner.do_night", do_night)
    monkeypatch.setattr(AccountNightRunner, "timetable", lambda _self: daily_timetable("05:30", PARIS))
    result = did(SETTINGS, TOKEN, KEY)

    assert (DidTask.NIGHT, Exit.HELD, "upgraded") == (result.task, result.exit_code, result.why)
    assert result.night_in < timedelta()


def test_account_that_no_machine_could_run_waits_for_its_next_night(did):
    """Its state is gone, and it may not begin anew."""
    result = did(SETTINGS, TOKEN, KEY)

    assert (DidTask.NOTHING, Exit.CONFIGURATION) == (result.task, result.exit_code)
    assert timedelta() < result.next_in <= timedelta(hours=25)


def test_account_is_left_to_a_machine_whose_clock_is_right(did):
    """Oplead's would end its night. It is one cause, however wrong the clock is, and the log has by how much."""
    with capture_logs() as logs:
        results = [did(SETTINGS, TOKEN, KEY, timedelta(minutes=minutes)) for minutes in (-61, -62, 1440)]
    (why,) = {each.why for each in results}

    assert {WorkResult(DidTask.UNABLE, Exit.CONFIGURATION, why=why)} == set(results)
    assert why.startswith("this machine's clock and the database's are more than an hour apart")
    with using_language(Language.FRENCH):
        assert "ont plus d’une heure d’écart" in translated(why)
    assert [-61 * 60, -62 * 60, 1440 * 60] == [each["seconds_ahead"] for each in logs]


LOCAL = "http://127.0.0.1:1"
SANDBOX = SETTINGS.replace("oplead: {", f"clock: '{LOCAL}'\noplead: {{ base_url: '{LOCAL}',").replace(
    "google_ads: { customer", f"google_ads: {{ endpoint: '{LOCAL}', ads_api_endpoint: '{LOCAL}', customer"
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(SETTINGS, timedelta(hours=1), id="a little wrong"),
        pytest.param(SETTINGS, timedelta(hours=-1), id="a little wrong, behind"),
        pytest.param(SANDBOX, timedelta(days=2), id="a sandbox's clock"),
    ],
)
def test_clock_that_does_no_harm_keeps_no_account_from_its_night(did, text, error):
    """One that is a little wrong, or by which the account does not go."""
    result = did(text, TOKEN, KEY | {"token_uri": f"{LOCAL}/token"}, error)

    assert DidTask.NOTHING is result.task


@pytest.mark.parametrize("error", [timedelta(minutes=-50), timedelta(), timedelta(minutes=50)])
def test_night_is_due_by_the_database_s_clock(did, monkeypatch, error):
    """Whatever this machine's says: none is put off by what it is behind, nor done before its time."""
    done = [date(2026, 11, 28)]
    machine = SimpleNamespace()

    def run_night_if_due(_self, night, _clock, *, if_missed):
        assert not if_missed
        if night in done:
            return TaskOutcome()
        done.append(night)
        return TaskOutcome(run=len(done))

    monkeypatch.setattr(AccountNightRunner, "timetable", lambda _self: daily_timetable("05:30", PARIS))
    monkeypatch.setattr(AccountNightRunner, "open_clock", lambda _self: nullcontext(machine))
    monkeypatch.setattr(AccountNightRunner, "run_night_if_due", run_night_if_due)
    due = datetime(2026, 11, 29, 5, 30, tzinfo=PARIS)
    results = []
    for minutes in (-1, 1, 2):
        machine.now = lambda at=due + timedelta(minutes=minutes) + error: at
        results.append(did(SETTINGS, TOKEN, KEY, error))

    assert [DidTask.NOTHING, DidTask.NIGHT, DidTask.NOTHING] == [each.task for each in results]
    waits = [timedelta(minutes=1), timedelta(days=1, minutes=-1), timedelta(days=1, minutes=-2)]
    assert waits == [each.next_in for each in results]
    assert waits == [each.night_in for each in results]
    assert [date(2026, 11, 28), date(2026, 11, 29)] == done


def test_account_that_could_not_run_is_next_due_by_the_database_s_clock(did, monkeypatch):
    """As one whose night ran."""

    class Machine(datetime):
        @classmethod
        def now(cls, zone):
            return datetime(2026, 11, 29, 12, 0, tzinfo=zone)

    monkeypatch.setattr("jobs.account.work_order.datetime", Machine)
    ahead, behind = (did(SETTINGS, TOKEN, KEY, timedelta(minutes=minutes)).next_in for minutes in (30, -30))

    assert [timedelta(hours=18), timedelta(hours=17)] == [ahead, behind]


YEAR = timedelta(days=365)


@pytest.mark.parametrize("wrong_by", [YEAR, timedelta(hours=-8), -YEAR])
def test_clock_that_is_corrected_during_a_night_does_not_put_the_account_off(wrong_by):
    """It is next due by the right time, or at once, which does nothing twice."""
    now = datetime(2026, 11, 29, 5, 33, tzinfo=PARIS)
    table = daily_timetable("05:30", PARIS)
    outcome = TaskOutcome(now + wrong_by + timedelta(hours=1), run=1)

    result = _result(DidTask.NIGHT, outcome, table, None, began=now + wrong_by, now=now)

    for span in (result.next_in, result.night_in):
        assert span <= timedelta(days=1)
