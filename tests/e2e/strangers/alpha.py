"""Alpha: statuses as objects, pages by number, the key in a header of its own, OpenAPI 3.0."""

from tests.e2e.strangers.base import SWAGGER_PAGE, Oplead, number, schema_of, zoned

STATUSES = {
    "nouveau": ("STA_1", "Nouveau", "TO_PROCESS"),
    "encours": ("STA_2", "En cours", "IN_PROGRESS"),
    "nurserie": ("STA_3", "Nurserie", "NURSERY"),
    "rdv": ("STA_4", "Rendez-vous", "IN_PROGRESS"),
    "devis": ("STA_6", "Devis à relancer", "IN_PROGRESS"),
    "gagne": ("STA_7", "Gagné", "WON"),
    "perdu": ("STA_8", "Perdu", "LOST"),
}
_CHANNELS = {
    "google": ("CNL_12", "Google Ads", "Active channel"),
    "facebook": ("CNL_13", "Facebook", "Active channel"),
    "": ("CNL_1", "Site internet", "Passive channel"),
}


def _named(three):
    return dict(zip(("identifier", "name", "category"), three, strict=True))


class Alpha(Oplead):
    """`GET /v1/leads?page=1&pageSize=20`, header `apiKey`, `{"leads": […], "pagination": {…}}`."""

    CONSENT, YES, NO, AMOUNT = "contact.optin", "true", "false", "amount"

    def lead_id(self, life):
        """LEA_ and a number."""
        return f"LEA_{life.number:08d}"

    def has_key(self, asked):
        """In the header `apiKey`."""
        return asked.headers.get("apikey") == self.KEY

    def lead(self, life):
        """One lead."""
        clicks = [f"gclid={life.gclid}"] * bool(life.gclid) + [f"fbclid={life.fbclid}"] * bool(life.fbclid)
        source, medium, campaign = life.utm
        return {
            "identifier": self.lead_id(life),
            "creationDate": zoned(life.created),
            "lastUpdateDate": zoned(life.edited),
            "status": _named(STATUSES[life.state]),
            "statusHistory": [
                {
                    "status": _named(STATUSES[state]),
                    "date": zoned(at),
                    "user": {"identifier": "USR_5", "lastname": "Robin"},
                }
                for state, at in life.steps
            ],
            "contact": {
                "civility": "MME",
                "lastname": life.last,
                "firstname": life.first,
                "email": life.email,
                "mobile": life.phone,
                "phone": None,
                "optin": life.consent,
                "address": {"postcode": life.postcode, "city": life.city, "country": "FR"},
            },
            "leadData": {
                "externalID": "&".join(clicks) or None,
                "utm_source": source or None,
                "utm_medium": medium or None,
                "utm_campaign": campaign or None,
                "project": "Remplacement de fenêtres",
                "comment": f"Bonjour, merci de me rappeler. {life.first}",
            },
            "marketingChannel": _named(_CHANNELS[source]),
            "provider": {"name": "Site maison", "url": None},
            "amount": number(life.order if life.state == "gagne" else life.quote),
            "appointments": [{"identifier": f"APP_{life.number}", "date": zoned(life.meeting), "type": "Visite"}]
            if life.meeting
            else [],
            "assignedUser": {"identifier": "USR_5", "login": "p.robin"},
        }

    def open(self, asked):
        """The documentation needs no key."""
        match asked.path:
            case "/documentation/index.html":
                return SWAGGER_PAGE.format(url="/documentation/v1/swagger.json")
            case "/documentation/v1/swagger.json":
                return self.specification()
        return None

    def answer(self, asked):
        """List, lead, statuses."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                page, size = asked.number("page", 1), min(asked.number("pageSize", 20), 50)
                leads = [self.lead(life) for life in self.lives[(page - 1) * size : page * size]]
                pages = -(-len(self.lives) // size)
                told = {"page": page, "pageSize": size, "totalCount": len(self.lives), "totalPages": pages}
                return {"leads": leads, "pagination": told}, {}
            case ["v1", "leads", key] if key in self.by_id:
                return self.lead(self.by_id[key]), {}
            case ["v1", "settings", "statuses"]:
                return [_named(three) for three in STATUSES.values()], {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        return {
            "event": "lead.status.updated",
            "date": zoned(life.state_at),
            "data": {"leadIdentifier": self.lead_id(life), "status": _named(STATUSES[life.state])},
        }

    def specification(self):
        """OpenAPI 3.0, as Swashbuckle writes it."""

        def got(body, *parameters, text=""):
            content = {"application/json": {"schema": body}}
            return {
                "get": {
                    "summary": text,
                    "parameters": list(parameters),
                    "responses": {"200": {"description": "OK", "content": content}},
                }
            }

        def parameter(name, place, kind, text=""):
            told = {"name": name, "in": place, "required": place == "path", "description": text}
            return told | {"schema": {"type": kind}}

        lead = {"$ref": "#/components/schemas/Lead"}
        pages = {"page": 1, "pageSize": 20, "totalCount": 1, "totalPages": 1}
        listed = {
            "type": "object",
            "properties": {"leads": {"type": "array", "items": lead}, "pagination": schema_of(pages)},
        }
        size = parameter("pageSize", "query", "integer", "Nombre de leads par page (50 max)")
        return {
            "openapi": "3.0.1",
            "info": {"title": "Oplead API", "version": "v1"},
            "servers": [{"url": "https://api.oplead.com"}],
            "paths": {
                "/v1/leads": got(listed, parameter("page", "query", "integer", "Page, à partir de 1"), size),
                "/v1/leads/{leadIdentifier}": got(lead, parameter("leadIdentifier", "path", "string")),
                "/v1/settings/statuses": got(schema_of([_named(STATUSES["rdv"])]), text="Statuts de la plateforme"),
            },
            "components": {
                "schemas": {"Lead": schema_of(self.lead(next(life for life in self.lives if life.meeting)))},
                "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "apiKey"}},
            },
            "security": [{"ApiKey": []}],
        }
