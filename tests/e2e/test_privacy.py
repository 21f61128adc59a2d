"""Personal data and secrets, planted wherever they may turn up, are nowhere in what the runs wrote, said or raised."""

import base64
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

from connectors.google_ads.identity import identify
from connectors.records import Contact
from connectors.sandbox.oplead import ADMIN_KEY

HOUR = timedelta(hours=1)
FIRST, LAST = "Maëlig", "Quillivéré"
EMAIL = "Maelig.Quillivere+devis@Exemple-Prive.fr"
PHONE = "01 99 00 47 11"
DIGITS = "199004711"
"""What every spelling of the number has in common."""
TOKEN = "Zq9+Wrong/Token=Value%41"
HOOK = "https://hooks.example.com/T0ken+In/Path"
META_TOKEN = "EAAB/invented+Meta=Token"
LITERAL = "typed-into-the-file-0x51"
PERSON = f"{FIRST} {LAST} <{EMAIL}> {PHONE}"
CONTACT = {"firstname": FIRST, "lastname": LAST, "email": EMAIL, "phone": PHONE}
SECRETS = {
    "the first name": FIRST,
    "the last name": LAST,
    "the e-mail address": EMAIL,
    "Oplead's token": ADMIN_KEY,
    "a wrong token": TOKEN,
    "a hook": HOOK,
    "Meta's token": META_TOKEN,
    "a token typed into the file": LITERAL,
    "Google's tokens": "ya29.sandbox-",
    "Google's key": "PRIVATE KEY",
}


BUG = f"""
from jobs import plan

def broken(*_, **__):
    raise ValueError({PERSON!r})

plan.judge = broken
"""
"""What makes the command fail with data in an exception's message."""


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


def spellings(secret):
    """The ways a text may stand in a file or a message, in lower case."""
    composed = unicodedata.normalize("NFC", secret)
    plain = unicodedata.normalize("NFD", secret).encode("ascii", "ignore").decode()
    for text in {composed, unicodedata.normalize("NFD", secret), plain}:
        for each in (text, text.lower(), text.upper()):
            yield from (each, quote(each), quote(each, safe=""), quote_plus(each), json.dumps(each)[1:-1])
            yield base64.b64encode(each.encode()).decode().rstrip("=")


def stands_in(secret, data):
    """Whether a text stands in some bytes, in any case and spelling."""
    low = data.lower()
    forms = {form.lower() for form in spellings(secret)}
    return any(form.encode() in low or form.encode("latin-1", "ignore") in low for form in forms)


def has_phone(data):
    """Whether the phone number's digits stand in some bytes, whatever stands between them."""
    return DIGITS.encode() in re.sub(rb"[\s.()/_+-]|%20|%2b", b"", data.lower())


def files_of(company):
    """Every file the runs may have written, but for the settings, which tests write."""
    written = [path for path in company.state.parent.rglob("*") if path.is_file() and path != company.config]
    return {str(path.relative_to(company.directory)): path.read_bytes() for path in written}


class Ears(logging.Handler):
    """Keeps everything every log record holds."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.heard = []

    def emit(self, record):
        """Keep one."""
        text = [record.getMessage(), *map(repr, vars(record).values())]
        if record.exc_info and record.exc_info[0]:
            text += traceback.format_exception(*record.exc_info)
        self.heard.append("\n".join(text))


@contextmanager
def listening():
    """Ears that hear every logger at DEBUG, also Google's, which tell the root nothing."""
    ears = Ears()
    named = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    loud = [logging.getLogger(), logging.getLogger("google")]
    levels = {logger: logger.level for logger in (*named, *loud)}
    for logger in named:
        logger.setLevel(logging.NOTSET)  # what an earlier test has silenced must speak too
    for logger in loud:
        logger.addHandler(ears)
        logger.setLevel(logging.DEBUG)
    try:
        yield ears
    finally:
        for logger in loud:
            logger.removeHandler(ears)
        for logger, level in levels.items():
            logger.setLevel(level)


