"""What `OpleadWriter` puts on the wire, byte for byte, and what it makes of every answer and of none."""

import json
import re
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.crm import (
    CrmEventKind,
    DocumentToAttach,
    LeadToWrite,
    Subscription,
    WriteAccepted,
    WriteRefusalReason,
    WriteRefused,
)
from connectors.errors import KeyRefused, Misconfigured, WrongClock
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import (
    ApiAuthScheme,
    CreationAnswers,
    Endpoint,
    FormImportServiceOptions,
    OpleadOptions,
    OpleadWriteOptions,
    PaginationOptions,
)
from connectors.oplead.writing.writer import OpleadWriter
from connectors.rate_limit import Pacer
from connectors.records import AnswerLost, Contact, LeadId, RequestNotSent

TOKEN = "tok-0123456789"
DATE = "Tue, 21 Jul 2026 03:30:00 GMT"
LEAD = LeadId("L 7/é")
JEANNE = LeadToWrite(Contact(emails=("jeanne.exemple@example.com",), first_name="Jeanne"))
CUT, HANG, HALF = "cut", "hang", "half"


def answer(status=200, body=b"{}", **headers):
    """An HTTP answer's bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nDate: {DATE}\r\n{named}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Wire:
    """A server on a raw socket: keeps each request's bytes, and answers as scripted, repeating the last answer."""

    def __init__(self):
        self.requests = []
        self.answers = [answer()]
        self.pause = 0.0
        """Seconds before each answer."""
        self._done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Stop serving."""
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection, which closing does not
        self._listener.close()
        self._thread.join(timeout=5)

    @property
    def bodies(self):
        """The body of each request."""
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    @property
    def lines(self):
        """The first line of each request."""
        return [request.partition(b"\r\n")[0].decode() for request in self.requests]

    def headers(self, number=0):
        """The headers of a request, by lower-case name."""
        head = self.requests[number].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}

    def _serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with connection, suppress(OSError):
            while request := self._read(connection):
                self.requests.append(request)
                reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                self._done.wait(self.pause)
                if reply == HANG:
                    self._done.wait(5)
                if reply in {CUT, HANG}:
                    return
                connection.sendall(reply.removesuffix(HALF.encode()))
                if reply.endswith(HALF.encode()):
                    return

    def _read(self, connection):
        read = b""
        while b"\r\n\r\n" not in read:
            if not (more := connection.recv(65536)):
                return b""
            read += more
        length = re.search(rb"(?i)content-length: (\d+)", read)
        size = read.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
        while len(read) < size:
            if not (more := connection.recv(65536)):
                return read
            read += more
        return read


@pytest.fixture
def wire():
    """A scripted server."""
    server = Wire()
    yield server
    server.close()


NOTHING_KNOWN = CreationAnswers()


@pytest.fixture
def open_writer(wire, clock):
    """Open a writer on the scripted server; it is closed after the test."""
    opened = []

    def open_one(
        *,
        options=None,
        answers=NOTHING_KNOWN,
        form=None,
        clocks_within=None,
        cancel_token=None,
        per_minute=90,
        timeout=0.4,
        **more,
    ):
        given = {"token": TOKEN, "zone": ZoneInfo("Europe/Paris"), "base_url": wire.url, **more}
        made = [
            OpleadClient(
                each,
                clock=clock,
                pacer=Pacer(clock, per_minute, cancel_token=cancel_token),
                timeout=httpx.Timeout(timeout),
                clocks_within=clocks_within,
                cancel_token=cancel_token,
            )
            for each in (
                OpleadOptions(**given),
                OpleadOptions(
                    token="", zone=given["zone"], base_url=wire.url, path_prefix="", auth=ApiAuthScheme("none")
                ),
            )
        ]
        writer = OpleadWriter(
            made[0], options or OpleadWriteOptions(form=form, answers=answers), made[1] if form else None
        )
        writer.pacer = made[0].pacer
        opened.append(writer)
        return writer

    yield open_one
    for writer in opened:
        writer.close()


def document(folder, content=b"%PDF-1.7\nabc", name="devis été.pdf"):
    """A file as a document."""
    path = folder / name
    path.write_bytes(content)
    return DocumentToAttach(path, name, "application/pdf", len(content))


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────

REQUESTS = {
    "create": (
        lambda writer: writer.create(JEANNE),
        "POST /v1/leads HTTP/1.1",
        b'{"email":"jeanne.exemple@example.com","firstname":"Jeanne"}',
    ),
    "update": (
        lambda writer: writer.update(LEAD, LeadToWrite(Contact(city="Lyon"))),
        "PUT /v1/leads/L%207%2F%C3%A9 HTTP/1.1",
        b'{"city":"Lyon"}',
    ),
    "set_status": (
        lambda writer: writer.set_status(LEAD, "Devis à relancer"),
        "PUT /v1/leads/L%207%2F%C3%A9/status HTTP/1.1",
        '{"status":"Devis à relancer"}'.encode(),
    ),
    "subscribe": (
        lambda writer: writer.subscribe(CrmEventKind.STATUS_CHANGE, "https://hooks.example/s"),
        "POST /v1/subscriptions HTTP/1.1",
        b'{"event":"lead.status_changed","url":"https://hooks.example/s"}',
    ),
    "unsubscribe": (lambda writer: writer.unsubscribe("S/1"), "DELETE /v1/subscriptions/S%2F1 HTTP/1.1", b""),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_makes_one_request_with_exactly_these_bytes(wire, open_writer, what):
    """Verb, path, body and key as the settings say."""
    write, line, body = REQUESTS[what]

    assert WriteAccepted() == write(open_writer(answers=CreationAnswers(created_without_id=True)))
    assert ([line], [body]) == (wire.lines, wire.bodies)
    assert f"Bearer {TOKEN}" == wire.headers()["authorization"]
    assert ("application/json" if body else None) == wire.headers().get("content-type")


def test_sends_a_document_as_one_part_of_a_form(wire, open_writer, tmp_path):
    """RFC 7578: the part's name, the file's name and type, and its bytes."""
    wire.answers = [answer(201, {"id": "D-1"})]
    assert WriteAccepted("D-1") == open_writer().attach_document(LEAD, document(tmp_path))

    boundary = re.fullmatch("multipart/form-data; boundary=(.+)", wire.headers()["content-type"])[1].encode()
    expected = (
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="devis \xc3\xa9t\xc3\xa9.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%%PDF-1.7\nabc\r\n--%b--\r\n" % (boundary, boundary)
    )
    assert ["POST /v1/leads/L%207%2F%C3%A9/document/add HTTP/1.1"] == wire.lines
    assert [expected] == wire.bodies


def test_the_guides_other_path_for_documents_works_by_setting(wire, open_writer, tmp_path):
    """The guide names /attachments too."""
    options = OpleadWriteOptions(document=Endpoint("POST", "/leads/{id}/attachments"), document_field="document")

    open_writer(options=options).attach_document(LeadId("L-7"), document(tmp_path))

    assert ["POST /v1/leads/L-7/attachments HTTP/1.1"] == wire.lines
    assert b'name="document"' in wire.bodies[0]


def test_reads_a_document_from_disk_in_pieces(wire, open_writer, tmp_path, monkeypatch):
    """A large quote never lies in memory whole."""
    large = document(tmp_path, b"%PDF-" + bytes(3_000_000))
    sizes = []
    opened = type(large.path).open

    class Watched:
        def __init__(self, file):
            self._file = file

        def read(self, size=-1):
            sizes.append(size)
            return self._file.read(size)

        def __getattr__(self, name):
            return getattr(self._file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

    monkeypatch.setattr(type(large.path), "open", lambda path, mode: Watched(opened(path, mode)))

    wire.answers = [answer(201, {"id": "D-1"})]
    assert WriteAccepted("D-1") == open_writer().attach_document(LEAD, large)
    assert 0 < max(sizes) <= 65_536
    assert -1 not in sizes
    assert len(wire.bodies[0]) > large.size


def test_the_form_import_gets_its_own_token_and_never_the_key(wire, open_writer):
    """Another service: Oplead's key, extra headers and parameters stay away from it."""
    form = FormImportServiceOptions("form-token", "site-web", f"{wire.url}/addlead/")
    contact = Contact(("a@example.com",), last_name="Exemple", postcode="69003", country="FR")

    receipt = open_writer(form=form, extra_headers={"X-Tenant": "t"}, extra_query={"q": "1"}).create(
        LeadToWrite(contact)
    )

    assert isinstance(receipt, AnswerLost)
    assert ["POST /addlead/ HTTP/1.1"] == wire.lines
    assert b'"token":"form-token"' in wire.bodies[0]
    assert TOKEN.encode() not in wire.requests[0]
    assert "x-tenant" not in wire.headers()


