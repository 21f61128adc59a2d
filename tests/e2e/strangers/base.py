"""What seven invented Opleads share: a server on loopback, its key, and how words, times and types are written."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
LABELS = {
    "nouveau": "Nouveau",
    "encours": "En cours",
    "nurserie": "Nurserie",
    "rdv": "Rendez-vous",
    "devis": "Devis à relancer",
    "gagne": "Gagné",
    "perdu": "Perdu",
}
SWAGGER_PAGE = """<!DOCTYPE html><html><head><title>API Oplead</title></head><body><div id="swagger-ui"></div>
<script>window.onload = () => {{ SwaggerUIBundle({{ url: "{url}", dom_id: "#swagger-ui" }}); }}</script>
</body></html>"""


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes = b""

    def json(self):
        """The body, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def number(self, name, otherwise):
        """A parameter that is a number."""
        return int(self.query.get(name, otherwise))


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code, body):
        super().__init__(code)
        self.code, self.body = code, body


class Oplead:
    """One invented Oplead; a dialect says what its leads look like and how they are listed."""

    KEY = "cle-admin-7d1f0c"
    LABELS = LABELS
    CODES: dict = {}  # noqa: RUF012 - never changed
    """Where a lead shows codes alone: each state's."""
    PAST: dict = {}  # noqa: RUF012 - never changed
    """Where histories alone tell codes: each state's."""
    CONSENT = YES = NO = AMOUNT = ""
    """What the company's marketer knows of its leads: the field of the consent, its answers, and the amount signed."""

    def __init__(self, lives, now):
        """Serve these leads; `now` tells the time."""
        self.lives, self.now, self.url, self.asked = list(lives), now, "", []
        self.by_id = {str(self.lead_id(life)): life for life in self.lives}

    # ── what a dialect says ─────────────────────────────────────────────────────────────────────

    def lead_id(self, life):
        """The lead's id."""
        raise NotImplementedError

    def has_key(self, asked):
        """Whether the request has the key."""
        raise NotImplementedError

    def open(self, asked):
        """The answer to a request that needs no key, or None."""

    def answer(self, asked):
        """The answer to a request that has the key, or None if there is none: (body, headers)."""
        raise NotImplementedError

    def notice(self, life):
        """The body of a webhook on a lead's status."""
        raise NotImplementedError

    def change(self, life):
        """What that means: a change, to the status as the lead shows it, at its time."""
        return "status_change", self.CODES.get(life.state, self.LABELS[life.state]), life.state_at

    def unknown(self, code):
        """The body of an error."""
        return {"code": code, "message": {401: "Unauthorized", 404: "Not found", 429: "Too many requests"}[code]}

    # ── serving ─────────────────────────────────────────────────────────────────────────────────

    def handle(self, asked):
        """Answer one request: (code, body, headers)."""
        try:
            return self._answered(asked)
        except Refused as refused:
            return refused.code, refused.body, {}

    def _answered(self, asked):
        self.asked.append((asked, self.now()))
        told = self.open(asked)
        if told is not None:
            return 200, told, {}
        if not self.has_key(asked):
            return 401, self.unknown(401), {}
        if sum((self.now() - at).total_seconds() < 60 for _, at in self.asked) > 100:
            return 429, self.unknown(429), {"Retry-After": "60"}
        found = self.answer(asked) if asked.method == "GET" else None
        return (404, self.unknown(404), {}) if found is None else (200, *found)

    @contextmanager
    def serving(self):
        """Serve while the block runs."""
        oplead = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, timeout = "HTTP/1.1", 10

            def _any(self):
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                code, body, more = oplead.handle(Asked(self.command, parts.path, query, headers, sent))
                data = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
                kind = "text/html" if isinstance(body, str) else "application/json"
                self.send_response_only(code)
                self.send_header("Date", format_datetime(oplead.now().astimezone(UTC), usegmt=True))
                for name, value in {
                    "Content-Type": f"{kind}; charset=utf-8",
                    "Content-Length": len(data),
                    **more,
                }.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - the library's names

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


# ── how things are written ──────────────────────────────────────────────────────────────────────


def zoned(at):
    """2026-09-01T09:12:00+02:00."""
    return at.astimezone(PARIS).isoformat(timespec="seconds")


def zulu(at):
    """2026-09-01T07:12:00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def naive(at):
    """2026-09-01 09:12:00, in Paris."""
    return f"{at.astimezone(PARIS):%Y-%m-%d %H:%M:%S}"


def french(at):
    """01/09/2026 09:12:00, in Paris."""
    return f"{at.astimezone(PARIS):%d/%m/%Y %H:%M:%S}"


def millis(at):
    """Milliseconds since 1970."""
    return int(at.timestamp()) * 1_000


def euros(amount):
    """12 500,00 €."""
    return f"{amount:,.2f} €".replace(",", "\u202f").replace(".", ",") if amount is not None else None


def number(amount):
    """12500.0, or nothing."""
    return None if amount is None else float(amount)


def without_tax(amount):
    """The amount before a tax of 10 %."""
    return None if amount is None else round(float(amount) / 1.1, 2)


def schema_of(value, texts=(), name=""):
    """The schema that a generator would write for a value, with descriptions by field name."""
    texts = dict(texts)
    told = {"description": texts[name]} if name in texts else {}
    match value:
        case dict():
            return told | {
                "type": "object",
                "properties": {key: schema_of(each, texts, key) for key, each in value.items()},
            }
        case list():
            return told | {"type": "array", "items": schema_of(value[0], texts) if value else {"type": "object"}}
        case bool():
            return told | {"type": "boolean"}
        case int():
            return told | {"type": "integer", "format": "int64"}
        case float():
            return told | {"type": "number", "format": "double"}
        case str() if value[4:5] == "-" and value[10:11] == "T":
            return told | {"type": "string", "format": "date-time"}
    return told | {"type": "string"}
