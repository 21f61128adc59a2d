"""Merge the fields of many leads into one tree, and recognise them by name."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from zoneinfo import ZoneInfo

from connectors.language import N_, _, _n
from connectors.oplead.parsing.dates import read_moment_or_none
from connectors.oplead.parsing.fields import is_empty, name_value_pairs, strict_pairs, text_of
from connectors.survey import SurveyedPath


def normalise(name: str) -> str:
    """Return a name for comparison: only its letters and digits, without case or accents."""
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in decomposed if letter.isalnum()).casefold()


def last_path_part(path: str) -> str:
    """Return the last name of a dotted path, normalised."""
    return normalise(path.rpartition(".")[2])


def normalise_field_path(path: str) -> str:
    """Return a path with each of its names normalised."""
    return ".".join(map(normalise, path.split(".")))


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
        "stage etape statuscode codestatut statusidentifier identifiantstatut statusid idstatut"
    ),
    "status_at": _words(
        "statusdate datestatut statusupdatedat statuschangedat datedestatut statutdate datechangementstatut "
        "statussince statutdepuis datestatus statuschangedate"
    ),
    "history": _words(
        "statushistory historiquestatuts historiquestatut historique historiquedesstatuts statuschanges "
        "statuslog history"
    ),
    "history_status": (),
    "history_at": (),
    "click_id": _words(
        "externalid clickid clickids idclic identifiantclic identifiantdeclic clicid gclid gbraid wbraid "
        "fbclid fbc adclickid trackingid identifiantexterne idexterne"
    ),
    "click_id_at": _words("clickedat clickdate dateclic clicktime gclidts clickidat"),
    "appointment_at": _words(
        "appointmentat appointmentdate dateappointment daterendezvous datedurendezvous rendezvousdate daterdv "
        "datedurdv rdvdate"
    ),
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
"""Normalised names for each field, likeliest first, including those in `options.CANDIDATES`."""

CONTACT = frozenset({"email", "phone", "first_name", "last_name", "postcode", "city", "country"})
NEEDED = ("id", "created_at", "status", "click_id")
"""Fields without which nothing can be sent."""

CONSENT_PARTS = ("consent", "optin", "rgpd", "gdpr", "aduserdata", "adpersonalization", "personnalisation")
"""Substrings of a consent field's name."""
AMOUNT_PARTS = (
    *("amount", "montant", "prix", "price", "total", "budget", "chiffreaffaires", "revenue", "valeur", "turnover"),
    *("tarif", "ttc", "incltax", "excltax"),
)
"""Substrings of an amount field's name."""