class Witness:
    """Everything that came out of a company's runs."""

    def __init__(self, company):
        self.company = company
        self.said = {}
        """By where it was said: the bytes."""
        self.kept = []
        """(file, its bytes), as they were after each run, and whenever a platform was asked something in it."""
        for server in ("oplead", "data_manager"):
            company.before(server, "", lambda _: self.kept.extend(files_of(company).items()))

    def night(self, name):
        """A run in this process, with every logger at DEBUG; its summary, or None where it raised."""
        self.company.read_settings()  # a slip of ours must not pass for a failing run
        with listening() as ears:
            summary = None
            try:
                summary = self.company.later(12 * HOUR)
                self._note(f"{name}: the summary", repr(summary))
            except Exception as error:  # noqa: BLE001 - what it says is what this is about
                self._note(f"{name}: the exception", "".join(traceback.format_exception(error)) + repr(vars(error)))
        assert ears.heard
        self._note(f"{name}: the log", "\n".join(ears.heard))
        self.kept += files_of(self.company).items()
        return summary

    def command(self, name, *arguments, prelude=""):
        """A run of the command; its exit code."""
        code, out, err = self.company.command(*arguments, prelude=prelude)
        self._note(f"{name}: stdout", out)
        self._note(f"{name}: stderr", err)
        self.kept += files_of(self.company).items()
        return code

    def _note(self, where, text):
        self.said[where] = text.encode()

    def places(self, stands):
        """Where something stands, by a function that says whether it does."""
        return sorted({where for where, data in (*self.said.items(), *self.kept) if stands(data)})


# ── planting ─────────────────────────────────────────────────────────────────────────────────────


def odd_leads(company):
    """Leads of one person, each with the person's data where nobody would look for it."""
    at = company.START - HOUR

    def odd(number, **more):
        one = company.lead(number, ("RDV pris", at - HOUR), ("Gagné", at), contact=CONTACT, **more)
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
    """Serve leads that are no leads, too."""
    for number, one in enumerate(leads, 1):
        company.sandbox.oplead._put[f"L-{number}"] = one
        company.platform.register_clicks(
            {company.gclid(number): {"clicked_at": "2026-09-01T06:55:00+00:00", "customer": company.CUSTOMER}}
        )


def echo(company, server, status, path=""):
    """A server whose refusals repeat whatever it was sent and more."""
    said = f"{PERSON} {TOKEN} {ADMIN_KEY} {quote(EMAIL)}"
    violation = {"field": f"events[0].user_data {EMAIL}", "description": said, "reason": LAST.upper()}
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": LAST.upper(), "domain": EMAIL},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": EMAIL},
    ]
    error = {"code": status, "message": said, "status": "INVALID_ARGUMENT", "details": details}
    body = {"error": f"invalid_{EMAIL}", "error_description": said} if server == "oauth" else {"error": error}
    company.fail(server, "status", path=path, status=status, body=json.dumps(body, ensure_ascii=False), count=1)
    company.fail(server, "status", path=path, status=status, body=f"<html><body>{said}</body></html>", count=9)


