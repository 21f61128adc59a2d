"""The fields of many leads as one tree, and what their names suggest."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, chain
from zoneinfo import ZoneInfo

from connectors.errors import Misconfigured
from connectors.oplead.fields import is_empty, pairs_in, raw, read_moment
from connectors.oplead.pagination import find_items
from connectors.records import Moment
from connectors.survey import KeyPath
from connectors.text import counted


def normalise(name: str) -> str:
    """A name by which names are compared: no case, accents, `_`, `-` or points."""
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in decomposed if letter.isalnum()).casefold()


def leaf(path: str) -> str:
    """The last name of a dotted path, by which names are compared."""
    return normalise(path.rpartition(".")[2])


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

CONTACT = frozenset({"email", "phone", "first_name", "last_name", "postcode", "city", "country"})
NEEDED = ("id", "created_at", "status", "click_id")
"""Without these nothing can be sent."""

CONSENT_PARTS = ("consent", "optin", "rgpd", "gdpr", "aduserdata", "adpersonalization", "personnalisation")
"""What a consent's name has in it."""
AMOUNT_PARTS = ("amount", "montant", "prix", "price", "total", "budget", "chiffreaffaires", "revenue", "valeur")
"""What an amount's name has in it."""

_DEEPEST = 6
_MOST_PATHS = 400
_NAME = re.compile(r"[^\W\d][\w@$:-]{0,60}|_[\w-]{1,60}")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"(?:\+|00)?[\d\s().-]{9,20}")
_NUMBER = re.compile(
    # As French people type amounts, too: 1 231, 3 780,00 €, 900 EUR HT; the spaces may be no-break ones.
    r"-?(?:\d+|\d{1,3}(?:[ \u00a0\u2007\u2009\u202f]\d{3})+)(?:[.,]\d+)?(?:\s?(?:€|eur(?:os?)?))?(?:\s?(?:ttc|ht))?",
    re.IGNORECASE,
)
_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_PHP_DATE = frozenset({"date", "timezone", "timezonetype"})
_RARELY = 0.02
_MANY = 20
_EPOCHS_FROM = 2010


@dataclass(slots=True)
class Node:
    """What leads hold at one path."""

    values: dict[int, list[object]] = field(default_factory=dict)
    """By the lead's number, what is not empty there."""
    leads: set[int] = field(default_factory=set)
    """The leads that have the path at all."""
    is_pair: bool = False
    """Whether the path's last name was written as data, in a list of names and values."""
    is_listed: bool = False
    """Whether it stands in entries of a list, as past statuses do."""

    @property
    def filled(self) -> int:
        """How many leads hold something there."""
        return len(self.values)

    @property
    def holds_more(self) -> bool:
        """Whether it is a container: an object or a list."""
        return any(isinstance(value, Mapping | list) for value in self.every())

    def every(self) -> Iterator[object]:
        """Every value."""
        return chain.from_iterable(self.values.values())


Tree = Mapping[str, Node]


def tree_of(leads: Sequence[object]) -> Tree:
    """Every dotted path that many leads share, in the order it was met, containers among them.

    A name that few leads have may be somebody's data (an object kept by people's names), unless we know it.
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
    return {path: node for path, node in nodes.items() if _is_shared(path, nodes, len(leads))}


def _walk(value: object, path: str, depth: int, *, is_listed: bool) -> Iterator[tuple[str, object, bool, bool]]:
    if depth == 0 or (path and is_php_date(value)):
        return
    pairs = pairs_in(value) if isinstance(value, list) else []
    if isinstance(value, list) and not pairs:
        for one in value:
            yield from _walk(one, path, depth - 1, is_listed=True)
    for name, inner in value.items() if isinstance(value, Mapping) else pairs:
        if _NAME.fullmatch(name):  # else neither to be written in the settings nor to be shown: it may be anything
            below = _join(path, name)
            yield below, inner, bool(pairs), is_listed
            yield from _walk(inner, below, depth - 1, is_listed=is_listed)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def is_php_date(value: object) -> bool:
    """Whether an object is what PHP makes of a date."""
    return isinstance(value, Mapping) and "date" in value and {normalise(name) for name in value} <= _PHP_DATE


def is_date(value: object, zone: ZoneInfo) -> bool:
    """Whether a value reads as a time, as text, as PHP's object or as a number since 1970."""
    return _moment(value, zone) is not None


def _moment(value: object, zone: ZoneInfo) -> Moment | None:
    if not isinstance(value, str | Decimal) and not is_php_date(value):
        return None
    try:
        return read_moment(value, zone)
    except (ValueError, ArithmeticError):
        return None


