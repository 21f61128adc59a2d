"""Personal data and secrets, planted wherever they might leak, appear in nothing the runs wrote, printed or raised."""

import base64
import functools
import json
import logging
import re
import tempfile
import traceback
import unicodedata
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote, quote_plus

import pytest
from google.ads.googleads.v26.errors.types import GoogleAdsFailure
from google.ads.googleads.v26.services.types import UploadClickConversionsResponse

from connectors.google_ads.platform import hash_contact
from connectors.meta import identity as meta_identity
from connectors.records import Contact
from connectors.sandbox.google.ads_api.state import CallRefusal, RowError
from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from connectors.sandbox.oplead.server import ADMIN_KEY
from jobs.cli.setup.check_live import compare_settings_with_platforms
from tests.builders import stops
from tests.e2e.support.company import DATASET
from tests.e2e.support.traffic import UPLOAD
from tests.e2e.support.typed import type_in

HOUR = timedelta(hours=1)
FIRST, LAST = "Maëlig", "Quillivéré"
EMAIL = "Maelig.Quillivere+devis@Exemple-Prive.fr"
PHONE = "01 99 00 47 11"
DIGITS = "199004711"
"""The digits that every spelling of the number shares."""
CITY = "Ploumérel-sur-Quenouille"
POSTCODE = "29987"
TOKEN = "Zq9+Wrong/Token=Value%41"
HOOK = "json://127.0.0.1:9/T0ken+In/Path"
"""An address where nothing listens."""
META_TOKEN = "EAAB/invented+Meta=Token"
APP_SECRET = APP_SECRETS[DATASET]
LITERAL = "typed-into-the-file-0x51"
PERSON = f"{FIRST} {LAST} <{EMAIL}> {PHONE} {POSTCODE} {CITY}"
SAID = f"{PERSON} {TOKEN} {ADMIN_KEY} {META_TOKEN} {TOKENS[DATASET]} {APP_SECRET} {quote(EMAIL)}"
"""The answer of a platform that repeats whatever it was sent, and more."""
CONTACT = {"firstname": FIRST, "lastname": LAST, "email": EMAIL, "phone": PHONE}
ADDRESS = {"postcode": POSTCODE, "city": CITY, "country": "France"}
SECRETS = {
    "the first name": FIRST,
    "the last name": LAST,
    "the e-mail address": EMAIL,
    "Oplead's token": ADMIN_KEY,
    "a wrong token": TOKEN,
    "a hook": HOOK,
    "the city": CITY,
    "Meta's token": TOKENS[DATASET],
    "a wrong token of Meta's": META_TOKEN,
    "the secret of Meta's app": APP_SECRET,
    "a token typed into the file": LITERAL,
    "Google's tokens": "ya29.sandbox-",
    "Google's key": "PRIVATE KEY",
}


BUG = f"""
from jobs.deliver import conversions

def broken(*_, **__):
    raise ValueError({PERSON!r})

conversions.decide_route = broken
"""
"""Code that makes the command fail with personal data in an exception's message."""


# ── searching ──────────────────────────────────────────────────────────────────────────────────────


def spellings(secret):
    """The ways a text may appear in a file or a message."""
    composed = unicodedata.normalize("NFC", secret)
    plain = unicodedata.normalize("NFD", secret).encode("ascii", "ignore").decode()
    for text in {composed, unicodedata.normalize("NFD", secret), plain}:
        for each in (text, text.lower(), text.upper()):
            yield from (each, quote(each), quote(each, safe=""), quote_plus(each), json.dumps(each)[1:-1])
            yield base64.b64encode(each.encode()).decode().rstrip("=")


def stands_in(secret, data):
    """Whether a text appears in some bytes, in any case and spelling."""
    low = data.lower()
    return any(form in low for form in forms_of(secret))


@functools.cache
def forms_of(secret):
    """The lower-case byte forms of a text to search for."""
    forms = {form.lower() for form in spellings(secret)}
    return {form.encode() for form in forms} | {form.encode("latin-1", "ignore") for form in forms}


def has_phone(data):
    """Whether the phone number's digits appear in some bytes, whatever separates them."""
    return DIGITS.encode() in re.sub(rb"[\s.()/_+-]|%20|%2b", b"", data.lower())


def has_postcode(data):
    """Whether the postcode appears in some bytes, other than as part of a longer number or hash."""
    return re.search(rf"(?<![0-9a-z]){POSTCODE}(?![0-9a-z])".encode(), data.lower()) is not None


