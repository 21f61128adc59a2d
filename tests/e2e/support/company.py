"""One invented company: its sandbox, its settings, its nights, and what they left on both sides."""

import copy
import json
import os
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from ruamel.yaml import YAML
from sqlmodel import Session, select

from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import wall_clock
from connectors.sandbox.sandbox import KEY_FILE, Sandbox
from jobs import wiring
from jobs.ledger import schema
from jobs.ledger.database import open_engine
from jobs.ledger.runs import finish, held, lock_of
from jobs.nightly import run_night
from jobs.run_context import RunContext
from jobs.settings import Valid, load
from tests import quick
from tests.e2e.support import books
from tests.e2e.support.forked import Forked
from tests.e2e.support.traffic import ADJUST, GRAPH, INGEST, UPLOAD, Traffic

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
CREATED = datetime(2026, 9, 1, 7, 0, tzinfo=UTC)
CUSTOMER = "1234567890"
ACTIONS = {"appointment": "987654321", "sale": "987654322", "quote": "987654323"}
OUTCOMES_AFTER = timedelta(minutes=31)
"""Google is asked thirty minutes after a request; it has made up its mind after twenty."""
DATASET = "1234567890"
FUNNEL = {"created": "lead_received", "appointment": "appointment_set", "won": "sale"}
LONGEST_COMMAND_SECONDS = 60
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
    """The click id of a lead, as long and as odd as Google's."""
    return f"Cj0KCQjw{sha256(str(number).encode()).hexdigest()}EALw_wcB"


def fbclid(number):
    """The click id of a lead that came from Meta."""
    return f"IwAR2{sha256(str(number).encode()).hexdigest()}"


def lead(number, *steps, created=CREATED, clicks=None, **more):
    """A lead's JSON as Oplead serves it.

    Args:
        number: what its id and click id are made of.
        steps: the (label, instant) pairs of its way after it was new.
        created: when that was.
        clicks: what stands in its click id field; its gclid by default.
        more: fields that replace those it would have.
    """
    steps = [("Nouveau", created), *steps]
    label, at = steps[-1]
    told = {
        "id": f"L-{number}",
        "createdAt": wall_clock(created),
        "updatedAt": wall_clock(at),
        "status": label,
        "statusDate": wall_clock(at),
        "statusHistory": [{"status": name, "date": wall_clock(when)} for name, when in steps],
        "leadData": {"externalID": clicks or f"gclid={gclid(number)}", "consent": "oui", "utm_source": "google"},
        "contact": {"email": f"lead.{number}@example.com"},
        "amount": "12 500,00 €",
        "channel": "Site web",
    }
    return told | more


