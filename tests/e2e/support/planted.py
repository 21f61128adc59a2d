"""A person with a marker of their own in every field of Oplead, and a compressed year of nights in which all fails.

In each round another lead of the same person is won, so that every kind of failure meets bytes about them.
"""

import hashlib
import io
import json
import logging
import tempfile
import traceback
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from datetime import timedelta
from functools import partial
from urllib.parse import quote

import httpx
import pytest
import structlog

from connectors.google_ads import options
from connectors.oplead import client
from connectors.sandbox.google.ads_api.state import CallRefusal, RowError
from connectors.sandbox.meta.wire import TOKENS
from jobs.cli.output import start_logging
from jobs.privacy.leaks import Planted, email_forms, normal_forms, phone_forms
from tests.e2e.support.company import fbclid, gclid
from tests.e2e.support.traffic import INGEST, UPLOAD
from tests.e2e.support.typed import type_in
from tests.e2e.support.webhook_receiver import SECRET

DAY, HOUR, PAUSE = timedelta(days=1), timedelta(hours=1), timedelta(days=18)
WITHDRAWN = 5
"""The round whose lead withdraws consent while its sale waits for an amount."""
FIRST, LAST = "Zéphyxine", "Quoïrvannec"
EMAIL, SECOND_EMAIL = "F.Talvuxo+devis@Marqueur-Prive.example", "wexlumide@autre-prive.example"
PHONE, MOBILE = "01 99 00 58 23", "+33 6 39 98 41 07"
STREET, POSTCODE, CITY = "17 venelle Vuldébroque", "29917", "Plouxgrémel"
WORDS = {
    "first name": FIRST,
    "last name": LAST,
    "e-mail": "Talvuxo",
    "second e-mail": "wexlumide",
    "street": "Vuldébroque",
    "city": CITY,
    "comment": "Ghmordélia",
    "note of the history": "Brizunkéra",
    "note of an appointment": "Ostrivuqué",
    "custom field": "Jolibwexa",
    "answer about consent": "Nénupharzik",
    "colleague": "Dufrélonzo",
    "document": "plan-Krustofél.pdf",
    "landing page": "page-vrinzoté",
    "search term": "pompe-zilvané",
    "content of the ad": "affiche-morquésti",
    "cookie": "kuvrastéo",
    "address of the computer": "203.0.113.87",
}
CLICK_IDS = {
    f"{kind} of lead {number}": made(number)
    for number in range(1, 90)
    for kind, made in (("gclid", gclid), ("fbclid", fbclid))
}
KINDS = ("email", "phone")
HASHED = {
    "e-mail": email_forms(EMAIL),
    "second e-mail": email_forms(SECOND_EMAIL),
    "phone": phone_forms(PHONE),
    "mobile": phone_forms("06 39 98 41 07"),
    "first name": normal_forms(FIRST),
    "last name": normal_forms(LAST),
    "full name": normal_forms(f"{FIRST} {LAST}"),
    "city": normal_forms(CITY),
    "street": normal_forms(STREET),
    "postcode": {POSTCODE},
}
KEYS = {
    f"key of {name}": {f"{kind}:{hashlib.sha256(text.encode()).hexdigest()}" for text in HASHED[name] for kind in KINDS}
    for name in ("e-mail", "second e-mail", "phone", "mobile")
}
"""What a person counts once by, which is a hash of a hash."""
PEOPLE = Planted(
    words=WORDS,
    numbers={"phone": "199005823", "mobile": "639984107"},
    codes={"postcode": POSTCODE},
    hashed=HASHED | KEYS,
)
CREATED = ("--email", EMAIL, "--phone", PHONE, "--first-name", FIRST, "--last-name", LAST, "--city", CITY)
"""What a lead is created with."""
WHOLE = (FIRST, LAST, EMAIL, SECOND_EMAIL, PHONE, MOBILE, STREET, POSTCODE, CITY, *WORDS.values())
SAID = " | ".join((*WHOLE, quote(EMAIL), quote(LAST), *TOKENS.values()))
"""What a platform says that repeats whatever it knows."""
PAGE = f"<html><head><title>{LAST}</title></head><body>{SAID}</body></html>"