def files_of(company):
    """Every file the runs may have written, except the settings, which tests write."""
    written = [path for path in company.state.parent.rglob("*") if path.is_file() and path != company.config]
    return {str(path.relative_to(company.directory)): path.read_bytes() for path in written}


MEASURED = {"created", "relativeCreated", "msecs", "process", "thread"}
"""A log record's own numbers: after half a minute, its milliseconds since the start can look like the postcode."""


class Ears(logging.Handler):
    """Keeps everything in each log record, except what logging itself measures."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.heard = []

    def emit(self, record):
        """Keep one record."""
        held = (value for name, value in vars(record).items() if name not in MEASURED)
        text = [record.getMessage(), *map(repr, held)]
        if record.exc_info and record.exc_info[0]:
            text += traceback.format_exception(*record.exc_info)
        self.heard.append("\n".join(text))


@contextmanager
def listening():
    """Capture every logger at DEBUG, including Google's, which do not propagate to the root."""
    ears = Ears()
    named = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    loud = [logging.getLogger(), logging.getLogger("google")]
    levels = {logger: logger.level for logger in (*named, *loud)}
    for logger in named:
        logger.setLevel(logging.NOTSET)  # loggers silenced by an earlier test must log too
    others = {logger: logger.handlers for logger in loud}
    for logger in loud:
        logger.handlers = [ears]
        logger.setLevel(logging.DEBUG)
    try:
        yield ears
    finally:
        for logger, handlers in others.items():
            logger.handlers = handlers
        for logger, level in levels.items():
            logger.setLevel(level)


class Witness:
    """Everything that came out of a company's runs."""

    def __init__(self, company):
        self.company = company
        self.said = {}
        """The bytes, by where they were printed."""
        self.kept = set()
        """(file, its bytes), after each run and at every request to a platform during it."""
        for server in ("oplead", "data_manager", "google_ads", "meta"):
            company.before(server, "", lambda _: self.kept.update(files_of(company).items()))

    def night(self, name):
        """Run once in this process with every logger at DEBUG; return the summary, or None if it raised."""
        self.company.read_settings()  # a mistake in this test must not pass for a failing run
        with listening() as ears:
            summary = None
            try:
                summary = self.company.later(12 * HOUR)
                self._note(f"{name}: the summary", repr(summary))
            except Exception as error:  # noqa: BLE001 - its message is what this checks
                self._note(f"{name}: the exception", "".join(traceback.format_exception(error)) + repr(vars(error)))
        assert ears.heard
        self._note(f"{name}: the log", "\n".join(ears.heard))
        self.kept.update(files_of(self.company).items())
        return summary

    def look_up(self, name):
        """Query the platforms in this process with every logger at DEBUG; return the failed subjects."""
        with listening() as ears:
            found = compare_settings_with_platforms(self.company.read_settings(), [])
        self._note(f"{name}: the findings", repr(found))
        self._note(f"{name}: the log", "\n".join(ears.heard))
        return {each.subject for findings in found.values() for each in findings if each.verdict == "failed"}

    def command(self, name, *arguments, prelude=""):
        """Run the command; return its exit code."""
        code, out, err = self.company.command(*arguments, prelude=prelude)
        self._note(f"{name}: stdout", out)
        self._note(f"{name}: stderr", err)
        self.kept.update(files_of(self.company).items())
        return code

    def type_in(self, name, *arguments):
        """Type a command in this process; return its exit code."""
        done = type_in(self.company, *arguments)
        self._note(f"{name}: stdout", done.out)
        self._note(f"{name}: stderr", done.err)
        self.kept.update(files_of(self.company).items())
        return done.code

    def _note(self, where, text):
        self.said[where] = text.encode()

    def places(self, stands):
        """Where something appears, by a function that tests the bytes."""
        return sorted({where for where, data in (*self.said.items(), *self.kept) if stands(data)})


# ── planting ─────────────────────────────────────────────────────────────────────────────────────


