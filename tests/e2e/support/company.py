"""One invented company: its sandbox, its settings, its runs, and what they left on both sides."""

import copy
import json
import os
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import psycopg
from pydantic import SecretStr
from ruamel.yaml import YAML
from sqlmodel import Session, select

from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import paris_wall_time
from connectors.sandbox.sandbox import KEY_FILE, Sandbox
from jobs.account.hold import hold_account_for_run
from jobs.ledger import schema
from jobs.ledger.runs import finish_run
from jobs.ledger.storage.lock import lock_path
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.nightly import run_night
from jobs.run_context import RunContext
from jobs.settings import ValidSettings, load
from jobs.wiring.account import account_inbox, open_clock
from jobs.wiring.night import open_connectors
from tests import postgresql, quick
from tests.e2e.support import books
from tests.e2e.support.forked import Forked
from tests.e2e.support.traffic import ADJUST, GRAPH, INGEST, UPLOAD, Traffic

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
CREATED = datetime(2026, 9, 1, 7, 0, tzinfo=UTC)
CUSTOMER = "1234567890"
ACTIONS = {"appointment": "987654321", "sale": "987654322", "quote": "987654323"}
OUTCOMES_AFTER = timedelta(minutes=31)
"""Outcomes are requested thirty minutes after an upload; Google has them after twenty."""
DATASET = "1234567890"
FUNNEL = {"created": "lead_received", "appointment": "appointment_set", "won": "sale"}
LONGEST_COMMAND_SECONDS = 60
_OTHERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type = 'client backend'
"""
SETTINGS = {
    "account": "maison-test",
    "timezone": "Europe/Paris",
    "currency": "EUR",
    "stages": {
        "appointment": ["Rendez-vous", "RDV pris"],
        "quote_sent": ["Devis à relancer"],
        "won": ["Gagné"],
        "lost": ["Perdu"],
    },
    "ignored_statuses": ["Nouveau", "En cours"],
    "consent": {
        "ad_user_data": {"field": "leadData.consent", "granted": ["oui"], "refused": ["non"]},
        "missing": "withhold",
    },
    "google_ads": {
        "customer_id": CUSTOMER,
        "login_customer_id": "1112223333",
        "contact_data": "attach",
    },
    "conversions": [
        {
            "id": "appointment",
            "stage": "appointment",
            "implied_by": ["won"],
            "since": "2026-08-20",
            "value": 60,
            "google_ads": {"conversion_action": ACTIONS["appointment"]},
        },
        {
            "id": "sale",
            "stage": "won",
            "since": "2026-08-20",
            "value": {"field": "amount", "tax": "included", "otherwise": 900},
            "google_ads": {"conversion_action": ACTIONS["sale"]},
        },
    ],
}


def gclid(number):
    """The click id of a lead, with the length and characters of Google's."""
    return f"Cj0KCQjw{sha256(str(number).encode()).hexdigest()}EALw_wcB"


def fbclid(number):
    """The click id of a lead that came from Meta."""
    return f"IwAR2{sha256(str(number).encode()).hexdigest()}"


def lead(number, *steps, created=CREATED, clicks=None, **more):
    """A lead's JSON as Oplead serves it.

    Args:
        number: what its id and click id are made of.
        steps: the (label, instant) pairs of its statuses after it was new.
        created: when it was created.
        clicks: the contents of its click id field; its gclid by default.
        more: fields that replace the default ones.
    """
    steps = [("Nouveau", created), *steps]
    label, at = steps[-1]
    told = {
        "id": f"L-{number}",
        "createdAt": paris_wall_time(created),
        "updatedAt": paris_wall_time(at),
        "status": label,
        "statusDate": paris_wall_time(at),
        "statusHistory": [{"status": name, "date": paris_wall_time(when)} for name, when in steps],
        "leadData": {"externalID": clicks or f"gclid={gclid(number)}", "consent": "oui", "utm_source": "google"},
        "contact": {"email": f"lead.{number}@example.com"},
        "amount": "12 500,00 €",
        "channel": "Site web",
    }
    return told | more