def person(company, number, *steps, **more):
    """Return the JSON of a lead of the person, with every field that we know of."""
    one = company.lead(
        number,
        *steps,
        clicks=company.both(number),
        contact={"firstname": FIRST, "lastname": LAST, "email": EMAIL, "email2": SECOND_EMAIL, "phone": PHONE}
        | {"mobile": MOBILE, "civility": LAST},
        address={"street": STREET, "postcode": POSTCODE, "city": CITY, "country": "France"},
        comment=f"{WORDS['comment']} {EMAIL} {PHONE}",
        **{
            "history": [{"type": "note", "text": WORDS["note of the history"], "date": "2026-09-09 12:00:00"}],
            "appointments": [{"date": "2026-09-20 10:00:00", "note": WORDS["note of an appointment"]}],
            "assignedTo": {"name": WORDS["colleague"], "email": SECOND_EMAIL},
            "documents": [{"name": WORDS["document"], "url": f"https://oplead.example/{WORDS['document']}"}],
            "ip": WORDS["address of the computer"],
        }
        | more,
    )
    one["leadData"] |= {
        "budget": WORDS["custom field"],
        "landingPage": f"https://site.example.com/{WORDS['landing page']}?email={quote(EMAIL)}",
        "utm_term": WORDS["search term"],
        "utm_content": WORDS["content of the ad"],
        "cookies": f"fbp=fb.1.1788000000000.1234567890; {WORDS['cookie']}=1",
    }
    one["statusHistory"] = [
        entry | {"note": WORDS["note of the history"], "user": WORDS["colleague"]} for entry in one["statusHistory"]
    ]
    return one


def odd_places(company, at):
    """Return leads that have personal data where the program reads something else."""
    won = ("Gagné", at)

    def with_data(number, **data):
        one = person(company, number, won)
        one["leadData"] |= data
        return one

    return [
        with_data(81, externalID=EMAIL),
        with_data(82, externalID=f"gclid={PHONE}"),
        with_data(83, externalID=f"https://site.example.com/?gclid={gclid(83)}&email={quote(EMAIL)}&nom={quote(LAST)}"),
        with_data(84, consent=WORDS["answer about consent"]),
        with_data(85, utm_source=EMAIL, utm_medium=PHONE, utm_campaign=f"{FIRST} {LAST}"),
        person(company, 86, won, amount=f"{PHONE}"),
        person(company, 87, won, amount=EMAIL),
        person(company, 88, won, channel=f"{FIRST} {LAST}"),
        person(company, 89, won, createdAt=LAST),
        person(company, 90, won, statusDate=EMAIL, updatedAt=PHONE),
        person(company, 91, ("Nouveau", at)) | {"status": {"label": "Gagné", "by": SAID}},
    ]


# ── what fails ─────────────────────────────────────────────────────────────────────────────────────


def _meta_error(code, subcode=None):
    said = {"message": SAID, "type": EMAIL, "error_user_title": LAST, "error_user_msg": SAID, "fbtrace_id": EMAIL}
    return json.dumps({"error": said | {"code": code, "error_subcode": subcode, "error_data": {"blame": [SAID]}}})


def _google_error(status):
    violation = {"field": f"events[0].user_data {EMAIL}", "description": SAID, "reason": LAST}
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": LAST.upper(), "domain": EMAIL},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
    ]
    return json.dumps({"error": {"code": status, "message": SAID, "status": "INVALID_ARGUMENT", "details": details}})


def _answer(server, status, body, *, path="", count=9):
    return {"server": server, "kind": "status", "status": status, "body": body, "path": path, "count": count}