def odd_leads(company):
    """Leads of one person, each with personal data in an unexpected place."""
    at = company.START - HOUR

    def odd(number, **more):
        way = [("RDV pris", at - HOUR), ("Gagné", at)]
        plain = {"contact": CONTACT, "address": ADDRESS, "clicks": company.both(number)}
        one = company.lead(number, *way, **plain | more)
        one["leadData"] |= {"note": PERSON}
        one["statusHistory"] = [entry | {"note": PERSON, "user": PERSON} for entry in one["statusHistory"]]
        return one

    def with_data(number, **data):
        one = odd(number)
        one["leadData"] |= data
        return one

    return [
        odd(1),
        odd(2, status={"label": "Gagné", "by": PERSON}),
        odd(3, comment=PERSON, history=[{"type": "note", "text": PERSON, "date": "2026-09-09 12:00:00"}]),
        with_data(4, externalID=EMAIL),
        with_data(5, externalID=PHONE),
        with_data(6, externalID=f"{FIRST} {LAST}"),
        with_data(7, externalID=f"gclid={EMAIL}"),
        with_data(8, externalID=f"https://site.example.com/?email={quote(EMAIL)}&gclid={company.gclid(8)}&tel={PHONE}"),
        with_data(9, externalID=json.dumps({"gclid": company.gclid(9), "email": EMAIL, "name": f"{FIRST} {LAST}"})),
        odd(10, amount=PHONE),
        odd(11, amount=PERSON),
        with_data(12, consent=f"{FIRST} {LAST}"),
        with_data(13, consent=EMAIL),
        odd(14, channel=f"{FIRST} {LAST}"),
        odd(15, channel=EMAIL),
        with_data(16, utm_source=EMAIL, utm_medium=PHONE, utm_campaign=f"{FIRST} {LAST}", externalID=company.gclid(16)),
        odd(17, createdAt=f"{FIRST} {LAST}"),
        odd(18, statusDate=EMAIL),
        odd(19, updatedAt=PHONE),
        {name: value for name, value in odd(20).items() if name != "id"} | {"email": EMAIL},
        odd(21, id={"email": EMAIL}),
        PERSON,
    ]


def put(company, *leads):
    """Serve these items, even those that are not leads."""
    for number, one in enumerate(leads, 1):
        company.sandbox.oplead.book.put(f"L-{number}", one)
        company.platform.register_clicks(
            {company.gclid(number): {"clicked_at": "2026-09-01T06:55:00+00:00", "customer": company.CUSTOMER}}
        )


def echo(company, server, status, path=""):
    """Make a server's refusals repeat whatever it was sent and more: the first in the API's format, then as a page."""
    violation = {"field": f"events[0].user_data {EMAIL}", "description": SAID, "reason": LAST.upper()}
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": LAST.upper(), "domain": EMAIL},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": EMAIL},
    ]
    error = {"code": status, "message": SAID, "status": "INVALID_ARGUMENT", "details": details}
    body = {"error": f"invalid_{EMAIL}", "error_description": SAID} if server == "oauth" else {"error": error}
    say(company, server, status, body, path=path)
    company.fail(server, "status", path=path, status=status, body=f"<html><body>{SAID}</body></html>", count=9)


def say(company, server, status, body, *, path="", count=1):
    """Have a server give this answer."""
    text = json.dumps(body, ensure_ascii=False)
    company.fail(server, "status", path=path, status=status, body=text, count=count)


def meta_error(code, subcode=None):
    """A Meta error that quotes what was sent in each of its texts."""
    texts = {"message": SAID, "type": EMAIL, "error_user_title": LAST, "error_user_msg": SAID, "fbtrace_id": EMAIL}
    return {"error": {**texts, "code": code, "error_subcode": subcode, "error_data": {"blame": [SAID, PHONE]}}}


class Parrot:
    """Wraps the Google Ads API so that its answers to uploads quote what was sent.

    Attributes:
        says: None passes calls to the API, whose partial failures then quote; otherwise the refusal of every call.
    """

    def __init__(self, company):
        self.says = None
        company.sandbox.google_ads.set_switch("ads_api_echo", value=True)
        company._around("google_ads", UPLOAD, self.answer)

    def answer(self, call, handler):
        """Answer one upload."""
        answer = self.says or handler(call)
        return answer if isinstance(answer, CallRefusal) else quoting(answer)


def quoting(answer):
    """An answer of the Google Ads API with personal data in the texts and triggers of its errors."""
    response = UploadClickConversionsResponse.deserialize(answer)
    if response.partial_failure_error.code:
        response.partial_failure_error.message = SAID
    for detail in response.partial_failure_error.details:
        failure = GoogleAdsFailure.deserialize(detail.value)
        for error in failure.errors:
            error.message, error.trigger.string_value = SAID, EMAIL
        detail.value = GoogleAdsFailure.serialize(failure)
    return UploadClickConversionsResponse.serialize(response)


