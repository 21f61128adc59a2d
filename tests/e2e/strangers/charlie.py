"""Charlie: statuses as codes that a list of settings names, a bare array, the key in the address, no specification."""

from tests.e2e.strangers.base import Oplead, naive, number, without_tax

_CODES = {"nouveau": 11, "encours": 12, "nurserie": 13, "rdv": 14, "devis": 16, "gagne": 17, "perdu": 18}


class Charlie(Oplead):
    """`GET /v1/leads?offset=0&limit=20&token=…`, a bare array, `X-Total-Count`."""

    CODES = {state: str(code) for state, code in _CODES.items()}  # noqa: RUF012 - never changed
    CONSENT, YES, NO, AMOUNT = "customFields.Consentement publicité", "Oui", "Non", "amountInclTax"

    def lead_id(self, life):
        """A number as text."""
        return f"{9_000_000 + life.number * 7}"

    def has_key(self, asked):
        """As the parameter `token`."""
        return asked.query.get("token") == self.KEY

    def unknown(self, code):
        """A short error."""
        return {"error": super().unknown(code)["message"]}

    def lead(self, life):
        """One lead."""
        source, medium, campaign = life.utm
        utm = f"utm_source={source}&utm_medium={medium}&utm_campaign={campaign}"
        clicks = f"&gclid={life.gclid}" * bool(life.gclid) + f"&fbclid={life.fbclid}" * bool(life.fbclid)
        answer = {True: "Oui", False: "Non", None: ""}[life.consent]
        return {
            "leadIdentifier": self.lead_id(life),
            "statusIdentifier": _CODES[life.state],
            "creationDate": naive(life.created),
            "modificationDate": naive(life.edited),
            "customer": {
                "lastname": life.last,
                "firstname": life.first,
                "email": life.email,
                "mobilePhone": life.phone,
                "zipCode": life.postcode,
                "city": life.city,
            },
            "leadData": {
                "externalID": f"https://www.maison-ouest.fr/devis?{utm}{clicks}" if clicks else None,
                "utm_source": source,
                "utm_medium": medium,
                "utm_campaign": campaign,
            },
            "customFields": [
                {"identifier": "CF_1", "name": "Type de logement", "value": "Maison"},
                {"identifier": "CF_3", "name": "Consentement publicité", "value": answer},
            ],
            "amountInclTax": number(life.order if life.state == "gagne" else life.quote),
            "amountExclTax": without_tax(life.order if life.state == "gagne" else life.quote),
            "statusHistory": [{"statusIdentifier": _CODES[state], "date": naive(at)} for state, at in life.steps],
            "appointmentDate": naive(life.meeting) if life.meeting else None,
            "channelIdentifier": "CNL_12" if source else "CNL_1",
            "userIdentifier": "USR_5",
        }

    def answer(self, asked):
        """List, lead and what the codes mean."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                start, size = asked.number("offset", 0), min(asked.number("limit", 20), 100)
                leads = [self.lead(life) for life in self.lives[start : start + size]]
                return leads, {"X-Total-Count": len(self.lives)}
            case ["v1", "leads", key] if key in self.by_id:
                return self.lead(self.by_id[key]), {}
            case ["v1", "settings", "statuses"]:
                return [
                    {"identifier": code, "name": self.LABELS[state], "order": place}
                    for place, (state, code) in enumerate(_CODES.items())
                ], {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        at = naive(life.state_at)
        return {"leadIdentifier": self.lead_id(life), "statusIdentifier": _CODES[life.state], "date": at}