OAUTH = json.dumps({"error": f"invalid_{LAST}", "error_description": SAID})
TAKEN_IN_PART = json.dumps({"events_received": 7, "messages": [SAID], "fbtrace_id": EMAIL})
STATUSES = "/v1/requestStatus:retrieve"
FAILURES = (
    [],
    [_answer("oplead", 500, PAGE)],
    [_answer("data_manager", 400, _google_error(400), path=INGEST), _answer("meta", 400, _meta_error(100, 2804001))],
    [{"server": server, "kind": "cut_after"} for server in ("data_manager", "google_ads", "meta")],
    [_answer("oplead", 200, PAGE)],
    [_answer("data_manager", 500, PAGE, path=INGEST), _answer("meta", 500, PAGE)],
    [_answer("oauth", 400, OAUTH)],
    [_answer("meta", 400, _meta_error(190)), _answer("data_manager", 401, _google_error(401), path=INGEST)],
    [{"server": server, "kind": "hang", "seconds": 2, "count": 9} for server in ("oplead", "data_manager", "meta")],
    [_answer("meta", 200, TAKEN_IN_PART)],
    [_answer("oplead", 400, json.dumps({"error": SAID}))],
    [{"server": server, "kind": "truncated"} for server in ("oplead", "data_manager", "meta")],
    [_answer("data_manager", 400, _google_error(400), path=STATUSES)],
    [_answer("data_manager", 503, PAGE), _answer("oauth", 500, PAGE), _answer("meta", 400, _meta_error(2))],
    [{"server": server, "kind": "cut_before", "count": 3} for server in ("oplead", "oauth", "meta")],
    [_answer("meta", 400, _meta_error(100, 2804003), count=1), _answer("data_manager", 404, PAGE)],
)
"""What is planted for a night: every server, each in every way that it may fail."""
REFUSED_BY_ADS_API = (
    CallRefusal("INVALID_ARGUMENT", SAID, (RowError("conversion_upload_error", "UNPARSEABLE_GCLID", SAID, ()),)),
    CallRefusal("UNKNOWN", PAGE),
    CallRefusal("UNAUTHENTICATED", SAID),
)
BROKEN = f"""
from jobs.deliver import conversions

def broken(*_, **__):
    raise ValueError({SAID!r})

conversions.decide_route = broken
"""
"""Code that makes a command fail with personal data in an exception's message."""


# ── what is written ────────────────────────────────────────────────────────────────────────────────


class Ears(logging.Handler):
    """A handler that somebody adds: it keeps everything of each record, except what logging itself measures."""

    _MEASURED = frozenset({"created", "relativeCreated", "msecs", "process", "thread"})

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.heard = []

    def emit(self, record):
        """Keep one record."""
        held = [repr(value) for name, value in vars(record).items() if name not in self._MEASURED]
        raised = traceback.format_exception(*record.exc_info) if record.exc_info and record.exc_info[0] else []
        self.heard.append("\n".join([record.getMessage(), *held, *raised]))


@contextmanager
def hearing_everything():
    """Hear every logger at DEBUG, as the program has set them up, in what it writes itself and in a handler added."""
    root, ears, written = logging.getLogger(), Ears(), io.StringIO()
    before = {logger: (logger.level, logger.handlers, logger.propagate) for logger in [root, *_loggers()]}
    with redirect_stderr(written):
        start_logging(as_json=True)
        for handler in root.handlers:
            handler.filters.clear()
        root.addHandler(ears)
        for logger in (root, *_loggers()):
            logger.setLevel(logging.DEBUG)
        try:
            yield lambda: written.getvalue() + "\n".join(ears.heard)
        finally:
            for logger, (level, handlers, propagates) in before.items():
                logger.handlers, logger.propagate = handlers, propagates
                logger.setLevel(level)
            structlog.reset_defaults()


def _loggers():
    """Return every logger but the root, those of libraries that are not loaded yet included."""
    for name in ("google", "google.ads", "grpc", "httpx", "httpcore", "urllib3", "apprise", "facebook_business"):
        logging.getLogger(name)
    return [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]


