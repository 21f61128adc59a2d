"""Delta: statuses of this company's own making, a cursor, milliseconds, pairs, the bare key, Swagger 2.0."""

from tests.e2e.strangers.base import SWAGGER_PAGE, Oplead, millis, number, schema_of, without_tax

_STATUS = {
    "nouveau": (1, "À contacter", "New"),
    "encours": (2, "En cours", "InProgress"),
    "nurserie": (3, "Nurserie", "Nursery"),
    "rdv": (4, "RDV fixé", "InProgress"),
    "devis": (5, "Devis env.", "InProgress"),
    "gagne": (6, "Vente signée", "Won"),
    "perdu": (7, "Perdu - sans suite", "Lost"),
}


def _named(state):
    return dict(zip(("identifier", "name", "category"), _STATUS[state], strict=True))


class Delta(Oplead):
    """`GET /v1/leads?limit=30&cursor=…`, `Authorization: KEY`, `{"data": {"items": […], "nextCursor": …}}`."""

    CONSENT, YES, NO, AMOUNT = "leadData.optin_pub", "1", "0", "sale.amountTTC"
    LABELS = {state: name for state, (_, name, _) in _STATUS.items()}  # noqa: RUF012 - never changed

    def lead_id(self, life):
        """A long name."""
        return f"6f1c{life.number:04d}-2b7e-4a91-9d30-0000{life.number:08d}"

    def has_key(self, asked):
        """In `Authorization`, alone."""
        return asked.headers.get("authorization") == self.KEY

    def unknown(self, code):
        """An error within the envelope."""
        return {"success": False, "error": super().unknown(code)}

    def lead(self, life):
        """One lead."""
        source, medium, campaign = life.utm
        clicked = int(life.clicked.timestamp())
        clicks = [f"GCL.{clicked}.{life.gclid}"] * bool(life.gclid)
        clicks += [f"fb.1.{clicked}000.{life.fbclid}"] * bool(life.fbclid)
        said = {True: "1", False: "0", None: None}[life.consent]
        pairs = {"externalID": "|".join(clicks) or None, "utm_source": source, "utm_medium": medium}
        pairs |= {"utm_campaign": campaign, "optin_pub": said, "surface": "95 m2"}
        ends = [*(millis(at) for _, at in life.steps[1:]), None]
        return {
            "leadId": self.lead_id(life),
            "createdOn": millis(life.created),
            "updatedOn": millis(life.edited),
            "status": _named(life.state),
            "statuses": [
                _named(state) | {"startDate": millis(at), "endDate": end}
                for (state, at), end in zip(life.steps, ends, strict=True)
            ],
            "contact": {
                "lastname": life.last,
                "firstname": life.first,
                "emails": [life.email],
                "phones": [{"type": "mobile", "number": life.phone}],
                "address": {"postcode": life.postcode, "city": life.city, "countryCode": "FR"},
            },
            "leadData": [{"name": name, "value": value} for name, value in pairs.items() if value],
            "sale": {
                "amountTTC": number(life.order),
                "amountHT": without_tax(life.order),
                "signedOn": millis(life.state_at),
            }
            if life.state == "gagne"
            else None,
            "appointments": [{"identifier": life.number, "startDate": millis(life.meeting)}] if life.meeting else [],
        }

    def open(self, asked):
        """The documentation needs no key."""
        match asked.path:
            case "/documentation/index.html":
                return SWAGGER_PAGE.format(url="/v1/swagger.json")
            case "/v1/swagger.json":
                return self.specification()
        return None

    def answer(self, asked):
        """List, lead, statuses."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                start, size = int(asked.query.get("cursor", "c0")[1:]), min(asked.number("limit", 30), 100)
                leads = [self.lead(life) for life in self.lives[start : start + size]]
                end = start + size
                told = {"items": leads, "nextCursor": f"c{end}" if end < len(self.lives) else None}
                return {"success": True, "data": told}, {}
            case ["v1", "leads", key] if key in self.by_id:
                return {"success": True, "data": self.lead(self.by_id[key])}, {}
            case ["v1", "settings", "lead-statuses"]:
                return {"success": True, "data": [_named(state) for state in _STATUS]}, {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        return {"id": f"evt_{life.number}", "topic": "lead.status", "payload": [{"lead": self.lead(life)}]}

    def specification(self):
        """Swagger 2.0."""

        def got(body, *parameters):
            told = {"type": "object", "properties": {"success": {"type": "boolean"}, "data": body}}
            return {
                "get": {"parameters": list(parameters), "responses": {"200": {"description": "OK", "schema": told}}}
            }

        lead = {"$ref": "#/definitions/Lead"}
        items = {
            "items": {"type": "array", "items": lead},
            "nextCursor": {"type": "string", "description": "Curseur de la page suivante"},
        }
        cursor = {"name": "cursor", "in": "query", "type": "string", "description": "nextCursor de la page précédente"}
        limit = {"name": "limit", "in": "query", "type": "integer", "default": 30, "maximum": 100}
        key = {"name": "leadId", "in": "path", "required": True, "type": "string"}
        some = next(life for life in self.lives if life.meeting and life.order and life.gclid)
        when = dict.fromkeys(("createdOn", "updatedOn", "startDate", "endDate", "signedOn"), "Epoch (ms)")
        return {
            "swagger": "2.0",
            "info": {"title": "Oplead", "version": "1.0"},
            "host": "api.oplead.com",
            "basePath": "/v1",
            "schemes": ["https"],
            "paths": {
                "/leads": got({"type": "object", "properties": items}, cursor, limit),
                "/leads/{leadId}": got(lead, key),
                "/settings/lead-statuses": got({"type": "array", "items": {"$ref": "#/definitions/Status"}}),
            },
            "definitions": {"Lead": schema_of(self.lead(some), when), "Status": schema_of(_named("rdv"))},
            "securityDefinitions": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "security": [{"token": []}],
        }
