"""An Oplead that is full of people: ten thousand invented markers, in every place that an answer has."""

from itertools import count

from jobs.privacy.leaks import Planted, email_forms, phone_forms
from tests.e2e.strangers.base import SWAGGER_PAGE, Asked, Oplead, schema_of, zoned
from tests.e2e.strangers.people import population

STEM, DIGITS = "mqzv", "1990058"
"""What every marker has that is a text, and what every one has that is a number."""
LEADS = 275
PAGE = 100
_RARE = (1, 1, 1, 2, 5, 25)
"""By how many leads a field is had whose name is a marker."""


class Planter(Oplead):
    """`GET /v1/leads`, `Authorization: Bearer`, `{"data": […], "next": URL}`; it takes every write.

    Attributes:
        planted: every marker that it made up.
        written: the requests that were not GET.
    """

    KEY = f"cle-{STEM}-secrete-0c41"

    def __init__(self, now):
        """Make up the leads."""
        self.planted, self.written, self._numbers, self._made = [], [], count(1), {}
        super().__init__(population("planter") * 5, now)
        self.lives = self.lives[:LEADS]
        self._leads = [self._lead(number, life) for number, life in enumerate(self.lives)]
        for number, many in enumerate(_RARE):
            self._share(number, many)
        self.by_id = {lead["id"]: lead for lead in self._leads}

    def lead_id(self, life):
        """Not what its leads are kept by."""
        return life.number

    def has_key(self, asked):
        """As a bearer token."""
        return asked.headers.get("authorization") == f"Bearer {self.KEY}"

    # ── people ──────────────────────────────────────────────────────────────────────────────────

    def name(self, before="", after=""):
        """A new marker that is a name, in any text."""
        # Letters alone: a name with digits looks personal whatever it is.
        marker = STEM.capitalize() + "".join("abcdefghij"[int(digit)] for digit in f"{next(self._numbers):05d}")
        self.planted.append(marker)
        return f"{before}{marker}{after}"

    def email(self):
        """One that is an address."""
        return f"{self.name().lower()}@exemple-mail.fr"

    def phone(self):
        """One that is a French number."""
        written = f"0{DIGITS}{next(self._numbers) % 100:02d}"
        self.planted.append(written)
        return " ".join(written[at : at + 2] for at in range(0, 10, 2))

    def number(self):
        """One that is a number."""
        self.planted.append(written := int(f"{DIGITS}{next(self._numbers):05d}"))
        return written

    def _lead(self, number, life):
        first, last, at = self.name(), self.name("N'"), zoned(life.created)
        return {
            "id": self.name(f"LEA-{number}-"),
            "createdAt": at,
            "updatedAt": zoned(life.edited),
            "status": self.name("Attente de Mme ") if number < 20 else self.LABELS[life.state],
            "statusDate": self.name("appelé le 3 septembre par ") if number == 21 else zoned(life.state_at),
            "statusHistory": [
                {"status": self.LABELS[state], "date": zoned(on), "note": self.name("vu avec "), "by": self.email()}
                for state, on in life.steps[:2]
            ],
            "contact": {
                "civility": "M.",
                "lastname": last,
                "firstname": first,
                "email": self.email(),
                "phone": self.phone(),
                "mobile": self.number(),
                "others": [self.email(), self.phone(), {"who": self.name(), "since": at}],
                "address": {"street": self.name("3 rue "), "postcode": self.number(), "city": self.name("Ville-")},
            },
            "leadData": {
                "externalID": f"gclid={self.name('Cj0KCQjw')}&email={self.email()}",
                "consent": self.name("oui, dit ") if number < 10 else "oui",
                "utm_source": self.name("google-"),
                "utm_campaign": self.name(),
                "landing": f"https://{self.name().lower()}.example/devis?nom={self.name()}#{self.name()}",
            },
            "answers": [{"name": self.name("Question de "), "value": self.name()}, {"name": "Projet", "value": at}],
            "amount": self.name("12 500,00 € pour ") if number % 3 else float(self.number()),
            "comment": self.name("Bonjour, ", " vous rappelle."),
            "packed": f'{{"{self.name()}": "{self.name()}"}}',
            "documents": {self.name("devis ", ".pdf"): {"size": self.number(), "by": self.name()}},
            "rows": [[self.name(), self.number()], [[self.name()]], []],
            "score": self.number() + 0.5,
            "agent": {"email": self.email(), self.name(): True},
        }

    def _share(self, number, many):
        key, inner = self.name(f"Dossier {number} "), self.name()
        for lead in self._leads[40 * number : 40 * number + many]:
            lead[key] = self.name()
            lead["leadData"][key] = {inner: self.name()}
            lead["answers"].append({"name": key, "value": self.name()})

    # ── answers ─────────────────────────────────────────────────────────────────────────────────

    def handle(self, asked):
        """Answer with more than was asked for, in the headers too."""
        code, body, headers = super().handle(asked) if asked.method == "GET" else self._write(asked)
        if code >= 400 and isinstance(body, dict):
            body = body | self._echo(asked)
        kind = "text/html" if isinstance(body, str) else "application/json"
        return code, body, headers | self._headers(kind)

    def _echo(self, asked):
        return {
            "asked": {"path": asked.path, "query": asked.query, "headers": asked.headers},
            "key": self.KEY,
            "detail": self.name(f"{self.KEY}: demandez à ", f" <{self.email()}>"),
            self.name(): {self.email(): self.phone()},
            "trace": [self.name("/home/"), {"user": self.name()}],
        }

    def _headers(self, kind):
        return {
            self.name("X-Agent-"): self.name(),
            "X-Request-Id": self.name(),
            "Set-Cookie": f"session={self.name()}; user={self.email()}",
            "Server": self.name("Apache/"),
            "X-Key": self.KEY,
            "Content-Type": f"{kind}; charset=utf-8; owner={self.name().lower()}",
        }

    def open(self, asked):
        """The documentation needs no key."""
        match asked.path:
            case "/documentation/index.html":
                return SWAGGER_PAGE.format(url=f"./openapi.json?for={self.name()}").replace("API", self.name())
            case "/documentation/openapi.json":
                return self._specification()
        return None

    def answer(self, asked):
        """List, lead, settings."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                page = asked.number("page", 1)
                leads = self._leads[(page - 1) * PAGE : page * PAGE]
                more = (
                    f"{self.url}/v1/leads?page={page + 1}&seen={leads[-1]['id']}&{self.name()}={self.email()}"
                    if leads
                    else ""
                )
                told = {"data": leads, "next": more if page * PAGE < LEADS else None, "for": self.email()}
                return told | {self.name(): self.name()}, {"Link": f'<{self.url}/{self.name()}>; rel="self"'}
            case ["v1", "leads", key] if key in self.by_id:
                return self.by_id[key] | {self.name("vu par "): self.name()}, {}
            case ["v1", "settings", "statuses"]:
                return [{"code": self.name(), "label": label, "by": self.email()} for label in self.LABELS.values()], {}
            case ["v1", "settings", "custom-fields"]:
                return [{"identifier": self.name(), "label": self.name("Question de ")}], {}
            case ["v1", "settings", "marketing-channels"]:
                return {"data": [{"identifier": self.name(), "name": self.name(), self.name(): 1}], "next": None}, {}
            case ["v1", "subscriptions"]:
                return self.name("Une page pour ", ", pas du JSON"), {}
        return None

    def _write(self, asked: Asked):
        """Take what is written, and show more than that."""
        self.written.append(asked)
        if not self.has_key(asked):
            return 401, self.unknown(401), {}
        made = {"id": f"N-{len(self.written)}", "agent": self.email(), self.name(): self.name(), "note": self.name()}
        match asked.method, asked.path.split("/")[1:]:
            case "POST", ["v1", "leads"] | ["v1", "subscriptions"]:
                sent = asked.json() or {}
                self.by_id[made["id"]] = made | sent
                return 201, made | sent, {"Location": f"/v1/leads/{self.name()}"}
            case "PUT", ["v1", "leads", key] if key in self.by_id:
                self.by_id[key] |= asked.json() or {}
                return 200, self.by_id[key], {}
            case (("PUT" | "POST"), ["v1", "leads", key, *_]) if key in self.by_id:
                return 422, {"error": self.name("refusé par ")}, {}
        return 404, self.unknown(404), {}

    def _specification(self):
        lead = schema_of(self._leads[0], {"contact": self.name("la fiche de ")})
        lead["example"] = self._leads[1]
        listed = {
            "type": "object",
            "properties": {"data": {"type": "array", "items": lead}, "next": {"type": "string"}},
        }
        answer = {"description": self.name(), "content": {"application/json": {"schema": listed}}}
        return {
            "openapi": "3.0.1",
            "info": {"title": self.name(), "version": "1", "contact": {"name": self.name(), "email": self.email()}},
            "servers": [{"url": "/", "description": self.name()}],
            "paths": {"/v1/leads": {"get": {"summary": self.name(), "responses": {"200": answer}}}},
        }

    # ── what must not be found ──────────────────────────────────────────────────────────────────

    def must_not_be_found(self):
        """Every marker by what all have in common, the key, and the hashes of some people's contact data."""
        contacts = [lead["contact"] for lead in self._leads]
        hashed = {f"e-mail {number}": email_forms(each["email"]) for number, each in enumerate(contacts)}
        hashed |= {f"phone {number}": phone_forms(each["phone"]) for number, each in enumerate(contacts)}
        return Planted(words={"name": STEM, "key": self.KEY}, numbers={"number": DIGITS}, hashed=hashed)
