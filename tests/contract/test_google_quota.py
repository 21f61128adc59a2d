"""The quota of a Google Cloud project, which all accounts that use it share through their states' database."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from connectors.errors import Transient
from connectors.google_ads.quota import LONGEST_WAIT, ReadOrWrite, project_of
from connectors.rate_limit import HISTORY, LONGEST_REQUEST, WINDOW
from connectors.records import Target
from jobs.cancellation import StoppedBySignal, never_cancelled
from jobs.settings import load
from jobs.settings.types import StateDatabaseAddress, StateFile
from jobs.wiring.account import account_inbox
from jobs.wiring.google_quota import GoogleQuotas
from jobs.wiring.night import open_connectors
from tests import postgresql, quick
from tests.fakes import NIGHT, FakeClock, slot

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def database():
    """The name of a new database that has the tables."""
    name = postgresql.server().create()
    yield name
    postgresql.server().drop(name)


@pytest.fixture
def limits(monkeypatch):
    """Sets small quotas; a key file's name is its project."""
    monkeypatch.setattr("connectors.google_ads.options.read_key", lambda path: {"project_id": path.stem})

    def limit(per_minute=100, per_day=1000):
        monkeypatch.setattr("connectors.google_ads.quota.PER_MINUTE", per_minute)
        monkeypatch.setattr("connectors.google_ads.quota.PER_DAY", per_day)

    limit()
    return limit


@pytest.fixture
def account(request, limits, tmp_path):
    """Makes the quotas of an account's night, each as a process of its own has them; by default on PostgreSQL."""
    del limits
    made = []

    def make(clock, *, is_file=False, cancel_token=never_cancelled, is_sandbox=True):
        if is_file:
            state = StateFile(tmp_path / "state.db")
        else:
            state = StateDatabaseAddress(
                SecretStr(postgresql.server().url(request.getfixturevalue("database"))), tmp_path
            )
        made.append(GoogleQuotas(state, clock, cancel_token, is_sandbox=is_sandbox))
        return made[-1]

    yield make
    for quotas in made:
        quotas.close()


def quota(quotas, project="shop", direction=ReadOrWrite.WRITE):
    """The quota of a destination whose key is of a project."""
    place = SimpleNamespace(endpoint="https://datamanager.googleapis.com/", credentials=Path(f"{project}.json"))
    return quotas.quota(place, direction)


def asked(quotas, **place):
    """Make requests until one would have to wait, and return how many that was."""
    pacer, count = quota(quotas, **place).pacer, 0
    while pacer.take_request_slot() is None:
        pacer.release_request_slot()
        count += 1
    return count


def test_processes_that_ask_at_once_never_exceed_a_minute_or_a_day(account, limits):
    """Three nights with two threads each, on one clock, for as long as there is some of the day's quota."""
    limits(per_minute=8, per_day=30)
    clock, sent, mutex = FakeClock(), [], threading.Lock()
    nights = [account(clock) for _ in range(3)]

    def ask(quotas):
        try:
            while len(sent) <= 30:
                with quota(quotas).wait_for_quota(), mutex:
                    sent.append(clock.now())
        except Transient as error:
            return error.retry_after
        return timedelta()

    with ThreadPoolExecutor(6) as threads:
        waits = list(threads.map(ask, nights * 2))

    assert 30 == len(sent)
    assert 8 >= max(sum(start <= at <= start + timedelta(seconds=60) for at in sent) for start in sent)
    assert DAY <= min(waits)
    assert max(waits) <= DAY + HOUR


def test_a_days_requests_count_whatever_became_of_their_processes(account, limits, database):
    """They are summed up in one row, and leave it once they are a day old."""
    limits(per_day=5)
    clock = FakeClock()
    for _ in range(3):
        with closing(account(clock)) as night, quota(night).wait_for_quota():
            pass
        clock.time += 2 * HOUR
    counts = [asked(account(clock)), asked(account(clock))]
    clock.time += DAY - 3 * HOUR
    counts.append(asked(account(clock)))
    with closing(postgresql.server().connect(database)) as connection:
        rows = Counter(process for (process,) in connection.execute("SELECT process FROM pace"))

    assert [2, 0, 2] == counts
    assert 1 == rows[""]
    assert 2 >= rows.total()


@pytest.mark.parametrize("skew", [-1000 * DAY, -HOUR / 2, 3 * HOUR])
def test_a_day_is_the_same_for_all_whatever_their_clocks_say(account, limits, database, skew):
    """It is the server's; who finds it used up is told for how long, and not until when."""
    limits(per_day=5)
    right, wrong, server = FakeClock(), FakeClock(NIGHT + skew), FakeClock()
    postgresql.server().set_clock(database, server.now())
    nights = [account(clock, is_sandbox=False) for clock in (right, wrong)]
    quota(nights[1]).pacer.take_request_slot()
    counts = [asked(nights[0]), asked(nights[1])]
    with pytest.raises(Transient, match="shop") as full, quota(nights[1]).wait_for_quota():
        pass
    for clock in (right, wrong, server):
        clock.time += full.value.retry_after
    postgresql.server().set_clock(database, server.now())

    assert [4, 0] == counts
    assert DAY < full.value.retry_after <= DAY + HOUR
    assert 5 == asked(nights[1]) + asked(nights[0])