REFUSED_BY_ADS_API = CallRefusal(
    "INVALID_ARGUMENT",
    SAID,
    (RowError("conversion_upload_error", "UNPARSEABLE_GCLID", SAID, (("conversions", 0), ("gclid", None))),),
)
BROKEN_OFF_BY_ADS_API = CallRefusal("UNKNOWN", f"<html>{SAID}</html>")
EVENTS = f"/v26.0/{DATASET}/events"


@pytest.fixture(scope="module")
def witness(companies):
    """A company with such leads, after successful and failing runs."""
    company = companies()
    company.environ |= {"NOTIFY_URL": HOOK, "APP_SECRET": APP_SECRET, "TMPDIR": str(company.directory / "run")}
    company.settings["notify"] = ["${NOTIFY_URL}"]
    company.use_meta(app_secret="${APP_SECRET}")
    google = company.settings["google_ads"]
    company.settings["google_ads"] = [google, google | {"id": "ads_api", "transport": "google_ads_api"}]
    company.conversion("sale")["where"] = {"channel": ["Site web"]}
    put(company, *odd_leads(company))
    company.platform.plant_event_rulings(
        {
            company.gclid(1): {"when": "submit", "reason": "INVALID_SHA256_FORMAT"},
            company.gclid(2): {"when": "processing", "reason": "INVALID_GCLID"},
        }
    )
    company.sandbox.google_ads.plant_event_rulings(
        {company.gclid(1): {"when": "submit", "reason": "UNPARSEABLE_GCLID"}}
    )
    company.sandbox.meta.plant_event_rulings({company.fbclid(1): {"subcode": 2804001}})
    with pytest.MonkeyPatch.context() as patch:
        (company.directory / "run").mkdir(exist_ok=True)
        patch.setattr(tempfile, "tempdir", str(company.directory / "run"))
        witness = Witness(company)
        tell_all(witness, patch)
    return witness


def tell_all(witness, patch):
    """Run nights that succeed or fail, so that each possible error is reported with what it is about."""
    company = witness.company
    wrong = {"OPLEAD_TOKEN": TOKEN}

    company.environ |= wrong
    assert witness.night("a wrong token").source_stopped
    company.settings["oplead"] = {"auth": {"style": "query", "name": "api_key"}}
    assert witness.night("a wrong token in the address").source_stopped
    assert 3 == witness.command("a wrong token", "run")
    del company.settings["oplead"]
    company.environ |= {"OPLEAD_TOKEN": ADMIN_KEY}

    echo_for_a_night(witness, "oplead", 500)
    echo_for_a_night(witness, "oplead", 400)
    uploads_fail(witness, Parrot(company))
    won = company.clock.now() - HOUR
    whole = {"contact": CONTACT, "address": ADDRESS, "clicks": company.both(30)}
    company.serve(company.lead(30, ("RDV pris", won - HOUR), ("Gagné", won), **whole))
    echo_for_a_night(witness, "oauth", 500)
    echo_for_a_night(witness, "oauth", 400)
    echo_for_a_night(witness, "data_manager", 400, "/v1/requestStatus:retrieve")
    assert witness.night("outcomes").resolved.asked

    patch.setitem(company.settings, "oplead", {"token": LITERAL})
    assert 2 == witness.command("a token typed into the file", "run")
    patch.undo()
    assert 0 == witness.type_in("status", "status")
    assert 0 == witness.type_in("explain", "explain", "L-4")


def echo_for_a_night(witness, server, status, path=""):
    """Run a night on which a server repeats what it is sent."""
    echo(witness.company, server, status, path)
    witness.night(f"{server} says {status}")
    witness.company.heal()