_DEEPEST = 6
_MOST_PATHS = 400
_NAME = re.compile(r"[^\W\d][\w@$:-]{0,60}|_[\w-]{1,60}|(?=.{1,60}$)[^\W\d][\w-]*(?: [\w-]+)+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"(?:\+|00)?[\d\s().-]{9,20}")
_NUMBER = re.compile(
    # Also as typed in French: 1 231, 3 780,00 €, 900 EUR HT; the spaces may be non-breaking.
    r"-?(?:\d+|\d{1,3}(?:[ \u00a0\u2007\u2009\u202f]\d{3})+)(?:[.,]\d+)?(?:\s?(?:€|eur(?:os?)?))?(?:\s?(?:ttc|ht))?",
    re.IGNORECASE,
)
_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_PHP_DATE = frozenset({"date", "timezone", "timezonetype"})
_RARELY = 0.02
_MANY = 20
_MOSTLY = 0.5
_EPOCHS_FROM = 2010


@dataclass(slots=True)
class Node:
    """What leads hold at one path."""

    values: dict[int, list[object]] = field(default_factory=dict)
    """The non-empty values at the path, by the lead's index."""
    leads: set[int] = field(default_factory=set)
    """The indexes of the leads that have the path, even empty."""
    is_pair: bool = False
    """Whether the path's last name came from a list of name/value pairs."""
    is_listed: bool = False
    """Whether the path lies inside the entries of a list, as past statuses do."""

    @property
    def filled_count(self) -> int:
        """The number of leads with a non-empty value."""
        return len(self.values)

    def all_lead_values(self) -> Iterator[object]:
        """Iterate over the values of all leads."""
        return chain.from_iterable(self.values.values())


Tree = Mapping[str, Node]


def common_lead_field_paths(leads: Sequence[object]) -> Tree:
    """Return every dotted path that many leads share, containers included, in order of first appearance.

    An unknown name that few leads have is left out: it may be personal data, as in an object keyed by people's names.
    """
    nodes: dict[str, Node] = {}
    for number, lead in enumerate(leads):
        for path, value, is_pair, is_listed in _walk(lead, "", _DEEPEST, is_listed=False):
            if path not in nodes and len(nodes) >= _MOST_PATHS:
                continue
            node = nodes.setdefault(path, Node())
            node.is_pair |= is_pair
            node.is_listed |= is_listed
            node.leads.add(number)
            if not is_empty(value):
                node.values.setdefault(number, []).append(value)
    shared: dict[str, Node] = {}
    for path, node in nodes.items():  # parents come before what they hold
        is_common = len(node.leads) > max(1, len(leads) * _RARELY) or (len(leads) < _MANY and not node.is_pair)
        if " " in path:  # the title of a field, which most leads have; else it may be somebody's name
            is_common = len(node.leads) > max(_MANY, len(leads) * _MOSTLY)
        parent = path.rpartition(".")[0]
        if (is_common or last_path_part(path) in _KNOWN) and (not parent or parent in shared):
            shared[path] = node
    return shared


_OWNERS = frozenset(
    _words(
        "owner ownerid user userid useridentifier assignedto assignedtoid assignee affectea agency agencyid agence "
        "commercial commercialid vendeur salesperson responsable conseiller proprietaire utilisateur collaborateur"
    )
)
"""Normalised names of the fields that say whose a lead is."""


def count_distinct_lead_owners(leads: Sequence[object]) -> int | None:
    """Return how many users, agencies or the like these leads belong to; None if they do not say."""
    named = (node for path, node in common_lead_field_paths(leads).items() if last_path_part(path) in _OWNERS)
    owners = max(named, key=lambda node: node.filled_count, default=None)
    found = {text_of(value) for value in owners.all_lead_values()} - {None} if owners else set()
    return len(found) or None


def _walk(value: object, path: str, depth: int, *, is_listed: bool) -> Iterator[tuple[str, object, bool, bool]]:
    if depth == 0 or (path and is_php_date(value)):
        return
    pairs = name_value_pairs(value) if isinstance(value, list) else []
    if isinstance(value, list) and not strict_pairs(value):
        for one in value:
            yield from _walk(one, path, depth - 1, is_listed=True)
    for name, inner in value.items() if isinstance(value, Mapping) else pairs:
        if _NAME.fullmatch(name):  # any other name may be data: neither shown nor usable in the settings
            below = _join(path, name)
            yield below, inner, bool(pairs), is_listed
            yield from _walk(inner, below, depth - 1, is_listed=is_listed)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def is_php_date(value: object) -> bool:
    """Whether a value is a serialised PHP DateTime."""
    return isinstance(value, Mapping) and "date" in value and {normalise(name) for name in value} <= _PHP_DATE


def is_readable_time(value: object, zone: ZoneInfo) -> bool:
    """Whether a value reads as a time: text, a PHP DateTime or a number since 1970."""
    return (isinstance(value, str | Decimal) or is_php_date(value)) and read_moment_or_none(value, zone) is not None


def summarise_lead_paths(tree: Tree, zone: ZoneInfo) -> tuple[SurveyedPath, ...]:
    """Return each path with how many leads fill it and the shapes of its values."""
    return tuple(SurveyedPath(path, node.filled_count, _shapes(node, zone)) for path, node in tree.items())


def _shapes(node: Node, zone: ZoneInfo) -> tuple[str, ...]:
    kinds = Counter(describe_value_kind(value, zone) for value in node.all_lead_values())
    texts = (
        value
        for value in node.all_lead_values()
        if isinstance(value, str) and describe_value_kind(value, zone) == "text"
    )
    lengths = sorted(map(len, texts)) or [0]
    text = (
        _n("text, {count} character", "text, {count} characters", lengths[-1])
        if lengths[0] == lengths[-1]
        else _n(
            "text, {least} to {count} character", "text, {least} to {count} characters", lengths[-1], least=lengths[0]
        )
    )
    return tuple(text if kind == "text" else _(kind) for kind, _count in kinds.most_common(3)) or (_("nothing"),)


def describe_value_kind(value: object, zone: ZoneInfo) -> str:
    """Return the kind of a value in a few words that do not reveal it; `_` translates them."""
    match value:
        case bool():
            return N_("true or false")
        case Decimal():
            moment = read_moment_or_none(value, zone)
            return N_("date, in seconds or milliseconds") if moment and moment.at.year >= _EPOCHS_FROM else N_("number")
        case list():
            return N_("list")
        case str():
            return _kind_of_text(value.strip(), zone)
        case _ if is_php_date(value):
            return N_("date")
        case _:
            return N_("object") if isinstance(value, Mapping) else N_("nothing")


def _kind_of_text(text: str, zone: ZoneInfo) -> str:
    if _EMAIL.fullmatch(text):
        return N_("e-mail address")
    if is_readable_time(text, zone) and not _NUMBER.fullmatch(text):
        return N_("date")
    if _PHONE.fullmatch(text):
        return N_("phone number or other digits")
    return N_("number") if _NUMBER.fullmatch(text) else "text"
