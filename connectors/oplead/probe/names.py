"""When two names of fields are the same word, and the words for each thing in French and English. Pure."""

import unicodedata
from collections.abc import Mapping


def plain(name: str) -> str:
    """A name by which names are compared: no case, accents, `_`, `-` or points."""
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in decomposed if letter.isalnum()).casefold()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES: Mapping[str, tuple[str, ...]] = {
    "id": _words(
        "id uuid guid leadid idlead identifiant identifiantlead leadidentifier identifier numero numerolead "
        "leadnumber reference referencelead leadreference ref"
    ),
    "created_at": _words(
        "createdat creationdate datecreation datedecreation createdon created creele creationtime createddate "
        "datecreated createdtime insertedat dateajout datereception receivedat submittedat datelead leaddate"
    ),
    "updated_at": _words(
        "updatedat updatedate modifiedat lastmodified updated datemodification datedemodification datemaj "
        "datemiseajour derniermodification dernieremodification modifiele misajourle lastupdate lastupdated "
        "lastmodifiedat modificationdate updatedon modifiedon dateupdated updateddate majle lastmodifieddate"
    ),
    "status": _words(
        "statuslabel statutlabel libellestatut status statut leadstatus statutlead statuslead etat state "
        "stage etape statuscode codestatut"
    ),
    "status_at": _words(
        "statusdate datestatut statusupdatedat statuschangedat datedestatut statutdate datechangementstatut "
        "statussince statutdepuis datestatus statuschangedate"
    ),
    "history": _words(
        "statushistory historiquestatuts historiquestatut historique historiquedesstatuts statuschanges "
        "statuslog history"
    ),
    "click_id": _words(
        "externalid clickid clickids idclic identifiantclic identifiantdeclic clicid gclid gbraid wbraid "
        "fbclid fbc adclickid trackingid identifiantexterne idexterne"
    ),
    "click_id_at": _words("clickedat clickdate dateclic clicktime gclidts clickidat"),
    "utm_source": _words("utmsource"),
    "utm_medium": _words("utmmedium"),
    "utm_campaign": _words("utmcampaign"),
    "email": _words("email emails mail courriel emailaddress adresseemail adressemail ctcemail"),
    "phone": _words(
        "phone phones mobile mobilephone landline telephone telephones portable tel phonenumber telephonefixe "
        "telephonemobile telephoneportable fixe telfixe telmobile telportable homephone cellphone "
        "numerotelephone ctcphone ctcmobile"
    ),
    "first_name": _words("firstname prenom givenname forename ctcfirstname"),
    "last_name": _words("lastname nom nomdefamille surname familyname ctclastname"),
    "postcode": _words("postcode zipcode postalcode zip codepostal cp ctcpostcode"),
    "city": _words("city ville town commune ctccity"),
    "country": _words("country countrycode pays codepays ctccountry"),
}
"""What each thing may be called, likeliest first; what `candidates` names already stands here too."""

SEVERAL = frozenset({"phone", "email"})
"""What a person may have more than one of."""
MOBILE, FIXED = ("mobile", "portable", "cell"), ("fixe", "landline", "home")
"""What the name of a mobile or of a fixed phone has in it."""
CONTACT = frozenset({"email", "phone", "first_name", "last_name", "postcode", "city", "country"})
NEEDED = ("id", "created_at", "status", "click_id")
"""Without these nothing can be sent."""

CONSENT_PARTS = ("consent", "optin", "rgpd", "gdpr", "aduserdata", "adpersonalization", "personnalisation")
"""What a consent's name has in it."""
OTHER_WAY_ROUND = ("optout", "refus", "oppos", "desabonn", "desinscri", "unsubscri")
"""What the name of a field has in it whose yes is a refusal."""
_AGREED = frozenset(
    {"accepte", "acceptee", "accepted", "accept", "daccord", "jaccepte", "consenti", "consent", "granted", "optin"}
)
_DECLINED = frozenset(
    {"refuse", "refusee", "refused", "refus", "jerefuse", "denied", "declined", "noconsent", "optout"}
)
CONSENT_WORDS = _AGREED | _DECLINED
"""Answers that only a consent has, by their plain spelling."""
GRANTED = _AGREED | {"oui", "o", "yes", "y", "true", "vrai", "1"}
REFUSED = _DECLINED | {"non", "n", "no", "false", "faux", "0"}
ANSWERS = GRANTED | REFUSED
"""Answers that may be shown as they stand."""
CHANNELS = frozenset(
    {"channel", "canal", "subchannel", "souscanal", "source", "medium", "origin", "origine", "provenance"}
    | {"utmsource", "utmmedium", "channelcategory", "categoriecanal", "leadsource", "sourcelead"}
)
"""Names of what tells where a lead came from; those values are business facts."""
AMOUNT_PARTS = ("amount", "montant", "prix", "price", "total", "budget", "chiffreaffaires", "revenue", "valeur")
"""What an amount's name has in it."""