def uploads_fail(witness, parrot):
    """Fail uploads by refusal, revoked token, broken connection and partial acceptance, each quoting what was sent."""
    company, ingest = witness.company, "/v1/events:ingest"
    echo(company, "data_manager", 400, ingest)
    parrot.says = REFUSED_BY_ADS_API
    say(company, "meta", 400, meta_error(100, 2804001))
    say(company, "meta", 400, meta_error(100), count=99)
    witness.night("uploads are refused")
    company.heal()

    say(company, "meta", 400, meta_error(190))
    echo(company, "data_manager", 401, ingest)
    assert "meta" in stops(witness.night("Meta has revoked the token"))
    company.heal()
    nothing_is_sent(witness)

    parrot.says = BROKEN_OFF_BY_ADS_API
    echo(company, "data_manager", 500, ingest)
    company.fail("meta", "status", status=500, body=f"<html><body>{SAID}</body></html>", count=99)
    assert "in_doubt" in {state for _, _, state, _ in witness.night("uploads break off").standing}
    company.heal()

    parrot.says = None
    say(company, "meta", 200, {"events_received": 7, "messages": [SAID], "fbtrace_id": EMAIL}, count=99)
    assert witness.night("events are taken in part").delivered.requests
    company.heal()


def nothing_is_sent(witness):
    """Query platforms with a wrong token and with one they quote, and run validations, dry runs and a crash."""
    company = witness.company
    company.environ |= {"META_ACCESS_TOKEN": META_TOKEN}
    assert {"Meta access token"} <= witness.look_up("a wrong token of Meta's")
    assert 1 == witness.type_in("a wrong token of Meta's", "check", "--live")
    company.environ |= {"META_ACCESS_TOKEN": TOKENS[DATASET]}
    say(company, "meta", 400, meta_error(100), path="/v26.0/debug_token")
    witness.look_up("what platforms know")
    company.heal()
    assert 3 == witness.type_in("a validation", "run", "--validate-only")
    assert 1 == witness.type_in("a rehearsal", "run", "--dry-run")
    assert 70 == witness.command("a bug", "run", prelude=BUG)


# ── what must hold ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.xdist_group("a witness")
@pytest.mark.parametrize("destination", ["google_ads", "ads_api", "meta"])
def test_runs_exercised_every_path_that_may_leak(witness, destination):
    """Planted leads were accepted, rejected, withheld and unreadable; otherwise an empty search would prove nothing."""
    states = set(witness.company.states(destination).values())
    unreadable = witness.company.rows_of("unreadable_lead")

    assert {"accepted", "rejected", "withheld"} <= states
    assert 4 <= len(unreadable)
    assert len(witness.said) >= 40


@pytest.mark.xdist_group("a witness")
def test_platforms_received_hashes_of_every_contact_field(witness):
    """Name, city and postcode went to Meta, email and phone to all, so the searched data did pass through."""
    shown = [event["user_data"].keys() for post in witness.company.posts for event in post.events]

    assert {"em", "ph", "fn", "ln", "ct", "zp", "country", "fbc"} == set().union(*shown)
    assert any(row.user_identifiers for call in witness.company.calls for row in call.rows)
    assert any("userData" in event for body, _ in witness.company.ingests for event in body["events"])


@pytest.mark.xdist_group("a witness")
@pytest.mark.parametrize("secret", SECRETS)
def test_secret_appears_in_no_file_or_message(witness, secret):
    """The search ignores case and covers forms without accents, percent-encoded, escaped and in base64."""
    assert [] == witness.places(lambda data: stands_in(SECRETS[secret], data))


@pytest.mark.xdist_group("a witness")
def test_phone_number_appears_in_no_file_or_message(witness):
    """Not even as an amount: nine digits in a row are a phone number, however they are grouped."""
    assert [] == witness.places(has_phone)


@pytest.mark.xdist_group("a witness")
def test_postcode_appears_in_no_file_or_message(witness):
    """It is read only to be hashed."""
    assert [] == witness.places(has_postcode)


@pytest.mark.parametrize(
    "amount",
    [
        "0199004711",
        "199004711",
        "+33199004711",
        "01.99.00.47.11",
    ],
)
def test_phone_number_typed_as_an_amount_is_withheld(company, amount):
    """It counts as unreadable, and is neither stored nor sent as a value."""
    company.serve(company.lead(1, ("Gagné", company.CREATED + HOUR), amount=amount))

    company.night()

    assert ("withheld", "value_unreadable") == _short(company.deliveries()["L-1", "sale"])
    assert {60} == {event["conversionValue"] for events in company.sent().values() for event in events}
    assert [] == [name for name, data in files_of(company).items() if has_phone(data)]


def _short(row):
    return row.state, row.reason


# ── what is kept, and for how long ───────────────────────────────────────────────────────────────