def key_paths(tree: Tree, zone: ZoneInfo) -> tuple[KeyPath, ...]:
    """The paths, how many leads fill each, and with what."""
    return tuple(KeyPath(path, node.filled, _shapes(node, zone)) for path, node in tree.items())


def _is_shared(path: str, nodes: Tree, leads: int) -> bool:
    parents = accumulate(path.split("."), _join)
    return all(_is_shared_name(parent, nodes[parent], leads) for parent in parents if parent in nodes)


def _is_shared_name(path: str, node: Node, leads: int) -> bool:
    if leaf(path) in _KNOWN or len(node.leads) > max(1, leads * _RARELY):
        return True
    return leads < _MANY and not node.is_pair


def _shapes(node: Node, zone: ZoneInfo) -> tuple[str, ...]:
    kinds = Counter(value_kind(value, zone) for value in node.every())
    texts = (value for value in node.every() if isinstance(value, str) and value_kind(value, zone) == "text")
    lengths = sorted(map(len, texts)) or [0]
    longest = counted(lengths[-1], "character")
    text = f"text, {longest}" if lengths[0] == lengths[-1] else f"text, {lengths[0]} to {longest}"
    return tuple(text if kind == "text" else kind for kind, _ in kinds.most_common(3)) or ("nothing",)


def value_kind(value: object, zone: ZoneInfo) -> str:
    """What a value is, in a word or two that reveal nothing of it."""
    match value:
        case bool():
            return "true or false"
        case Decimal():
            return "date, in seconds or milliseconds" if _is_epoch(value, zone) else "number"
        case list():
            return "list"
        case str():
            return _kind_of_text(value.strip(), zone)
        case _ if is_php_date(value):
            return "date"
        case _:
            return "object" if isinstance(value, Mapping) else "nothing"


def _kind_of_text(text: str, zone: ZoneInfo) -> str:
    if _EMAIL.fullmatch(text):
        return "e-mail address"
    if is_date(text, zone) and not _NUMBER.fullmatch(text):
        return "date"
    if _PHONE.fullmatch(text):
        return "phone number or other digits"
    return "number" if _NUMBER.fullmatch(text) else "text"


def _is_epoch(value: Decimal, zone: ZoneInfo) -> bool:
    moment = _moment(value, zone)
    return moment is not None and isinstance(moment.at, datetime) and moment.at.year >= _EPOCHS_FROM


_DEEPEST_ENVELOPE = 3
_TOTALS = frozenset(
    {"total", "totalcount", "totalelements", "totalitems", "totalresults", "totalrecords", "nombretotal"}
    | {"count", "recordstotal", "nbtotal", "totalhits", "nbresultats"}
)
_LEAD_WORDS = frozenset(name for field in NEEDED for name in NAMES[field])


def locate(body: object, configured: str | None) -> tuple[str | None, Sequence[object]]:
    """The setting that finds the leads, None where none is needed, and the leads it finds.

    Raises:
        Misconfigured: there is no array of leads, or several might be it.
    """
    try:
        return configured, find_items(body, configured)
    except Misconfigured:
        found = {
            path: len({normalise(name) for name in value[0]} & _LEAD_WORDS)
            for path, value in _envelope(body, "", _DEEPEST_ENVELOPE)
            if isinstance(value, list) and _may_be_leads(value) and _is_setting(path, value, body)
        }
        # the one with the most of a lead's own words
        likely = [path for path, words in found.items() if words == max(found.values())]
        if len(likely) != 1:
            raise
        return likely[0], find_items(body, likely[0])


def envelope_values(body: object) -> list[tuple[str, object]]:
    """The single values in an answer around its lists, by path."""
    around = _envelope(body, "", _DEEPEST_ENVELOPE)
    return [(path, value) for path, value in around if path and not isinstance(value, list)]


def stated_total(body: object, shown: int) -> int | None:
    """How many leads there are, where an answer has a number that can be it."""
    for path, value in envelope_values(body):
        name = leaf(path)
        if name in _TOTALS and isinstance(value, Decimal) and value == value.to_integral_value() and value >= shown:
            # `count` is more often the length of this page
            if name == "count" and value == shown:
                continue
            return int(value)
    return None


def _envelope(value: object, path: str, depth: int) -> Iterator[tuple[str, object]]:
    """The lists and single values of an answer, by path."""
    if not isinstance(value, Mapping):
        yield path, value
    elif depth:
        for name, inner in value.items():
            yield from _envelope(inner, _join(path, name), depth - 1)


def _is_setting(path: str, array: Sequence[object], body: object) -> bool:
    """Whether a path can be written and leads to the array: a name with a point in it does not."""
    return not any(map(str.isspace, path)) and any(value is array for value in raw(body, path))


def _may_be_leads(array: Sequence[object]) -> bool:
    return bool(array) and all(isinstance(one, Mapping) for one in array[:20])
