"""Echo: French names, pairs of nom and valeur, a link to the next page, a bearer token, no specification."""

from tests.e2e.strangers.base import Oplead, euros, french

_STATUS = {
    "nouveau": (10, "Nouveau lead"),
    "encours": (12, "En cours"),
    "nurserie": (13, "Nurserie"),
    "rdv": (14, "Rendez-vous"),
    "devis": (15, "Devis à relancer"),
    "gagne": (16, "Gagné"),
    "perdu": (17, "Perdu"),
}


def _statut(state):
    return dict(zip(("id", "libelle"), _STATUS[state], strict=True))


class Echo(Oplead):
    """`GET /v1/leads?page=1`, `Authorization: Bearer`, `{"resultats": […], "total": …, "suivant": URL}`."""

    CONSENT, YES, NO, AMOUNT = "leadData.Consentement publicité", "Oui", "Non", "montant_ttc"
    LABELS = {state: name for state, (_, name) in _STATUS.items()}  # noqa: RUF012 - never changed

    def lead_id(self, life):
        """A number."""
        return 52_000 + life.number

    def has_key(self, asked):
        """As a bearer token."""
        return asked.headers.get("authorization") == f"Bearer {self.KEY}"

    def unknown(self, code):
        """An error in French."""
        return {"erreur": {401: "Clé absente ou invalide", 404: "Introuvable", 429: "Trop de requêtes"}[code]}

    def lead(self, life):
        """One lead."""
        source, medium, campaign = life.utm
        clicks = [f"Google click ID : {life.gclid}"] * bool(life.gclid)
        clicks += [f"Facebook click ID : {life.fbclid}"] * bool(life.fbclid)
        pairs = {
            "externalID": " ; ".join(clicks),
            "utm_source": source,
            "utm_medium": medium,
            "utm_campaign": campaign,
            "Consentement publicité": {True: "Oui", False: "Non", None: ""}[life.consent],
            "Newsletter": "Oui" if life.number % 2 else "Non",
        }
        return {
            "id": self.lead_id(life),
            "date_creation": french(life.created),
            "date_modification": french(life.edited),
            "statut": _statut(life.state) | {"depuis": french(life.state_at)},
            "historique": [{"statut": _statut(state), "le": french(at)} for state, at in life.steps],
            "contact": {
                "civilite": "Mme",
                "nom": life.last,
                "prenom": life.first,
                "courriel": life.email,
                "telephone": life.phone,
                "adresse": {"code_postal": life.postcode, "ville": life.city, "pays": "France"},
            },
            "leadData": [{"nom": nom, "valeur": valeur} for nom, valeur in pairs.items()],
            "montant_ttc": euros(life.order if life.state == "gagne" else life.quote),
            "rendez_vous": [{"numero": life.number, "debut": french(life.meeting)}] if life.meeting else [],
            "canal": {"id": 3, "libelle": source or "Site internet"},
        }

    def answer(self, asked):
        """List and lead."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                page, size = asked.number("page", 1), 20
                leads = [self.lead(life) for life in self.lives[(page - 1) * size : page * size]]
                more = f"{self.url}/v1/leads?page={page + 1}" if page * size < len(self.lives) else None
                return {"resultats": leads, "total": len(self.lives), "suivant": more}, {}
            case ["v1", "leads", key] if key in self.by_id:
                return self.lead(self.by_id[key]), {}
            case ["v1", "settings", "statuts"]:
                return [_statut(state) for state in _STATUS], {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        return {"evenement": "changement_statut", "items": [self.lead(life)]}