class PlantedYear:
    """A company's nights, and everything that came out of them.

    Attributes:
        leaks: where something was found that must not be there: (when, where, what).
        logged: how many characters of logs were searched.
        states: every state that a sale was ever in.
    """

    def __init__(self, company, receiver, patch):
        self.company, self.receiver, self._patch = company, receiver, patch
        self.states = set()
        self.leaks, self.logged, self._seen, self._refusals, self._broken = set(), 0, set(), [], 0
        folder = company.directory / "run" / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        patch.setattr(tempfile, "tempdir", str(folder))
        company.environ |= {"TMPDIR": str(folder), "HOME": str(company.directory / "run"), "HOOK": SECRET}
        self._set_up()

    @property
    def scanned(self):
        """How many different contents were searched."""
        return len(self._seen)

    def _set_up(self):
        company = self.company
        company.use_meta()
        google = company.settings["google_ads"]
        company.settings["google_ads"] = [google, google | {"id": "ads_api", "transport": "google_ads_api"}]
        company.conversion("appointment")["count_once_per"] = "person"
        sale = company.conversion("sale")
        sale |= {"undo_when": ["lost"], "where": {"channel": ["Site web"]}}
        company.settings["report"] = {"folder": "pages", "by": "agency"}
        company.settings["metrics"] = "oplead.prom"
        company.settings["webhooks"] = {"secret": "${HOOK}", "inbox": str(self.receiver.inbox)}
        company.sandbox.google_ads.set_switch("ads_api_echo", value=True)
        company._around(
            "google_ads", UPLOAD, lambda call, handler: self._refusals.pop() if self._refusals else handler(call)
        )

    # ── nights ─────────────────────────────────────────────────────────────────────────────────────

    def round(self, number):
        """Another lead is won; the night meets this round's failure, and the next one learns outcomes."""
        company = self.company
        company.clock.advance(max(company.clock.now(), company.START + number * PAUSE))
        self._happens(number)
        for fault in FAILURES[number % len(FAILURES)]:
            company.fail(**fault)
        if number % 3 == 2:
            self._refusals = [REFUSED_BY_ADS_API[number % len(REFUSED_BY_ADS_API)]]
        self._night(f"round {number}", impatient=any(one["kind"] == "hang" for one in FAILURES[number % len(FAILURES)]))
        company.heal()
        self._refusals = []
        if number == WITHDRAWN:
            created = company.START + number * PAUSE - 3 * DAY
            one = person(company, number + 1, *steps_of(company, number + 1), created=created, amount="")
            one["leadData"]["consent"] = "non"
            company.serve(one)
        self._night(f"after round {number}", later=12 * HOUR)

    def quiet(self):
        """Let every window close, with nothing new and nothing failing."""
        begun = self.company.clock.now()
        for days in (2, 4, 8, 60, 240, 410):
            self.company.clock.advance(begun + days * DAY)
            self._night(f"{days} quiet days later")
            self._night(f"{days} quiet days later, outcomes", later=12 * HOUR)

    def _happens(self, number):
        company, now = self.company, self.company.clock.now()
        name, created = number + 1, now - 3 * DAY
        steps = [("RDV pris", now - 2 * DAY), ("Gagné", now - DAY)]
        amount = "" if number == WITHDRAWN else "12 500,00 €"
        self.webhook(name, steps[-1][0])
        company.serve(person(company, name, *steps, created=created, amount=amount))
        if number == 1:
            for one in odd_places(company, now - DAY):
                company.sandbox.oplead.book.put(one["id"], one)
        if number >= 2 and number % 4 == 2:  # what was won is lost again
            lost = [*steps_of(company, name - 2), ("Perdu", now - DAY)]
            company.serve(person(company, name - 2, *lost, created=created - 2 * PAUSE))

    def webhook(self, name, label):
        """Send webhooks about a lead of the person: understood, unknown, broken, and to the wrong address."""
        lead = person(self.company, name, (label, self.company.clock.now()))
        url = f"http://127.0.0.1:{self.receiver.port}/hooks/"
        strange = {f"{FIRST} {LAST}": SAID, EMAIL: lead, PHONE: 1}
        for where, body in (
            (SECRET, json.dumps({"event": "lead.status_changed", "lead": lead}).encode()),
            (SECRET, json.dumps({"event": f"lead.{LAST}", "data": strange}).encode()),
            (SECRET, f'{{"lead": "{SAID}'.encode()),
            (SECRET, json.dumps([SAID]).encode("utf-16")),
            (quote(LAST), json.dumps(lead).encode()),
            (f"{SECRET}?email={quote(EMAIL)}", PAGE.encode()),
        ):
            with suppress(httpx.HTTPError):
                headers = {"User-Agent": "Talvuxo", "Content-Type": "application/json", "X-Name": quote(LAST)}
                httpx.post(url + where, content=body, headers=headers, timeout=10)

    def _night(self, when, *, later=None, impatient=False):
        self.company.read_settings()  # a mistake in this test must not pass for a failing run
        with hearing_everything() as heard:
            try:
                with impatience() if impatient else nullcontext():
                    done = self.company.later(later) if later else self.company.night()
                self.search(when, "the summary", repr(done).encode())
            except Exception as error:  # noqa: BLE001 - its message is what this checks
                said = "".join(traceback.format_exception(error)) + repr(vars(error))
                self.search(when, "the exception", said.encode())
        self.logged += len(heard())
        self.search(when, "the log", heard().encode())
        self.search_files(when)

    # ── commands ───────────────────────────────────────────────────────────────────────────────────

    def commands(self, when):
        """Type every command that shows something of leads or of what was sent, and kill a rehearsal."""
        company = self.company
        csv = str(company.directory / "run" / "csv")
        for words in (
            ("status",),
            ("status", "--json"),
            ("status", "--reason", "consent_unknown"),
            ("explain", "L-1"),
            ("explain", "L-84", "--json"),
            ("explain", "L-85"),
            ("report",),
            ("report", "--csv", csv, "--out", csv),
            ("report", "--json"),
            ("values", "suggest"),
            ("check", "--live", "--verbose"),
            ("probe",),
            ("probe", "--json"),
            ("retry", "--dry-run"),
            ("backfill", "--from", "2026-08-20", "--to", "2026-09-01", "--dry-run"),
            ("run", "--dry-run"),
            ("run", "--validate-only"),
            ("run", "--inbox"),
            ("oplead", "leads", "list"),
            ("oplead", "leads", "get", "L-1"),
            ("oplead", "leads", "create", "--yes", *CREATED),
            ("oplead", "leads", "create", "--yes", *CREATED, "--json"),
            ("oplead", "leads", "feedback"),
        ):
            done = type_in(company, *words)
            if CREATED[0] not in words:  # what was typed is shown to be approved
                self.search(when, " ".join(words), (done.out + done.err).encode())
        self._bad_tokens(when)
        assert -9 == company.killed("page committed", command=("run", "--dry-run"))
        self.search_files(f"{when}, a rehearsal killed")
        company.serve(person(company, 70 + self._broken, ("Gagné", company.clock.now() - HOUR)))
        self._broken += 1
        code, out, err = company.command("run", "--accept-volume", prelude=BROKEN)
        assert code == 70, err
        self.search(when, "a run that breaks", (out + err).encode())
        self.search_files(when)

    def _bad_tokens(self, when):
        good = dict(self.company.environ)
        for name, token in (("OPLEAD_TOKEN", LAST), ("META_ACCESS_TOKEN", f"EAAB{LAST}")):
            self.company.environ[name] = token
            code, out, err = self.company.command("run")
            self.search(when, f"{name} is wrong ({code})", (out + err).encode())
            self.company.environ[name] = good[name]

    # ── searching ──────────────────────────────────────────────────────────────────────────────────

    def files(self):
        """Return every file that the program wrote or left, with its bytes."""
        folder = self.company.directory / "run"
        mine = {self.company.directory / "run" / "pipeline.yaml", self.receiver.settings}
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path not in mine
        }

    def search_files(self, when):
        """Search every file: hashes may stand in the state only, while something unsent may use them.

        What a person counts once by may stand there until it no longer matters, which the end of the year shows.
        """
        waiting = self.is_anything_unsent()
        self.states |= {row.state for row in self.company.rows_where("sale")}
        for name, data in self.files().items():
            allowed = ()
            if name.startswith("state.db"):
                allowed = ("hash of",) if waiting else ("hash of key of",)
            self.search(when, name, data, allowed=allowed)

    def is_anything_unsent(self):
        """Whether any delivery may still be sent or answered."""
        final = {"accepted", "rejected", "expired", "cancelled", "unconfirmed", "skipped"}
        rows = [*self.company.rows_of("delivery")]
        return any(final.isdisjoint(row) for row in rows)

    def search(self, when, where, data, *, allowed=()):
        """Search some bytes for all but what may be there, unless they were searched before."""
        content = (hash(data), allowed)
        if content in self._seen:
            return
        self._seen.add(content)
        found = {each for each in PEOPLE.found_in(data) if not each.startswith(allowed)}
        self.leaks |= {(when, where, each) for each in found}

    def clicks_in(self, name_part=""):
        """Return the files, by name, that hold whole click ids, and how many."""
        raw = [each.encode() for each in CLICK_IDS.values()]
        found = {name: sum(each in data for each in raw) for name, data in self.files().items() if name_part in name}
        return {name: count for name, count in found.items() if count}


def steps_of(company, name):
    """Return the steps that the lead of a name took when it was won."""
    at = company.START + (name - 1) * PAUSE
    return [("RDV pris", at - 2 * DAY), ("Gagné", at - DAY)]


@contextmanager
def impatience():
    """Wait only a moment for any answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "TIMEOUT", httpx.Timeout(0.3))
        patch.setattr(options, "GoogleOptions", partial(options.GoogleOptions, timeout=0.3))
        yield