def test_a_key_in_the_query_goes_along_with_a_write(wire, open_writer):
    """Wherever reads show it."""
    open_writer(auth=ApiAuthScheme("query", "api_key"), extra_query={"archived": "1"}).create(JEANNE)

    assert [f"POST /v1/leads?archived=1&api_key={TOKEN} HTTP/1.1"] == wire.lines


@pytest.mark.parametrize(
    ("options", "write"),
    [
        (OpleadWriteOptions(create=Endpoint("POST", "/leads/{id}")), lambda writer: writer.create(JEANNE)),
        (OpleadWriteOptions(status=Endpoint("PUT", "/status")), lambda writer: writer.set_status(LEAD, "En cours")),
    ],
    ids=["an id where there is none", "no place for the id"],
)
def test_a_path_with_which_no_request_can_be_made_is_misconfigured(wire, open_writer, options, write):
    """Nothing is sent to a guess."""
    with pytest.raises(Misconfigured, match=r"see oplead\.write"):
        write(open_writer(options=options))

    assert [] == wire.requests


# ── the answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "headers", "new"),
    [
        ({"id": "L-9"}, {}, "L-9"),
        ({"data": {"id": 12345678901234567890}}, {}, "12345678901234567890"),
        ({"lead": {"leadIdentifier": "A/1"}}, {}, "A/1"),
        (b"", {"Location": "/v1/leads/A%2F1"}, "A/1"),
        (b"", {"Location": "https://api.example/v1/leads/L-9?x=1"}, "L-9"),
        (b"OK", {"Location": "/v1/leads/L-9"}, "L-9"),
        ({"id": "L-9", "success": True, "errors": [], "error": None, "status": "Nouveau"}, {}, "L-9"),
        ({"lead": {"id": "L-9", "state": {"errorCount": 0}}, "succes": True, "nbErreurs": 0, "code": 200}, {}, "L-9"),
        ({"id": "L-9", "status": 1024, "errorCode": "OK", "accepted": None}, {}, "L-9"),
        ({"data": {"id": "L-9", "code": "75011"}, "code": 1}, {}, "L-9"),
        ({"lead": {"id": "L-9", "status": "Invalide", "type": 404}}, {}, "L-9"),
    ],
)
def test_a_2xx_that_names_the_new_lead_is_written(wire, open_writer, body, headers, new):
    """In its body or its address, and nothing says otherwise."""
    wire.answers = [answer(201, body, **headers)]

    assert WriteAccepted(new) == open_writer().create(JEANNE)


