"""Webhooks of accounts whose state is in a PostgreSQL database: several receivers, one inbox, nights that read it."""

import json
import random
import threading
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta

import httpx
import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from jobs.ledger.storage.postgresql import SharedDatabase
from jobs.webhooks.postgresql_inbox import WebhookInboxTable
from tests import postgresql
from tests.e2e.support.forked import Forked
from tests.e2e.support.webhook_receiver import PATIENCE, SECRET, ReceiverProcess
from tests.e2e.support.webhook_sender import Sender
from tests.e2e.test_webhooks import HOOK, PERSON, _until, body

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def database():
    """The name of a new database that has the tables."""
    name = postgresql.server().create()
    yield name
    postgresql.server().drop(name)


def stored(database):
    """The lead of every stored event."""
    with closing(postgresql.server().connect(database)) as connection:
        return [lead for (lead,) in connection.execute("SELECT lead FROM webhook_event ORDER BY id")]


@pytest.mark.parametrize("count", [200, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_what_either_of_two_receivers_acknowledged_is_stored_once(tmp_path, database, count):
    """Every event is sent to both, in another order, and each is killed twice; the senders go on until heard."""
    events = [[body(number) for number in range(turn * count, (turn + 1) * count)] for turn in range(4)]
    url = postgresql.server().url(database)
    receivers = [ReceiverProcess(tmp_path / name, state=url) for name in ("one", "other")]
    senders = [Sender(each.port, HOOK, connections=4, patience=100) for each in receivers]
    dice = random.Random(7)
    with ExitStack() as running:
        for receiver in receivers:
            running.enter_context(receiver)
        for turn, bodies in enumerate(events):
            orders = [dice.sample(bodies, count) for _ in senders]
            sending = [
                threading.Thread(target=each.deliver, args=[order]) for each, order in zip(senders, orders, strict=True)
            ]
            for thread in sending:
                thread.start()
            receiver, sender = receivers[turn % 2], senders[turn % 2]
            _until(lambda of=sender, wanted=turn * count + 10: len(of.acknowledged) >= wanted)
            acknowledged = [json.loads(one) for one in sender.acknowledged]
            receiver.kill()
            assert {one.get("lead", one)["id"] for one in acknowledged} <= set(stored(database))
            receiver.start()
            for thread in sending:
                thread.join(100)
        ended = [receiver.stop() for receiver in receivers]

    assert [0, 0] == [code for code, _ in ended]
    assert [4 * count, 4 * count] == [len(sender.acknowledged) for sender in senders]
    assert 0 < sum(sender.failed for sender in senders)
    assert {f"L-{number}": 1 for number in range(4 * count)} == Counter(stored(database))
    for secret in (url, SECRET, *PERSON.values()):
        assert secret not in "".join(receiver.log for receiver in receivers)


def test_a_receiver_that_starts_before_its_database_refuses_until_that_answers(tmp_path, database):
    """As during an outage: nothing is acknowledged, and nobody has to start it again."""
    with started_during_an_outage(tmp_path, database) as (receiver, post, refused):
        _until(lambda: post().status_code == 204)
        code, _ = receiver.stop()

    assert (503, "10") == (refused.status_code, refused.headers["Retry-After"])
    assert (0, ["L-1"]) == (code, stored(database))
    assert 1 == receiver.log.count("the inbox's database is away; senders are told to try again until it answers")
    assert postgresql.PASSWORD not in receiver.log


@contextmanager
def started_during_an_outage(folder, database):
    """A receiver, what posts an event to it, and the answer that it gave before the server was back."""
    server = postgresql.server()
    receiver = ReceiverProcess(folder, state=server.url(database))

    def post():
        return httpx.post(f"http://127.0.0.1:{receiver.port}{HOOK}", content=body(1), timeout=PATIENCE)

    with ExitStack() as running:
        server.halt()
        try:
            running.enter_context(receiver)
            refused = post()
        finally:
            server.start()
        yield receiver, post, refused


def test_a_receiver_whose_database_came_back_and_must_be_mended_ends(tmp_path, database):
    """As it would have at its start, rather than refuse for ever; also where no event comes any more."""
    with closing(postgresql.server().connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with started_during_an_outage(tmp_path, database) as (receiver, _, refused):
        code, said = receiver.ended()

    assert (503, 2) == (refused.status_code, code)
    assert "a newer oplead-sync set up this database" in said


def test_a_receiver_whose_database_must_be_mended_ends(tmp_path):
    """With 2, which no service manager starts again."""
    with postgresql.server().database() as url:
        receiver = ReceiverProcess(tmp_path, state=url)
        command = ["oplead", "webhooks", "serve", "--config", str(receiver.settings)]
        ended = Forked(command, environ=receiver.environ, cwd=tmp_path)
        _, said = ended.communicate(timeout=PATIENCE)

    assert 2 == ended.returncode
    assert "run `oplead-sync fleet deploy` first" in said


@pytest.fixture
def played(company, database):
    """Plays commands of a company whose state is in a database."""
    company.settings["webhooks"] = {"secret": "${HOOK}"}
    company.environ |= {"HOOK": SECRET, "DATABASE": postgresql.server().url(database)}

    def play(*arguments, code=0):
        config = company.config
        config.write_text(json.dumps(json.loads(config.read_text()) | {"state": "${DATABASE}"}))
        with company.ended(company.start_command(*arguments, config=config)) as process:
            out, err = process.communicate(timeout=60)
            assert process.returncode == code, out + err
            return out

    return play


def test_a_night_takes_up_what_a_database_holds_and_forget_erases_it(company, played, database):
    """A sale that Oplead dates nowhere has the time that the webhook told."""
    sold = company.START + 10 * HOUR
    company.sandbox.oplead.set_switch("status_dates", "none")
    company.serve(company.lead(1), company.lead(2))
    played("run", "--first-run")
    company.clock.advance(sold + HOUR)
    company.serve(company.lead(1, ("Gagné", sold)))
    told = [WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(name), "Gagné", Moment(sold)) for name in ("L-1", "L-9")]
    location = WebhookInboxTable(SharedDatabase(postgresql.server().url(database)), "maison-test")
    with closing(location.open_inbox_for_writing()) as inbox:
        inbox.append_events([ReceivedEvent(each, sold, str(each.lead), is_unique=True) for each in told])
    status = json.loads(played("status", "--json"))
    company.clock.advance(company.START + DAY)
    night = json.loads(played("run", "--json", code=1))  # nobody knows L-9
    company.clock.advance(company.clock.now() + company.OUTCOMES_AFTER)
    person = json.loads(played("export-person", "--lead", "L-1"))
    forgotten = json.loads(played("forget", "--lead", "L-1", "--json"))

    assert 2 == status["webhooks"]["count"]
    assert 2 == night["pulled"]["webhooks"]["leads"]
    assert 1 == len(person["webhook_events"])
    assert {sold} == {line.at for line in company.counted()}
    assert (1, []) == (forgotten["events"], forgotten["unfinished"])
    assert ["L-9"] == stored(database)
    assert 0 == json.loads(played("status", "--json"))["webhooks"]["count"]
