"""Nights of a fleet whose workers, database, receivers and platforms fail; drawn from a seed."""

import copy
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from jobs.ledger import schema
from jobs.ledger.storage.postgresql_state import PostgresqlState
from tests.e2e.support.chaos import DAY, Chaos
from tests.e2e.support.company import Company
from tests.e2e.support.fleet import IMPATIENT, PATIENCE, descendants, send_signal, stop_all
from tests.e2e.support.traffic import Traffic
from tests.e2e.support.webhook_receiver import SECRET, ReceiverProcess
from tests.e2e.support.webhook_sender import Sender
from tests.e2e.test_webhooks import body
from tests.postgresql import server

WAYS = 3
"""Seeds that are a multiple of it send over Data Manager, which knows accounts apart by their keys alone."""
OUTCOMES_AFTER = timedelta(minutes=65)
"""A little later than a fleet asks for outcomes."""
QUIET = (DAY, 4 * DAY)
"""Days to the next night once nothing fails; sales that were lost are undone after three."""
LONGEST_DAY = timedelta(hours=25)
"""One on which the clocks go back."""
WORKED = (0, 1, 3)
"""Exit codes of work that came to an end."""
BLOWS = ("kill", "kill", "kill a child", "cut", "pause", "pause and cut")
"""What may befall the fleet at any time."""
PLANNED = (("restart", "kill receiver", "pause"), ("crash", "kill receiver", "pause and cut"))
"""What befalls it anyway, from night to night in turn."""
EVENTS = 150
"""Webhooks that arrive each night."""
PACE = """
import functools
import jobs.account.fleet_worker as started
from jobs.fleet.worker import WorkerIntervals
pace = WorkerIntervals(look=0.5, poll=0.3, heartbeat=0.5, dead_after=3.0, drain=15.0)
started.FleetWorker = functools.partial(started.FleetWorker, pace=pace)
"""
"""A worker whose minutes are seconds."""