NAMELESS = {
    "nothing": answer(201),
    "a 204": answer(204),
    "half of a body": answer(201, {"id": "L-9"})[:-3] + HALF.encode(),
    "an address elsewhere": answer(201, b"", Location="/v1/welcome"),
    "no lead": answer(200, {}),
    "no id": answer(200, {"id": None}),
    "the id of nothing": answer(200, {"id": 0}),
    "no id of anything": answer(200, {"id": "x" * 300}),
    "a sentence": answer(200, {"message": "Adresse déjà connue"}),
    "none": answer(200, []),
}
UNTRUE = {
    "erreur": {"erreur": "Adresse invalide"},
    "erreurs": {"resultat": None, "erreurs": ["Adresse invalide"]},
    "erreurs inside": {"résultat": {"erreurs": {"email": "invalide"}}},
    "succes": {"succes": False},
    "succès": {"succès": "non"},
    "statut": {"statut": "erreur"},
    "Statut": {"Statut": "Échec"},
    "code": {"code": 422},
    "a code in letters": {"codeRetour": "422"},
    "an error's message": {"errorMessage": "quota"},
    "whether there is an error": {"hasError": True, "id": "L-9"},
    "no success beside an id": {"id": "L-9", "success": "non"},
    "an error beside an id": {"id": "L-9", "statut": "Erreur"},
    "a code around an id": {"data": {"id": "L-9"}, "code": 422},
    "one that is refused": {"refusé": True},
    "no": False,
    "in a list": [{"id": "L-9"}, {"erreur": "doublon"}],
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("what", NAMELESS)
def test_a_2xx_without_an_id_is_unclear_unless_that_is_known_to_be_usual(wire, open_writer, what, known):
    """Whoever reads it does not know whether a lead was made."""
    wire.answers = [NAMELESS[what]]

    receipt = open_writer(answers=CreationAnswers(created_without_id=known)).create(JEANNE)

    assert (WriteAccepted() == receipt) if known else isinstance(receipt, AnswerLost), receipt


@pytest.mark.parametrize("what", UNTRUE)
def test_an_error_in_any_spelling_is_never_called_written(wire, open_writer, what):
    """French or English, whatever is known of how Oplead answers; so it is for what makes nothing new."""
    wire.answers = [answer(200, json.dumps(UNTRUE[what]).encode())]
    writer = open_writer(answers=CreationAnswers(created_without_id=True))

    for receipt in (writer.create(JEANNE), writer.set_status(LEAD, "En cours"), writer.unsubscribe("S-1")):
        assert isinstance(receipt, AnswerLost), receipt


@pytest.mark.parametrize("early", [False, True])
def test_a_429_may_have_made_a_lead_unless_it_is_known_to_come_early(wire, open_writer, early):
    """A server may count requests after it has done them."""
    wire.answers = [answer(429)]

    receipt = open_writer(answers=CreationAnswers(refuses_early=early)).create(JEANNE)

    assert (WriteRefusalReason.PACE == receipt.fault) if early else isinstance(receipt, AnswerLost), receipt


FAULTS = {
    400: WriteRefusalReason.DATA,
    401: WriteRefusalReason.ACCESS,
    403: WriteRefusalReason.ACCESS,
    405: WriteRefusalReason.PATH,
    409: WriteRefusalReason.DATA,
    410: WriteRefusalReason.MISSING,
    413: WriteRefusalReason.DATA,
    415: WriteRefusalReason.DATA,
    422: WriteRefusalReason.DATA,
    429: WriteRefusalReason.PACE,
    301: WriteRefusalReason.PATH,
    307: WriteRefusalReason.PATH,
    308: WriteRefusalReason.PATH,
}


@pytest.mark.parametrize(("status", "fault"), FAULTS.items())
def test_a_refusal_says_who_can_mend_it(wire, open_writer, status, fault):
    """By its status; one request is made, and no redirect is followed."""
    wire.answers = [answer(status, Location=f"{wire.url}/elsewhere")]

    receipt = open_writer().set_status(LEAD, "En cours")

    assert (status, fault) == (receipt.status, receipt.fault)
    assert 1 == len(wire.requests)


def test_a_404_is_the_leads_where_a_lead_is_named_and_the_paths_elsewhere(wire, open_writer):
    """`MISSING` concerns one lead, `PATH` the settings."""
    wire.answers = [answer(404)]
    writer = open_writer()

    assert WriteRefused(404, WriteRefusalReason.MISSING, "") == writer.set_status(LEAD, "En cours")
    assert WriteRefused(404, WriteRefusalReason.PATH, "") == writer.create(JEANNE)


LOSSES = {
    "a 500": answer(500, {"error": "oops"}),
    "a 502 as HTML": answer(502, b"<html>bad gateway</html>"),
    "a 503": answer(503),
    "a 408": answer(408),
    "a 409": answer(409, {"error": "there is one"}),
    "a 501": answer(501),
    "a cut": CUT,
    "a hang": HANG,
    "a web page": answer(200, b"\n<!doctype html><p>Welcome"),
    "a 300": answer(300, Location="/v1/leads/L-9"),
    "a 302": answer(302, Location="/v1/leads/L-9"),
    "a 303": answer(303, Location="/v1/leads/L-9"),
    "a 304": answer(304),
    "no success": answer(200, {"success": False, "id": "L-9"}),
    "an error": answer(201, {"error": "quota"}),
    "errors inside": answer(200, {"data": {"errors": ["quota"]}}),
    "an error as a status": answer(200, {"status": "ERROR"}),
    "a refusal as a status": answer(200, {"status": 422}),
    "a text": answer(200, b"OK"),
    "half a body": answer(201, b'{"id": "L-9'),
    "a head without end": b"HTTP/1.1 201 Created\r\nDate: ",
    "no HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_an_answer_that_says_nothing_is_lost_and_never_repeated(wire, open_writer, loss):
    """Bytes have left: the lead may be there. One request is made."""
    wire.answers = [LOSSES[loss]]

    receipt = open_writer().create(JEANNE)
    time.sleep(0.05)

    assert isinstance(receipt, AnswerLost), receipt
    assert 1 == len(wire.requests)
    assert TOKEN not in receipt.reason


def test_nothing_was_sent_if_no_connection_was_made(open_writer):
    """It may be tried again without a doubt."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"

        receipt = open_writer(base_url=address).create(JEANNE)

    assert isinstance(receipt, RequestNotSent)
    assert address == receipt.unreachable


def test_nothing_was_sent_to_a_host_that_does_not_exist(open_writer, monkeypatch):
    """A name that DNS does not know."""

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    receipt = open_writer(base_url="http://oplead.invalid").create(JEANNE)

    assert isinstance(receipt, RequestNotSent)
    assert receipt.is_unknown_host


def test_a_server_that_never_accepts_was_sent_nothing(open_writer):
    """The connection is not made in time: a full backlog."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        waiting = []
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
            waiting.append(caller)

        receipt = open_writer(base_url=f"http://127.0.0.1:{door.getsockname()[1]}").create(JEANNE)

        for caller in waiting:
            caller.close()

    assert isinstance(receipt, RequestNotSent), receipt


def test_a_429_halves_the_pace(wire, open_writer, clock):
    """As for reads: of ten slots a minute, five are left."""
    wire.answers = [answer(429), answer()]
    writer = open_writer(per_minute=10)

    assert WriteRefusalReason.PACE == writer.set_status(LEAD, "En cours").fault
    for _ in range(4):
        writer.create(JEANNE)
    assert [] == clock.slept
    writer.create(JEANNE)

    assert 1 == len(clock.slept)


def test_a_write_waits_for_a_slot_and_gives_it_back(wire, open_writer, clock):
    """Writes count among the requests of a minute."""
    writer = open_writer(per_minute=1)

    writer.create(JEANNE)
    writer.create(JEANNE)

    assert 1 == len(clock.slept)
    assert clock.slept[0] > 59
    assert 2 == len(wire.requests)


def test_an_answer_is_told_before_a_wrong_clock(wire, open_writer):
    """The lead is there: that must not be lost. The next write is refused instead."""
    wire.answers = [answer(201, {"id": "L-9"}).replace(b"03:30:00", b"09:30:00")]
    writer = open_writer(clocks_within=timedelta(minutes=15))

    assert WriteAccepted("L-9") == writer.create(JEANNE)
    with pytest.raises(WrongClock, match="set the one that is wrong"):
        writer.create(JEANNE)
    assert 1 == len(wire.requests)


def test_a_stop_before_a_write_sends_nothing(wire, open_writer):
    """The cancel token is asked first."""

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_writer(cancel_token=stopped).create(JEANNE)

    assert [] == wire.requests


def test_a_stop_while_the_answer_is_awaited_still_hears_it(wire, open_writer):
    """A few seconds are left: without the answer nobody knows what became of the lead."""
    wire.answers = [answer(201, {"id": "L-9"})]
    wire.pause = 0.7

    def stopped():
        if wire.requests:
            raise KeyboardInterrupt

    assert WriteAccepted("L-9") == open_writer(cancel_token=stopped, timeout=5.0).create(JEANNE)


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────


def test_a_reason_never_repeats_what_was_sent(wire, open_writer):
    """Not in another case, not in part, not in a list by field."""
    wire.answers = [
        answer(
            422,
            {
                "message": "JEANNE has an account: Jeanne.Exemple@example.com, 06 12 34 56 78",
                "errors": {"email": ["jeanne.exemple@example.com is taken"]},
            },
        )
    ]

    receipt = open_writer().create(JEANNE)

    assert WriteRefusalReason.DATA == receipt.fault
    assert "is taken" in receipt.reason
    assert not re.search(r"(?i)jeanne|exemple|@|\d", receipt.reason), receipt.reason


KEY, FORM_KEY = "opaque-secret", "formkey"


@pytest.mark.parametrize("status", [401, 422])
def test_no_key_is_in_a_receipt(wire, open_writer, status):
    """A platform may echo it, however it is written."""
    wire.answers = [answer(status, {"error": f"unknown key {KEY}, {KEY.upper()}: see {FORM_KEY}"})]
    form = FormImportServiceOptions(FORM_KEY, "7", f"{wire.url}/addlead/")
    contact = Contact(("a@example.com",), last_name="Exemple", postcode="69003", country="FR")

    writer = open_writer(token=KEY, form=form)
    for receipt in (writer.create(LeadToWrite(contact)), writer.update(LEAD, JEANNE)):
        said = receipt.reason.casefold()
        assert "unknown key" in said
        assert not {"opaque", "secret", "formkey"} & set(re.findall("[a-z]+", said)), said


# ── documents that cannot be read ────────────────────────────────────────────────────────────────


def test_a_file_that_changed_or_went_is_not_sent(wire, open_writer, tmp_path):
    """What was checked is what is sent."""
    changed = document(tmp_path)
    changed.path.write_bytes(b"something else entirely")
    gone = document(tmp_path, name="gone.pdf")
    gone.path.unlink()

    for each in (changed, gone):
        assert WriteRefusalReason.DATA == open_writer().attach_document(LEAD, each).fault
    assert [] == wire.requests


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


def test_reads_subscriptions_channels_and_custom_fields(wire, open_writer):
    """As lists, under data or under a name."""
    wire.answers = [
        answer(200, [{"id": 7, "event": "lead.created", "url": "https://hooks.example/s"}]),
        answer(200, {"data": [{"identifier": "CNL_1"}]}),
        answer(200, {"customFields": [{"name": "budget"}], "count": 1}),
    ]
    writer = open_writer()

    assert [Subscription("7", "lead.created", "https://hooks.example/s")] == writer.subscriptions().entries
    assert [{"identifier": "CNL_1"}] == writer.crm_marketing_channels().entries
    assert [{"name": "budget"}] == writer.custom_field_definitions().entries
    assert [
        "GET /v1/subscriptions HTTP/1.1",
        "GET /v1/settings/marketing-channels HTTP/1.1",
        "GET /v1/settings/custom-fields HTTP/1.1",
    ] == wire.lines


def numbered(*numbers):
    """Subscriptions with these ids."""
    return [{"id": each, "event": "lead.created", "url": "https://hooks.example/s"} for each in numbers]


@pytest.mark.parametrize("last", [answer(200, numbered(3)), answer(404), answer(400), answer(200, numbered(1, 2))])
def test_a_list_is_read_page_by_page_until_nothing_new_comes(wire, open_writer, last):
    """Also where a platform refuses the page after the last one, or knows no pages and sends the first one again."""
    wire.answers = [answer(200, numbered(1, 2)), last, answer(200, [])]
    found = open_writer(pagination=PaginationOptions(style="page", size_param="size", size=50)).subscriptions()

    assert None is found.gap
    assert ["1", "2", *(["3"] if b'"id": 3' in last else [])] == [each.id for each in found.entries]
    assert ["GET /v1/subscriptions HTTP/1.1", "GET /v1/subscriptions?page=2 HTTP/1.1"] == wire.lines[:2]


def test_a_next_pages_address_is_followed(wire, open_writer):
    """As in the list of leads."""
    first = {"data": numbered(1), "next": f"{wire.url}/v1/subscriptions?cursor=b"}
    wire.answers = [answer(200, first), answer(200, {"data": numbered(2), "next": None})]

    assert ["1", "2"] == [each.id for each in open_writer().subscriptions().entries]


@pytest.mark.parametrize(
    "body",
    [
        numbered(*range(20)),
        {"data": numbered(1), "hasMore": True},
        {"data": numbered(1, 2), "total": 3, "next": None},
        {"data": numbered(1), "next": "https://elsewhere.example/subscriptions?page=2"},
    ],
    ids=["a full page", "more", "total", "another host"],
)
def test_a_list_that_may_go_on_says_so(wire, open_writer, body):
    """What was read is returned, with why some may be missing."""
    wire.answers = [answer(200, body)]

    found = open_writer().subscriptions()

    assert found.entries
    assert found.gap


@pytest.mark.parametrize("body", [{}, {"a": [], "b": []}, ["text"], {"id": 1}])
def test_a_list_that_is_none_names_the_setting(wire, open_writer, body):
    """An empty answer is not an empty list."""
    wire.answers = [answer(200, body)]

    with pytest.raises(Misconfigured, match=r"see oplead\.write\.channels"):
        open_writer().crm_marketing_channels()


def test_a_key_that_may_not_read_a_list_is_refused_as_a_key(wire, open_writer):
    """So that the command can say which list it may not read."""
    wire.answers = [answer(403)]

    with pytest.raises(KeyRefused):
        open_writer().custom_field_definitions()