@contextmanager
def ended(process):
    """Make sure that a process has ended, whatever happens."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


class Company:
    """One account, played against its own sandbox.

    Attributes:
        settings: the contents of its YAML file except the addresses; every run writes and reads it again.
        traffic: every upload the platforms handled.
        max_per_run: how much one run may send to any destination; None leaves it to the guard.
        arrivals: the (server, path, instant) of every request that came in, in order.
    """

    START = START
    CREATED = CREATED
    CUSTOMER = CUSTOMER
    OUTCOMES_AFTER = OUTCOMES_AFTER
    gclid = staticmethod(gclid)
    fbclid = staticmethod(fbclid)
    lead = staticmethod(lead)

    def __init__(self, directory, *, key, start=START, population=None):
        """Create a sandbox under `directory` whose service account has the key file text `key`."""
        self.directory = directory
        self.state = directory / "run" / "state.db"
        self.lock = lock_path(self.state)
        self.ledger = SqliteState(quick.with_state(self.state))
        self.settings = copy.deepcopy(SETTINGS)
        self.max_per_run = None
        self._database = None
        self._read = None
        self.traffic = Traffic()
        folder = directory / "sandbox"
        folder.mkdir(parents=True)
        (folder / KEY_FILE).write_text(key)
        self.sandbox = Sandbox(folder, population, start)
        self.environ = {
            "OPLEAD_TOKEN": ADMIN_KEY,
            "GOOGLE_ADS_KEY_FILE": str(self.sandbox.key_file),
            "META_ACCESS_TOKEN": TOKENS[DATASET],
        }
        self.arrivals = []
        self._note_arrivals()
        for server, path, note in (
            ("data_manager", INGEST, self.traffic.data_manager),
            ("google_ads", UPLOAD, self.traffic.google_ads),
            ("google_ads_tls", UPLOAD, self.traffic.google_ads),
            ("google_ads", ADJUST, self.traffic.adjustments),
            ("meta", GRAPH, self.traffic.meta),
        ):
            self._around(server, path, note)

    # ── the sandbox ──────────────────────────────────────────────────────────────────────────────

    @property
    def clock(self):
        """The sandbox's clock."""
        return self.sandbox.clock

    @property
    def platform(self):
        """The sandbox's Data Manager."""
        return self.sandbox.data_manager

    @property
    def ingests(self):
        """The (body, status) of every upload that Data Manager handled, in order."""
        return self.traffic.ingests

    @property
    def calls(self):
        """Every upload that the Google Ads API handled, in order."""
        return self.traffic.calls

    @property
    def posts(self):
        """Every upload that Meta handled, in order."""
        return self.traffic.posts

    def both(self, number):
        """The contents of the click id field of a lead that both platforms know."""
        return f"gclid={gclid(number)}&fbclid={fbclid(number)}"

    def serve(self, *leads):
        """Have Oplead serve these leads from now on, and register their clicks at Google."""
        for one in leads:
            self.sandbox.oplead.put(one["id"], one)
            clicked_at = datetime.fromisoformat(one["createdAt"] + "+02:00") - timedelta(minutes=5)
            click = str(one["leadData"].get("externalID", "")).removeprefix("gclid=").partition("&")[0]
            self.platform.register_clicks({click: {"clicked_at": clicked_at.isoformat(), "customer": CUSTOMER}})

    def fail(self, server, kind, **more):
        """Plant a fault."""
        self.sandbox.faults.plant(PlannedFault(server, FaultKind(kind), **more))

    @contextmanager
    def restored(self, *switches):
        """Restore settings, secrets, platforms and switches (platform, name, position) once a test is over."""
        settings, environ = copy.deepcopy(self.settings), dict(self.environ)
        yield self
        self.settings, self.environ = settings, environ
        self.heal()
        for platform, name, position in switches:
            getattr(self.sandbox, platform).set_switch(name, position)

    def heal(self):
        """Remove every planted fault."""
        self.sandbox.faults.clear()

    def asked(self, server, path=""):
        """The log of a server's answered requests with this path prefix, oldest first."""
        log = self.sandbox.servers[server].log.dump()["log"]
        return [entry for entry in log if entry["path"].startswith(path)]

    def times(self, server, path=""):
        """When each request with this path prefix came in, by the sandbox's clock, whatever its outcome."""
        return [at for name, asked, at in self.arrivals if name == server and asked.startswith(path)]

    def before(self, server, path, action):
        """Call `action(request)` before each request to a path is handled."""

        def handle(request, handler):
            action(request)
            return handler(request)

        self._around(server, path, handle)

    def redirect(self, server, path, to):
        """Answer requests for one path with the contents of another."""

        def handle(request, handler):
            return handler(replace(request, path=to) if request.path == path else request)

        self._around(server, path, handle)

    def after(self, server, path, action):
        """Call `action()` after each request to a path is handled, before it is answered."""

        def handle(request, handler):
            answer = handler(request)
            action()
            return answer

        self._around(server, path, handle)

    def _around(self, server, path, handle):
        served = self.sandbox.servers[server]
        handler = served.handler
        served.handler = lambda request: handle(request, handler) if request.path.startswith(path) else handler(request)

    def _note_arrivals(self):
        # Every request passes here first; the servers' own log has it only once it is answered.
        take = self.sandbox.faults.take_matching_fault

        def noted(server, path):
            self.arrivals.append((server, path, self.clock.now()))
            return take(server, path)

        self.sandbox.faults.take_matching_fault = noted

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self):
        """The settings file, written from the current settings."""
        addresses = self.sandbox.sandbox_server_urls
        settings = copy.deepcopy(self.settings)
        settings["state"] = f"sqlite:///{self.state}" if self._database is None else "${DATABASE}"
        settings["clock"] = addresses["clock"]
        if "source" not in settings:
            told = {"token": "${OPLEAD_TOKEN}", "base_url": addresses["oplead"]}
            settings["oplead"] = told | settings.get("oplead", {})
        google = {"credentials": "${GOOGLE_ADS_KEY_FILE}", "endpoint": addresses["data_manager"]}
        google["ads_api_endpoint"] = addresses["google_ads"]
        meta = {"access_token": "${META_ACCESS_TOKEN}", "graph_url": addresses["meta"]}
        many = {} if self.max_per_run is None else {"max_per_run": self.max_per_run}
        for name, common in (("google_ads", google | many), ("meta", meta | many)):
            told = settings.get(name)
            if told:
                settings[name] = [common | one for one in told] if isinstance(told, list) else common | told
        path = self.directory / "run" / "pipeline.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
        return path

    def use_database(self, url):
        """Keep the state in a deployed database, where it is as empty as that in a file."""
        self.go_on_in(url)
        engine = self.ledger.open_engine(for_writing=True)
        with Session(engine) as session:
            session.add(schema.Lease(account=self.ledger.account, epoch=0, pid=0, started_at=START))
            session.commit()
        engine.dispose()

    def go_on_in(self, url):
        """Have the state be what a deployed database holds."""
        self._database = self.environ["DATABASE"] = url
        self.ledger = PostgresqlState(SecretStr(url), self.settings["account"])

    def use_demo_settings(self):
        """Use the settings that the demonstration writes."""
        self.settings = YAML(typ="safe").load(self.sandbox.demo_settings())

    def use_meta(self, **more):
        """Send to Meta too: appointments as Schedule, sales as Purchase, and form leads through a funnel."""
        self.settings["meta"] = {"dataset_id": DATASET, "contact_data": "attach", "funnel": FUNNEL} | more
        self.settings["meta"] |= {"funnel_since": "2026-08-20"} if self.settings["meta"]["funnel"] else {}
        self.conversion("appointment")["meta"] = {"event": "Schedule"}
        self.conversion("sale")["meta"] = {"event": "Purchase"}

    def use_meta_alone(self, **more):
        """Send to Meta only, by click id."""
        self.use_meta(**{"funnel": {}, "contact_data": "none"} | more)
        self.settings.pop("google_ads")
        for conversion in self.settings["conversions"]:
            conversion.pop("google_ads")

    def use_ads_api(self):
        """Send conversions over the Google Ads API from now on."""
        self.settings["google_ads"]["transport"] = "google_ads_api"

    def conversion(self, name):
        """A conversion's part of the settings, to be changed in place."""
        return next(each for each in self.settings["conversions"] if each["id"] == name)

    def read_settings(self):
        """The settings as a command reads them; what did not change is not read again."""
        config = self.config
        given = (config.read_text(encoding="utf-8"), dict(self.environ))
        if self._read is None or self._read[0] != given:
            loaded = load(config, self.environ)
            assert isinstance(loaded, ValidSettings), loaded
            self._read = (given, loaded.settings)
        return self._read[1]

    def night(self, at=None, *, accept_volume=False):
        """Run the main job once in this process, as the command does; return its summary."""
        if at is not None:
            self.clock.advance(at)
        settings = self.read_settings()
        with (
            open_clock(settings) as clock,
            quick.clock_at_hand(clock, self.clock),
            open_connectors(settings, clock) as (book, deps),
            hold_account_for_run(settings, self.ledger, "run", clock) as ledger,
        ):
            summary = run_night(
                RunContext(ledger, book, replace(deps, jitter=lambda: 0.5, accept_volume=accept_volume))
            )
            night = summary.started_at.astimezone(settings.zone).date()
            finish_run(ledger, summary.exit_code, night=night, now=clock.now())
            return summary

    def later(self, span=OUTCOMES_AFTER):
        """Run once more after a while: by default the run that learns the outcomes."""
        return self.night(self.clock.now() + span)

    def start_command(self, *arguments, prelude="", config=None):
        """Start the command in its own process without waiting for it; a prelude runs before it."""
        return self._start(prelude, arguments, config)

    def start_killed(self, point, nth=1, command=("run",), *, points="killed_run"):
        """Start a command in a process that kills itself on reaching a point, of a module's, for the nth time."""
        prelude = f"import {points}, killed_run\n{points}.POINTS[{point!r}](killed_run.countdown({nth}))"
        return self._start(prelude, command)

    def command(self, *arguments, prelude=""):
        """The command's exit code, stdout and stderr."""
        with ended(self.start_command(*arguments, prelude=prelude)) as process:
            out, err = process.communicate(timeout=LONGEST_COMMAND_SECONDS)
            return process.returncode, out, err

    def killed(self, point, nth=1, command=("run",), **more):
        """Run until the kill; return the exit code."""
        with ended(self.start_killed(point, nth, command, **more)) as process:
            process.communicate(timeout=LONGEST_COMMAND_SECONDS)
        self._wait_for_the_server()
        return process.returncode

    def _wait_for_the_server(self):
        """Return once a database has noticed that whoever was connected is gone, and let go of the account."""
        end = time.monotonic() + LONGEST_COMMAND_SECONDS
        while self._database is not None:
            with psycopg.connect(self._database) as connection:
                if connection.execute(_OTHERS).fetchone() == (0,):
                    return
            assert time.monotonic() < end
            time.sleep(0.01)

    def _start(self, prelude, arguments, config=None):
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
        arguments = [*arguments, "--config", config or self.config]
        return Forked(arguments, environ=inherited | self.environ, cwd=self.directory, prelude=prelude)

    ended = staticmethod(ended)

    # ── results ─────────────────────────────────────────────────────────────────────────────────

    def rows(self, table):
        """Every row of a table of the ledger; of deliveries, only conversions."""
        wanted = select(table).order_by(*table.__table__.primary_key.columns)
        return self._rows(
            wanted.where(schema.matches_delivery_kind(corrections=False)) if table is schema.Delivery else wanted
        )

    def corrections(self):
        """Every correction."""
        return self._rows(select(schema.Delivery).where(schema.is_correction()).order_by(schema.Delivery.id))

    def _rows(self, wanted):
        engine = self.ledger.open_engine(for_writing=False)
        try:
            with Session(engine) as session:
                return list(session.exec(wanted))
        finally:
            engine.dispose()

    def rows_of(self, name):
        """Every row of a table by its SQL name, as tuples."""
        statement = f"SELECT * FROM {name}"  # noqa: S608 - a name of ours
        if self._database is None:
            with closing(sqlite3.connect(self.state)) as connection:
                return connection.execute(statement).fetchall()
        with psycopg.connect(self._database) as connection:
            connection.execute("SELECT set_config('oplead.account', %s, true)", [self.settings["account"]])
            return connection.execute(statement).fetchall()

    def inbox(self):
        """The inbox of its webhooks, to write to."""
        return closing(account_inbox(self.read_settings()).open_inbox_for_writing())

    def contents(self):
        """Every byte beside the state, by file, without settings; of a database, every row's values by table."""
        files = (each for each in self.state.parent.rglob("*") if each.is_file())
        found = {each.name: each.read_bytes() for each in files if each.suffix not in (".yaml", ".json")}
        return found if self._database is None else found | postgresql.contents(self._database)

    def deliveries(self, destination="google_ads"):
        """Every delivery to a destination, by lead and conversion."""
        return {(row.lead, row.conversion): row for row in self.rows(schema.Delivery) if row.destination == destination}

    def rows_where(self, conversion):
        """Every delivery of a conversion, including each occurrence, in order of creation."""
        rows = sorted(self.rows(schema.Delivery), key=lambda row: row.id)
        return [row for row in rows if row.conversion == conversion]

    def states(self, destination="google_ads"):
        """The state of every delivery to a destination, by lead and conversion."""
        return {name: row.state for name, row in self.deliveries(destination).items()}

    def taken(self, destination="google_ads"):
        """The lead and conversion of every event a platform counted, in order; repeated if it counted twice."""
        by_key = {row.key: name for name, row in self.deliveries(destination).items()}
        return [by_key[line.key] for line in self.counted() if line.key in by_key for _ in range(line.times)]

    def counted(self):
        """Every line of every platform's book."""
        return [
            *(books.google(line) for line in self.platform.conversions_json()),
            *(books.meta(line) for line in self.sandbox.meta.conversions_json()),
        ]

    def sent(self, api="data_manager"):
        """Every event ever uploaded to an API, by key, once for each upload."""
        return self.traffic.sent(api)

    def disagreements(self, *, unanswered=()):
        """Where the platforms' books and the ledger differ, one line each; empty if every state is true.

        Args:
            unanswered: states allowed for an event that a platform counted without an answer.
        """
        made = self.corrections()
        found = books.disagreements(self.rows(schema.Delivery), self.counted(), corrections=made, unanswered=unanswered)
        return [*found, *self._damages()]

    def _damages(self):
        sent_anew = [row for row in self.corrections() if row.transport == "data_manager" and row.event_sha256]
        corrected = Counter(row.key for row in sent_anew)
        return [*(self._damages_of_the_file() if self._database is None else ()), *self.traffic.changed(corrected)]

    def _damages_of_the_file(self):
        with closing(sqlite3.connect(self.state)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        yield from [] if verdict == "ok" else [f"integrity: {verdict}"]
        yield from (f"foreign key: {orphan}" for orphan in orphans)