class FleetChaos:
    """Accounts that play one company's nights, each with a ledger of its own in one database."""

    def __init__(self, fleet, accounts, seed, *, workers=2):
        self.fleet, self.company = fleet, fleet.company
        self.draw = random.Random(seed)
        self.names = [f"maison-{number:03}" for number in range(accounts)]
        self.database = conninfo_to_dict(fleet.url)["dbname"]
        self.story = Chaos(self.company, seed * WAYS)
        self.done = Counter()
        self.dates = []
        self.workers = []
        self.events = []
        """The lead of each event that was sent to both receivers."""
        self._wanted = workers
        self._running = ExitStack()
        # What is committed must outlive a crash of the server, as everywhere but in tests.
        server().execute(f"ALTER DATABASE {self.database} SET synchronous_commit = on")

    def __enter__(self):
        self.fleet.add(*self.names)
        self._start_receivers()
        for _ in range(self._wanted):
            self._start_worker()
        return self

    def __exit__(self, *_):
        for each in self.workers:
            each.kill()
            each.communicate(timeout=10)
        self._running.close()

    def _start_worker(self):
        self.workers.append(self.fleet.start("worker", "--concurrency", 2, prelude=PACE + IMPATIENT))

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────

    def _start_receivers(self):
        url, folder = self.fleet.url, self.fleet.folder
        self.receivers = [
            self._running.enter_context(ReceiverProcess(folder / name, account="maison-hook", state=url))
            for name in ("one", "other")
        ]
        self._senders = [Sender(each.port, f"/hooks/{SECRET}", connections=1) for each in self.receivers]

    def _send_webhooks(self):
        """Begin to send new events to both receivers, each until it is acknowledged; return what waits for the end."""
        bodies = [body(len(self.events) + number) for number in range(EVENTS)]
        self.events += [f"L-{len(self.events) + number}" for number in range(EVENTS)]
        sending = [
            threading.Thread(target=each.deliver, args=[self.draw.sample(bodies, EVENTS)], daemon=True)
            for each in self._senders
        ]
        for thread in sending:
            thread.start()

        def wait():
            for thread in sending:
                thread.join(PATIENCE)
            assert [len(self.events)] * 2 == [len(each.acknowledged) for each in self._senders]

        return wait

    # ── nights ───────────────────────────────────────────────────────────────────────────────────

    def night(self, blows):
        """One night: move leads, plant faults, strike the fleet, and wait until every account has had its night."""
        self._begin(DAY)
        self.story._move_leads()
        self.story._plant()
        self._have_due(self.names)
        wait_for_webhooks = self._send_webhooks()
        for blow in PLANNED[(len(self.dates) - 1) % len(PLANNED)]:
            self._strike(blow)
        for _ in range(blows):
            self._strike(self.draw.choice(BLOWS))
        self.company.heal()
        wait_for_webhooks()
        self._end()

    def quiet_nights(self):
        """Nights without faults, until every delivery is settled."""
        for span in QUIET:
            self._begin(span)
            self._have_due(self.names)
            self._end()

    def _begin(self, span):
        start = self.company.START + span if not self.dates else self._began + span
        self._began = start
        self.company.clock.advance(max(start, self.company.clock.now()))
        self.dates.append(start.date())

    def _end(self):
        self._wait_until_none_is_left(self._without_a_night)
        self.company.clock.advance(self.company.clock.now() + OUTCOMES_AFTER)
        self._after = max(run["id"] for run in self.fleet.runs("true"))
        self._wait_until_none_is_left(self._not_worked_on)

    def _without_a_night(self):
        had = {name for (name,) in self._ask("SELECT account FROM run WHERE night = %s", self.dates[-1])}
        return set(self.names) - had

    def _not_worked_on(self):
        ended = self.fleet.runs(f"id > {self._after} AND exit_code IN {WORKED}")
        return set(self.names) - {run["account"] for run in ended}

    def _wait_until_none_is_left(self, left):
        end = time.monotonic() + PATIENCE * (1 + len(self.names) / 10)
        while waiting := left():
            assert time.monotonic() < end, (waiting, self.fleet.runs("exit_code IS NULL OR exit_code > 3"))
            self._have_due(waiting)
            time.sleep(0.2)

    def _have_due(self, names):
        """Have accounts be due whose time has come by the sandbox's clock, which the fleet's tables do not follow.

        Each must have been due by itself within a day.
        """
        waits = self._ask("SELECT name, due_at - now() FROM oplead_fleet.fleet_account")
        assert {} == {name: wait for name, wait in waits if wait > LONGEST_DAY}
        self._do(
            "UPDATE oplead_fleet.fleet_account SET due_at = now(), failures = 0 "
            "WHERE due_at > now() AND name = ANY(%s)",
            list(names),
        )

    # ── what befalls the fleet ───────────────────────────────────────────────────────────────────

    def _strike(self, blow):
        self._let_it_work()
        self.done[blow] += 1
        worker = self.draw.choice(self.workers)
        match blow:
            case "kill":
                worker.kill()
                worker.communicate(timeout=10)
                self.workers.remove(worker)
                self._start_worker()
            case "kill a child":
                for pid in self.draw.sample(children := descendants(worker.pid)[1:], min(1, len(children))):
                    send_signal(pid, signal.SIGKILL)
            case "cut":
                self.fleet.cut()
            case "pause" | "pause and cut":
                self._pause(worker, cut=blow.endswith("cut"))
            case "restart" | "crash":
                getattr(server(), "halt" if blow == "restart" else "crash")()
                server().start()
            case "kill receiver":
                receiver = self.receivers[self.done[blow] % 2]
                receiver.kill()
                receiver.start()

    def _let_it_work(self):
        """Wait for some more requests, or for a while if there are none."""
        wanted = len(self.company.arrivals) + self.draw.randint(1, 4 * len(self.names))
        end = time.monotonic() + self.draw.uniform(0.5, 3)
        while len(self.company.arrivals) < wanted and time.monotonic() < end:
            time.sleep(0.01)

    def _pause(self, worker, *, cut):
        """Stop a worker and its children until others have taken it for dead, and let it go on."""
        go_on = stop_all(worker.pid)
        known = {row["id"] for row in self.fleet.rows("SELECT id FROM procrastinate_workers")}
        end = time.monotonic() + 8
        while known <= {row["id"] for row in self.fleet.rows("SELECT id FROM procrastinate_workers")}:
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        if cut:
            self.fleet.cut()
        self._let_it_work()
        go_on()

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def wrongs(self):
        """Everything that is wrong at the end, one sentence each."""
        known = set()
        for name in self.names:
            books = _Books(self.company, self.fleet.url, name)
            known |= books.keys
            audit = copy.copy(self.story)
            audit.company = books
            yield from (f"{name}: {wrong}" for wrong in audit.wrongs())
        for line in self.company.counted():
            if line.key not in known:
                yield f"{line.key}: counted, and in no ledger"
        nights = Counter(self._ask("SELECT account, night FROM run WHERE night IS NOT NULL"))
        expected = Counter((name, date) for name in self.names for date in self.dates)
        yield from (f"{name}: {count} nights of {date}" for (name, date), count in (nights - expected).items())
        yield from (f"{name}: no night of {date}" for name, date in expected - nights)
        yield from (f"left open: {run}" for run in self.fleet.runs("ended_at IS NULL"))
        # 70 is what a killed child ends with; nothing that befalls the fleet is for a human to configure.
        yield from (f"called misconfigured: {run}" for run in self.fleet.runs("exit_code = 2"))
        stored = Counter(lead for (lead,) in self._ask("SELECT lead FROM webhook_event"))
        if stored != Counter(self.events):
            yield f"webhooks lost: {Counter(self.events) - stored}, stored twice: {stored - Counter(self.events)}"
        yield from (f"receiver: {code}" for code, _ in (each.stop() for each in self.receivers) if code)

    def _ask(self, statement, *values):
        """Rows of every account."""
        with server().connect(self.database) as connection:
            return connection.execute(statement, values).fetchall()

    def _do(self, statement, *values):
        with server().connect(self.database) as connection:
            connection.execute(statement, values)


class _OwnTraffic(Traffic):
    """What one account sent."""

    def __init__(self, traffic, keys):
        vars(self).update(vars(traffic))
        self._keys = keys

    def sent(self, api="data_manager"):
        """Its events, by key."""
        return {key: events for key, events in super().sent(api).items() if key in self._keys}


class _Books(Company):
    """One account's ledger, and what the platforms counted of it."""

    def __init__(self, company, url, account):
        vars(self).update(vars(company))
        self._database = url
        self.ledger = PostgresqlState(SecretStr(url), account)
        self.keys = {row.key for row in self.rows(schema.Delivery)}
        self.traffic = _OwnTraffic(company.traffic, self.keys)

    def counted(self):
        """Its lines in every platform's book."""
        return [line for line in super().counted() if line.key in self.keys]