def hashes(*emails):
    """The hashes of these addresses and the phone number as Google expects them, in hex."""
    found = [hash_contact(Contact(emails=(email,), phones=(PHONE,))) for email in emails]
    assert {2} == {len(each) for each in found}
    return list(dict.fromkeys(each.sha256.encode() for pair in found for each in pair))


def kept(company, *needles):
    """Which of these bytes appear in any file of the state, including deleted rows."""
    return [needle for needle in needles if any(needle in data for data in files_of(company).values())]


def people(company, numbers, **more):
    """Leads of different people, all won."""
    at = company.START - HOUR
    return [
        company.lead(n, ("Gagné", at), contact={"email": f"person.{n}@example.com", "phone": PHONE}, **more)
        for n in numbers
    ]


def test_hashes_and_events_are_erased_once_settled(company):
    """The state's files hold them while something may still be sent, and not one byte of them later."""
    numbers = range(150)  # enough for pages of the file to split and merge
    company.max_per_run = 1_000
    company.serve(*people(company, numbers))
    addresses = hashes(*(f"person.{n}@example.com" for n in numbers))

    assert -9 == company.killed("answer read")
    assert sorted(addresses) == sorted(kept(company, *addresses))
    assert kept(company, b"adIdentifiers")

    company.night()
    company.later()
    company.later()

    assert {"accepted"} == set(company.states().values())
    assert [] == kept(company, *addresses, b"adIdentifiers", b"userIdentifiers", b"eventTimestamp")


def test_hashes_stay_while_a_conversion_waits(company):
    """A sale waiting for its amount keeps its person's hashes; a lead with nothing pending keeps none."""
    company.serve(*people(company, [1], amount=""), *people(company, [2]))
    company.night()
    company.later()
    waiting, _ = hashes("person.1@example.com")
    done, _ = hashes("person.2@example.com")  # the phone number is the same

    assert {"accepted", "pending"} == set(company.states().values())
    assert [waiting] == kept(company, waiting, done)


def test_withdrawn_consent_erases_hashes(company):
    """Open deliveries are cancelled, and none of the person's contact data stays in the files."""
    company.serve(*people(company, [1], amount=""))
    company.night()
    company.later()
    address = hashes("person.1@example.com")

    assert address == kept(company, *address)

    (one,) = people(company, [1], amount="")
    one["leadData"]["consent"] = "non"
    company.serve(one)
    company.later(12 * HOUR)

    assert "cancelled" == company.states()["L-1", "sale"]
    assert [] == kept(company, *address)


def test_every_meta_hash_is_erased_once_settled(company):
    """Names, city, postcode and country are there while an answer is awaited, and not one byte of them later."""
    contact = Contact(("jeanne@exemple-prive.fr",), (PHONE,), FIRST, LAST, POSTCODE, CITY, "France")
    told = {"firstname": FIRST, "lastname": LAST, "email": "jeanne@exemple-prive.fr", "phone": PHONE}
    company.use_meta()
    click = f"fbclid={company.fbclid(1)}"
    company.serve(company.lead(1, ("Gagné", company.START - HOUR), clicks=click, contact=told, address=ADDRESS))
    found = [identifier.sha256.encode() for identifier in meta_identity.hash_contact(contact)]
    assert 7 == len(found)

    assert -9 == company.killed("meta: answer read")
    assert sorted(found) == sorted(kept(company, *found))
    assert kept(company, b'"user_data"')

    company.night()
    company.later()

    assert {"accepted"} == set(company.states("meta").values())
    assert [] == kept(company, *found, b'"user_data"', b"event_time")


def test_click_ids_are_erased_when_their_windows_close(company):
    """Google's go after 90 days and Meta's after a year, and a later change of the lead does not bring them back."""
    company.use_meta()
    company.serve(won := company.lead(1, ("Gagné", company.START - HOUR), clicks=company.both(1)))
    google, meta = company.gclid(1).encode(), company.fbclid(1).encode()
    clicked = company.CREATED
    seen = {}
    for days in (0, 89, 91, 364, 366):
        company.night(max(company.clock.now(), clicked + timedelta(days=days)))
        company.serve(won | {"amount": f"{12_500 + days} €"})
        company.later(timedelta(hours=2))
        company.later(timedelta(hours=2))
        seen[days] = kept(company, google, meta)

    assert {0: [google, meta], 89: [google, meta], 91: [meta], 364: [meta], 366: []} == seen
    assert {"accepted"} == set(company.states("meta").values())
