"""Foxtrot: French names, debut and nombre, changes from ancien to nouveau, consent in pairs, no specification."""

from tests.e2e.strangers.base import Oplead, number, zoned

_LABELS = {
    "nouveau": "Nouveau",
    "encours": "En cours",
    "nurserie": "Nurserie",
    "rdv": "Rendez-vous pris",
    "devis": "Devis envoyé",
    "gagne": "Vendu",
    "perdu": "Sans suite",
}


class Foxtrot(Oplead):
    """`GET /v1/leads?debut=0&nombre=25`, `X-API-KEY`, `{"leads": […], "pagination": {"debut": …, "total": …}}`."""

    LABELS = _LABELS

    CONSENT, YES, NO, AMOUNT = "champs.Accord publicité", "accepté", "refusé", "vente.montant_ttc"

    def lead_id(self, life):
        """A number with a letter."""
        return f"L{life.number}"

    def has_key(self, asked):
        """In the header X-API-KEY."""
        return asked.headers.get("x-api-key") == self.KEY

    def unknown(self, code):
        """An error in French."""
        return {"erreurs": [{"motif": {401: "Clé invalide", 404: "Introuvable", 429: "Trop de requêtes"}[code]}]}

    def lead(self, life):
        """One lead."""
        source, medium, campaign = life.utm
        clicks = [f"gclid:{life.gclid}"] * bool(life.gclid) + [f"fbclid:{life.fbclid}"] * bool(life.fbclid)
        before = [None, *(self.LABELS[state] for state, _ in life.steps)]
        pairs = {
            "Logement": "Maison",
            "Accord publicité": {True: "accepté", False: "refusé", None: None}[life.consent],
            "Commentaire": f"Rappeler {life.first} le soir",
        }
        return {
            "numero": self.lead_id(life),
            "cree_le": zoned(life.created),
            "modifie_le": zoned(life.edited),
            "statut": self.LABELS[life.state],
            "suivi": [
                {"ancien": old, "nouveau": self.LABELS[state], "le": zoned(at)}
                for old, (state, at) in zip(before, life.steps, strict=False)
            ],
            "nom": life.last,
            "prenom": life.first,
            "email": life.email,
            "portable": life.phone,
            "code_postal": life.postcode,
            "ville": life.city,
            "leadData": {"externalID": ", ".join(clicks), "utm_source": source, "utm_medium": medium}
            | {"utm_campaign": campaign},
            "champs": [{"nom": nom, "valeur": valeur} for nom, valeur in pairs.items()],
            "devis": {"montant": number(life.quote)} if life.quote else None,
            "vente": {"montant_ttc": number(life.order)} if life.state == "gagne" else None,
            "rdv": {"date": zoned(life.meeting), "motif": "Visite technique"} if life.meeting else None,
        }

    def answer(self, asked):
        """List and lead."""
        match asked.path.split("/")[1:]:
            case ["v1", "leads"]:
                start, size = asked.number("debut", 0), min(asked.number("nombre", 25), 100)
                leads = [self.lead(life) for life in self.lives[start : start + size]]
                return {"leads": leads, "pagination": {"debut": start, "nombre": size, "total": len(self.lives)}}, {}
            case ["v1", "leads", key] if key in self.by_id:
                return self.lead(self.by_id[key]), {}
        return None

    def notice(self, life):
        """The body of a webhook on its status."""
        told = {"ancien": None, "nouveau": self.LABELS[life.state], "le": zoned(life.state_at)}
        return {"type": "statut", "data": [{"numero": self.lead_id(life), **told}]}