def test_a_spent_project_costs_no_other_project_and_no_other_direction(account, limits):
    """Each has a quota of its own."""
    limits(per_day=2)
    clock = FakeClock()
    one, other = account(clock), account(clock)

    assert 2 == asked(one)
    with pytest.raises(Transient, match="shop"), quota(other).wait_for_quota():
        pass
    assert [2, 2] == [asked(other, project="garden"), asked(other, direction=ReadOrWrite.READ)]
    assert not clock.slept


def test_a_dead_process_blocks_nobody(account, limits):
    """Its request counts as answered once it is longer than any."""
    limits(per_minute=1)
    clock = FakeClock()
    quota(account(clock)).pacer.take_request_slot()
    began = clock.now()
    waits = []
    while not waits or clock.now() - began < LONGEST_REQUEST:
        try:
            with quota(account(clock)).wait_for_quota():
                waits.append(clock.now() - began)
        except Transient as error:
            clock.time += error.retry_after

    assert [True] == [LONGEST_REQUEST + WINDOW <= each <= LONGEST_WAIT * 2 for each in waits]


def test_a_full_minute_is_waited_for_and_a_stop_ends_the_wait(account, limits):
    """The wait is the clock's, which a signal ends; no turn is taken after it."""
    limits(per_minute=1)
    stopping = []

    def cancel_token():
        if stopping:
            raise StoppedBySignal(15)

    clock = FakeClock()
    night = account(clock, cancel_token=cancel_token)
    with quota(night).wait_for_quota():
        began = clock.now()
    with quota(night).wait_for_quota():
        waited = clock.now() - began
    stopping.append(True)
    with pytest.raises(StoppedBySignal), quota(night).wait_for_quota():
        pass

    assert WINDOW <= waited < LONGEST_WAIT


def test_beside_a_file_destinations_share_a_minute_within_the_process(account, limits):
    """There is no day's limit, and nothing is kept."""
    limits(per_minute=3, per_day=1)
    clock = FakeClock()
    night = account(clock, is_file=True)

    assert [3, 0] == [asked(night), asked(night)]
    assert [3, 3] == [asked(night, project="garden"), asked(night, direction=ReadOrWrite.READ)]


def test_the_database_holds_no_name_of_a_project(account, database):
    """A digest tells one from another."""
    asked(account(FakeClock()), project="invented-project")
    with closing(postgresql.server().connect(database)) as connection:
        rows = connection.execute("TABLE pace").fetchall()

    assert rows
    assert not [row for row in rows if "invented" in "".join(row)]


@pytest.mark.parametrize(
    ("key", "project"),
    [
        ({"project_id": "shop-1", "client_email": "job@other.iam.gserviceaccount.com"}, "shop-1"),
        ({"client_email": "job@shop-1.iam.gserviceaccount.com"}, "shop-1"),
        ({"project_id": None, "client_email": "job@shop.example.com.iam.gserviceaccount.com"}, "shop.example.com"),
        ({"project_id": "", "client_email": "job@project.example"}, "project.example"),
    ],
)
def test_a_key_file_tells_its_project(key, project):
    """By its own field, else by where the service account's address belongs."""
    assert project == project_of(key)


def test_what_a_night_shares_takes_one_connection_of_the_server(database, tmp_path):
    """Oplead's pace, Google's quota and the inbox take turns on it, beside the lease and the ledger's statements."""
    clock, key = FakeClock(), tmp_path / "key.json"
    key.write_text(quick.key_file())
    settings = tmp_path / "pipeline.yaml"
    settings.write_text(SETTINGS)
    loaded = load(settings, {"DATABASE": postgresql.server().url(database), "SECRET": "tok-0c5e-0c5e-0c5e-0c5e"})
    account_inbox(loaded.settings).open_inbox_for_writing().close()
    with open_connectors(loaded.settings, clock) as (_book, deps):
        with (
            slot(deps.source._client.pacer),
            deps.sinks["google_ads"].wait_for_quota(Target("data_manager", "1", "12", "WEB")),
        ):
            assert "" != deps.inbox.identity()
        with closing(postgresql.server().connect(database)) as connection:
            open_now = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            (count,) = connection.execute(open_now, (database,)).fetchone()

    assert 1 == count
    with closing(postgresql.server().connect(database)) as connection:
        rows = [HISTORY.validate_json(one) for (one,) in connection.execute("SELECT history FROM pace")]
        (server_time,) = connection.execute("SELECT clock_timestamp()").fetchone()
    assert [True] * 3 == [
        server_time - HOUR < at <= server_time for row in rows for at in (*row.answered, *row.per_hour)
    ]


SETTINGS = """
account: maison-durand
currency: EUR
state: ${DATABASE}
oplead: { token: "${SECRET}" }
webhooks: { secret: "${SECRET}" }
stages: { won: [Gagné], lost: Perdu }
consent: { ad_user_data: { field: leadData.consent, granted: oui, refused: non } }
google_ads: { customer_id: 123-456-7890, credentials: key.json }
conversions: [{ id: sale, stage: won, google_ads: { conversion_action: 12 } }]
"""