@pytest.fixture(scope="module")
def witness(companies):
    """A company with such leads, after good nights and bad ones."""
    company = companies()
    company.environ |= {"NOTIFY_URL": HOOK, "META_ACCESS_TOKEN": META_TOKEN, "TMPDIR": str(company.directory / "run")}
    company.settings["notify"] = ["${NOTIFY_URL}"]
    company.settings["meta"] = {
        "dataset_id": "1234567890",
        "access_token": "${META_ACCESS_TOKEN}",
        "graph_url": company.sandbox.addresses["control"],
    }
    company.conversion("sale")["where"] = {"channel": ["Site web"]}
    put(company, *odd_leads(company))
    company.platform.plant_rulings(
        {
            company.gclid(1): {"when": "submit", "reason": "INVALID_SHA256_FORMAT"},
            company.gclid(2): {"when": "processing", "reason": "INVALID_GCLID"},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        (company.directory / "run").mkdir()
        patch.setattr(tempfile, "tempdir", str(company.directory / "run"))
        witness = Witness(company)
        tell_all(witness, patch)
    return witness


def tell_all(witness, patch):
    """Good nights and bad ones: each error that may be told with what it is about."""
    company = witness.company
    wrong = {"OPLEAD_TOKEN": TOKEN}

    company.environ |= wrong
    assert witness.night("a wrong token").source_stopped
    company.settings["oplead"] = {"auth": {"style": "query", "name": "api_key"}}
    assert witness.night("a wrong token in the address").source_stopped
    assert 3 == witness.command("a wrong token", "run")
    del company.settings["oplead"]
    company.environ |= {"OPLEAD_TOKEN": ADMIN_KEY}

    for server, status in (("oplead", 500), ("oplead", 400), ("oauth", 500), ("oauth", 400)):
        echo(company, server, status)
        witness.night(f"{server} says {status}")
        company.heal()
    echo(company, "data_manager", 400, "/v1/events:ingest")
    witness.night("uploads fail")
    company.heal()
    assert 1 == witness.command("a rehearsal", "run", "--dry-run")
    assert 70 == witness.command("a bug", "run", prelude=BUG)

    assert witness.night("a good night").delivered.requests
    echo(company, "data_manager", 400, "/v1/requestStatus:retrieve")
    witness.night("outcomes fail")
    company.heal()
    assert witness.night("outcomes").resolved.asked

    patch.setitem(company.settings, "oplead", {"token": LITERAL})
    assert 2 == witness.command("a token typed into the file", "run")
    patch.undo()
    assert 0 == witness.command("status", "status")
    assert 0 == witness.command("explain", "explain", "L-4")


# ── what must hold ───────────────────────────────────────────────────────────────────────────────


def test_the_runs_did_what_may_leak(witness):
    """The planted leads were read, refused, unreadable, withheld and accepted: silence would prove nothing."""
    fates = set(witness.company.fates().values())
    unreadable = witness.company.rows_of("unreadable_lead")

    assert {"accepted", "rejected", "withheld"} <= fates
    assert 4 <= len(unreadable)
    assert len(witness.said) >= 25


@pytest.mark.parametrize("secret", SECRETS)
def test_a_text_is_nowhere(witness, secret):
    """Neither in a file nor in a message, in no case, without its accents, percent-encoded, escaped or in base64."""
    assert [] == witness.places(lambda data: stands_in(SECRETS[secret], data))


def test_a_phone_number_is_nowhere(witness):
    """Not even in an amount: nine digits in a row, however they are grouped, are a number to call."""
    assert [] == witness.places(has_phone)


@pytest.mark.parametrize(
    "amount",
    [
        "0199004711",
        "199004711",
        "+33199004711",
        "01.99.00.47.11",
    ],
)
def test_a_phone_number_typed_as_an_amount_is_not_read_as_one(company, amount):
    """It is withheld as unreadable, neither stored nor sent as a value."""
    company.serve(company.lead(1, ("Gagné", company.CREATED + HOUR), amount=amount))

    company.night()

    assert ("withheld", "value_unreadable: ") == _short(company.deliveries()["L-1", "sale"])
    assert {60} == {event["conversionValue"] for events in company.sent().values() for event in events}
    assert [] == [name for name, data in files_of(company).items() if has_phone(data)]


def _short(row):
    return row.fate, re.sub(": .*", ": ", row.reason or "")


# ── what is kept, and for how long ───────────────────────────────────────────────────────────────


def hashes(*emails):
    """The hashes of these addresses, as Google wants them, in hex."""
    found = [identify(Contact(emails=(email,), phones=(PHONE,))) for email in emails]
    assert {2} == {len(each) for each in found}
    return list(dict.fromkeys(each.sha256.encode() for pair in found for each in pair))


def kept(company, *needles):
    """Which of these bytes stand in any file of the state, also where a row was deleted."""
    return [needle for needle in needles if any(needle in data for data in files_of(company).values())]


def people(company, numbers, **more):
    """Leads of different people, all won."""
    at = company.START - HOUR
    return [
        company.lead(n, ("Gagné", at), contact={"email": f"person.{n}@example.com", "phone": PHONE}, **more)
        for n in numbers
    ]


def test_hashes_and_events_are_gone_once_everything_is_settled(company):
    """They stand in the state's files while something may still be sent by them, and not one byte of them later."""
    numbers = range(150)  # enough that pages of the file split and merge
    company.serve(*people(company, numbers))
    addresses = hashes(*(f"person.{n}@example.com" for n in numbers))

    assert -9 == company.killed("answer read")
    assert sorted(addresses) == sorted(kept(company, *addresses))
    assert kept(company, b"adIdentifiers")

    company.night()
    company.later()
    company.later()

    assert {"accepted"} == set(company.fates().values())
    assert [] == kept(company, *addresses, b"adIdentifiers", b"userIdentifiers", b"eventTimestamp")


def test_hashes_of_what_may_still_be_sent_stay(company):
    """A sale that waits for its amount keeps its person's hashes; a neighbour with nothing to wait for keeps none."""
    company.serve(*people(company, [1], amount=""), *people(company, [2]))
    company.night()
    company.later()
    waiting, _ = hashes("person.1@example.com")
    done, _ = hashes("person.2@example.com")  # the phone number is the same

    assert {"accepted", "pending"} == set(company.fates().values())
    assert [waiting] == kept(company, waiting, done)


def test_hashes_go_when_consent_is_withdrawn(company):
    """Open deliveries are cancelled and nothing of the person's contact data stays in the files."""
    company.serve(*people(company, [1], amount=""))
    company.night()
    company.later()
    address = hashes("person.1@example.com")

    assert address == kept(company, *address)

    (one,) = people(company, [1], amount="")
    one["leadData"]["consent"] = "non"
    company.serve(one)
    company.later(12 * HOUR)

    assert "cancelled" == company.fates()["L-1", "sale"]
    assert [] == kept(company, *address)