@contextmanager
def ended(process):
    """See to it that a process is over at the end, whatever happens."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


class Company:
    """One account, played against a sandbox of its own.

    Attributes:
        settings: what its YAML file says, but for the addresses; every night writes and reads it anew.
        traffic: every upload the platforms handled.
        max_per_run: how much one night may send to any destination; None leaves it to the guard.
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
        """Bind a sandbox under `directory`, whose service account has the key file text `key`."""
        self.directory = directory
        self.state = directory / "run" / "state.db"
        self.lock = lock_of(self.state)
        quick.with_state(self.state)
        self.settings = copy.deepcopy(SETTINGS)
        self.max_per_run = None
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
        """The (body, status) of every upload the Data Manager handled, in order."""
        return self.traffic.ingests

    @property
    def calls(self):
        """Every upload the Google Ads API handled, in order."""
        return self.traffic.calls

    @property
    def posts(self):
        """Every upload Meta handled, in order."""
        return self.traffic.posts

    def both(self, number):
        """What stands in the click id field of a lead that both platforms know."""
        return f"gclid={gclid(number)}&fbclid={fbclid(number)}"

    def serve(self, *leads):
        """Have Oplead serve these leads from now on, and Google know their clicks."""
        for one in leads:
            self.sandbox.oplead.put(one["id"], one)
            clicked_at = datetime.fromisoformat(one["createdAt"] + "+02:00") - timedelta(minutes=5)
            click = str(one["leadData"].get("externalID", "")).removeprefix("gclid=").partition("&")[0]
            self.platform.register_clicks({click: {"clicked_at": clicked_at.isoformat(), "customer": CUSTOMER}})

    def fail(self, server, kind, **more):
        """Plant a fault."""
        self.sandbox.faults.plant(PlannedFault(server, FaultKind(kind), **more))

    def heal(self):
        """Take every planted fault away."""
        self.sandbox.faults.clear()

    def asked(self, server, path=""):
        """The log of a server's answered requests whose path begins so, oldest first."""
        log = self.sandbox.servers[server].log.dump()["log"]
        return [entry for entry in log if entry["path"].startswith(path)]

    def times(self, server, path=""):
        """When each request to a path came in, by the sandbox's clock, whatever became of it."""
        return [at for name, asked, at in self.arrivals if name == server and asked.startswith(path)]

    def before(self, server, path, action):
        """Call `action(request)` before each request to a path is handled."""

        def handle(request, handler):
            action(request)
            return handler(request)

        self._around(server, path, handle)

    def redirect(self, server, path, to):
        """Answer what is asked of one path with what stands at another."""

        def handle(request, handler):
            return handler(replace(request, path=to) if request.path == path else request)

        self._around(server, path, handle)

    def after(self, server, path, action):
        """Call `action()` after each request to a path was handled, before it is answered."""

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
        # Every request is asked about here first; the servers' own log knows it only once it is answered.
        take = self.sandbox.faults.take

        def noted(server, path):
            self.arrivals.append((server, path, self.clock.now()))
            return take(server, path)

        self.sandbox.faults.take = noted

    # ── nights ───────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self):
        """The settings' file, written as they are now."""
        addresses = self.sandbox.addresses
        settings = copy.deepcopy(self.settings)
        settings["state"] = f"sqlite:///{self.state}"
        settings["clock"] = addresses["clock"]
        settings["oplead"] = {"token": "${OPLEAD_TOKEN}", "base_url": addresses["oplead"]} | settings.get("oplead", {})
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

    def use_demo_settings(self):
        """Have the settings that the demonstration writes."""
        self.settings = YAML(typ="safe").load(self.sandbox.settings())

    def use_meta(self, **more):
        """Send to Meta too: appointments as Schedule, sales as Purchase, leads of its own forms by a funnel."""
        self.settings["meta"] = {"dataset_id": DATASET, "contact_data": "attach", "funnel": FUNNEL} | more
        self.settings["meta"] |= {"funnel_since": "2026-08-20"} if self.settings["meta"]["funnel"] else {}
        self.conversion("appointment")["meta"] = {"event": "Schedule"}
        self.conversion("sale")["meta"] = {"event": "Purchase"}

    def use_meta_alone(self, **more):
        """Send to Meta and nowhere else, by click id."""
        self.use_meta(**{"funnel": {}, "contact_data": "none"} | more)
        self.settings.pop("google_ads")
        for conversion in self.settings["conversions"]:
            conversion.pop("google_ads")

    def use_ads_api(self):
        """Have conversions carried by the Google Ads API from now on."""
        self.settings["google_ads"]["transport"] = "google_ads_api"

    def conversion(self, name):
        """A conversion's part of the settings, to be changed in place."""
        return next(each for each in self.settings["conversions"] if each["id"] == name)

    def read_settings(self):
        """The settings as a command reads them."""
        loaded = load(self.config, self.environ)
        assert isinstance(loaded, Valid), loaded
        return loaded.settings

    def night(self, at=None, *, accept_volume=False):
        """One run of the main job in this process, as the command makes it; its summary."""
        if at is not None:
            self.clock.advance(at)
        settings = self.read_settings()
        with (
            wiring.open_clock(settings) as clock,
            wiring.connect(settings, clock) as (book, deps),
            held(self.state, settings.account, "run", now=clock.now()) as ledger,
        ):
            summary = run_night(
                RunContext(ledger, book, replace(deps, jitter=lambda: 0.5, accept_volume=accept_volume))
            )
            night = summary.started_at.astimezone(settings.zone).date()
            finish(ledger, summary.exit_code, night=night, now=clock.now())
            return summary

    def later(self, span=OUTCOMES_AFTER):
        """One more run after a while: by default the one that learns the outcomes."""
        return self.night(self.clock.now() + span)

    def start_command(self, *arguments, prelude="", config=None):
        """The command itself in a process of its own, started and not waited for; a prelude runs before it."""
        return self._start(prelude, arguments, config)

    def start_killed(self, point, nth=1, command=("run",)):
        """A command, in a process that kills itself when it comes to a point for the nth time."""
        return self._start(f"import killed_run\nkilled_run.POINTS[{point!r}](killed_run.countdown({nth}))", command)

    def command(self, *arguments, prelude=""):
        """The command's exit code and everything it printed."""
        with ended(self.start_command(*arguments, prelude=prelude)) as process:
            out, err = process.communicate(timeout=LONGEST_COMMAND_SECONDS)
            return process.returncode, out, err

    def killed(self, point, nth=1, command=("run",)):
        """Run until the kill; the return code."""
        with ended(self.start_killed(point, nth, command)) as process:
            process.communicate(timeout=LONGEST_COMMAND_SECONDS)
            return process.returncode

    def _start(self, prelude, arguments, config=None):
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
        arguments = [*arguments, "--config", config or self.config]
        return Forked(arguments, environ=inherited | self.environ, cwd=self.directory, prelude=prelude)

    ended = staticmethod(ended)

    # ── what they left ───────────────────────────────────────────────────────────────────────────

    def rows(self, table):
        """Every row of a table of the ledger."""
        engine = open_engine(self.state, for_writing=False)
        try:
            with Session(engine) as session:
                return list(session.exec(select(table)))
        finally:
            engine.dispose()

    def rows_of(self, name):
        """Every row of a table by its name in SQL, as tuples."""
        with closing(sqlite3.connect(self.state)) as connection:
            return connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - a name of ours

    def deliveries(self, destination="google_ads"):
        """Every delivery to a destination, by lead and conversion."""
        return {(row.lead, row.conversion): row for row in self.rows(schema.Delivery) if row.destination == destination}

    def rows_where(self, conversion):
        """Every delivery of a conversion, every occurrence of it, in the order they began."""
        return [row for row in self.rows(schema.Delivery) if row.conversion == conversion]

    def states(self, destination="google_ads"):
        """Where every delivery to a destination stands, by lead and conversion."""
        return {name: row.state for name, row in self.deliveries(destination).items()}

    def taken(self, destination="google_ads"):
        """The lead and conversion of every event a platform counted, in order; twice where it counted twice."""
        by_key = {row.key: name for name, row in self.deliveries(destination).items()}
        return [by_key[line.key] for line in self.counted() if line.key in by_key for _ in range(line.times)]

    def counted(self):
        """Every line of every platform's book."""
        return [
            *(books.google(line) for line in self.platform.book()),
            *(books.meta(line) for line in self.sandbox.meta.book()),
        ]

    def sent(self, api="data_manager"):
        """Every event that was ever uploaded to an API, by its key: each time it was."""
        return self.traffic.sent(api)

    def disagreements(self, *, unanswered=()):
        """Where the platforms' books and the ledger differ, a line each; none when every state is told truly.

        Args:
            unanswered: states that may stand for an event a platform has counted, nobody having told us.
        """
        made = self.rows(schema.Adjustment)
        found = books.disagreements(self.rows(schema.Delivery), self.counted(), corrections=made, unanswered=unanswered)
        return [*found, *self._damages()]

    def _damages(self):
        sent_anew = [
            row for row in self.rows(schema.Adjustment) if row.transport == "data_manager" and row.event_sha256
        ]
        corrected = Counter(row.key for row in sent_anew)
        with closing(sqlite3.connect(self.state)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return [
            *([] if verdict == "ok" else [f"integrity: {verdict}"]),
            *(f"foreign key: {orphan}" for orphan in orphans),
            *self.traffic.changed(corrected),
        ]
