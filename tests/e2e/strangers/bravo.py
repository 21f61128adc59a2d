"""Bravo: statuses as labels, a list of summaries and details, pages counted from 0, a bearer token, OpenAPI 3.1."""

from tests.e2e.strangers.base import SWAGGER_PAGE, Oplead, number, schema_of, zulu


class Bravo(Oplead):
    """`GET /v1/leads?page=0&size=25`, `Authorization: Bearer`, `{"content": […], "totalElements": …, "last": …}`."""

    CONSENT, YES, NO, AMOUNT = "advertisingConsent", "Oui", "Non", "orderAmount"

    def lead_id(self, life):
        """A number."""
        return 480_000 + life.number

    def has_key(self, asked):
        """As a bearer token."""
        return asked.headers.get("authorization") == f"Bearer {self.KEY}"

    def unknown(self, code):
        """An error as Spring writes it."""
        return {"timestamp": zulu(self.now()), "status": code, "error": super().unknown(code)["message"]}

    def summary(self, life):
        """A lead as the list has it."""
        return {
            "id": self.lead_id(life),
            "status": self.LABELS[life.state],
            "createdAt": zulu(life.created),
            "updatedAt": zulu(life.edited),
            "lastname": life.last,
            "firstname": life.first,
            "email": life.email,
            "phone": life.phone,
        }

    def lead(self, life):
        """A lead as its own address has it."""
        source, medium, campaign = life.utm
        labels = [self.LABELS[state] for state, _ in life.steps]
        changes = [
            {"type": "STATUS_CHANGED", "date": zulu(at), "from": before, "to": after, "author": "p.robin"}
            for before, after, (_, at) in zip([None, *labels], labels, life.steps, strict=False)
        ]
        noise = [{"type": "EMAIL_SENT", "date": zulu(life.state_at), "from": None, "to": None, "author": "auto"}]
        return self.summary(life) | {
            "address": {"postcode": life.postcode, "city": life.city, "country": "FR"},
            "leadData": {
                "externalID": life.gclid or life.fbclid,
                "utmSource": source or None,
                "utmMedium": medium or None,
                "utmCampaign": campaign or None,
            },
            "advertisingConsent": {True: "Oui", False: "Non", None: None}[life.consent],
            "newsletter": {True: "Non", False: "Oui", None: None}[life.consent],
            "budget": 20_000.0,
            "quoteAmount": number(life.quote),
            "orderAmount": number(life.order),
            "marketingChannel": {"identifier": "CNL_12", "name": source or "Site", "category": "Not specified"},
            "provider": {"name": "Site maison"},
            "appointment": {"date": zulu(life.meeting), "address": life.city} if life.meeting else None,
            "history": [*changes, *noise],
        }

    def open(self, asked):
        """The documentation needs no key."""
        match asked.path:
            case "/documentation/index.html":
                return SWAGGER_PAGE.format(url="./openapi.json")
            case "/documentation/openapi.json":
                return self.specification()
        return None

    def answer(self, asked):
        """List and lead."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                page, size = asked.number("page", 0), min(asked.number("size", 25), 200)
                content = [self.summary(life) for life in self.lives[page * size : (page + 1) * size]]
                pages = -(-len(self.lives) // size)
                told = {"totalElements": len(self.lives), "totalPages": pages, "number": page, "size": size}
                return {"content": content} | told | {"first": page == 0, "last": page + 1 >= pages}, {}
            case ["v1", "leads", key] if key in self.by_id:
                return self.lead(self.by_id[key]), {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        told = {"type": "LEAD_STATUS_CHANGED", "leadId": self.lead_id(life), "status": self.LABELS[life.state]}
        return {"events": [told | {"occurredAt": zulu(life.state_at)}]}

    def specification(self):
        """OpenAPI 3.1."""

        def got(body, *parameters):
            answer = {"description": "OK", "content": {"application/json": {"schema": body}}}
            return {"get": {"parameters": list(parameters), "responses": {"200": answer}}}

        def counted(name, default):
            return {"name": name, "in": "query", "schema": {"type": "integer", "default": default, "minimum": 0}}

        page = {
            "type": "object",
            "properties": {
                "content": {"type": "array", "items": {"$ref": "#/components/schemas/LeadSummary"}},
                **schema_of(
                    {"totalElements": 1, "totalPages": 1, "number": 0, "size": 25, "first": True, "last": True}
                )["properties"],
            },
        }
        key = {"name": "leadId", "in": "path", "required": True, "schema": {"type": "integer"}}
        some = next(life for life in self.lives if life.meeting and life.order and life.gclid)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Oplead", "version": "1.14.2"},
            "servers": [{"url": "https://api.oplead.com/v1", "description": "Production"}, {"url": "/v1"}],
            "paths": {
                "/leads": got(page, counted("page", 0), counted("size", 25)),
                "/leads/{leadId}": got({"$ref": "#/components/schemas/Lead"}, key),
            },
            "components": {
                "schemas": {"LeadSummary": schema_of(self.summary(some)), "Lead": schema_of(self.lead(some))},
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
        }
