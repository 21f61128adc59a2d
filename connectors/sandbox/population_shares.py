"""How often each kind of lead occurs, per thousand: the whole mix of the invented CRM on one page.

Every row of `SHARES` is dealt to the leads independently of the other rows, and exactly (to within one lead); a lead
that repeats another has the other's kinds and is not dealt to. `lag` speaks only where there is a click, `amount` only
where a lead is won.
"""

from collections.abc import Mapping
from typing import Final

REPEATED: Final = 10
"""Of 1000 leads, how many are a person who is there already, once more: same click id, another id, days later."""

SHARES: Final[Mapping[str, Mapping[str, int]]] = {
    # how contact.phone is written
    "phone": {
        "spaced": 295,  # 01 99 00 12 34
        "compact": 220,  # 0199001234
        "dotted": 100,  # 01.99.00.12.34
        "dashed": 40,  # 01-99-00-12-34
        "e164": 100,  # +33199001234
        "international": 60,  # +33 1 99 00 12 34
        "trunk_zero": 40,  # +33 (0)1 99 00 12 34
        "double_zero": 30,  # 0033199001234
        "no_zero": 20,  # 199001234, as a spreadsheet leaves it
        "two": 20,  # two numbers in the one field
        "foreign": 20,  # +32 …, 0041 …, +34…: a Belgian, Swiss or Spanish number, and the address too
        "foreign_national": 5,  # the same as it is written at home, which may look French
        "overseas": 20,  # a number of the territory its postcode names, national or international
        "absent": 30,
    },
    # contact.mobile
    "mobile": {
        "absent": 650,
        "twice": 240,  # the number of contact.phone once more
        "fiction": 10,  # a mobile number that phonenumbers does not take for a valid one
        "landline": 100,  # the landline, and nothing in contact.phone
    },
    # contact.email
    "email": {
        "plain": 530,
        "capitals": 110,
        "gmail_dots": 150,
        "gmail_tag": 30,  # …+devis@gmail.com
        "accents": 40,  # hélène.…@
        "spaces": 30,  # around it
        "unusable": 30,  # no address in it
        "absent": 80,
    },
    # how accented letters of names and towns are made: one character each, or a letter and its accent
    "letters": {"nfc": 940, "nfd": 60},
    # leadData.consent
    "consent": {
        "granted": 770,  # "oui"
        "refused": 80,  # "non"
        "absent": 90,  # no such key, or nothing in it
        "odd": 50,  # neither word: "à confirmer", "OK tél", "1", "?"
        "withdrawn": 10,  # "oui", and some days later "non"
    },
    # leadData.adPersonalization: like consent, or refused on its own
    "personalization": {"same": 960, "refused": 40},
    # what leadData.externalID holds; the first eight, 600 of 1000, are ids Google knows, the next four ids Meta knows
    "click": {
        "gclid_bare": 260,  # the id alone, utm_source says google
        "gclid_label": 140,  # "gclid=…", "gclid: …"
        "gclid_query": 60,  # a query string or the whole landing page address
        "gclid_fragment": 20,  # the whole address, with "#…" behind the id
        "gclid_json": 30,  # {"gclid": "…"} as text
        "gclid_and_fbclid": 20,  # "gclid=…;fbclid=…"
        "gbraid_label": 40,
        "wbraid_label": 30,
        "fbclid_bare": 90,  # the id alone, utm_source says facebook
        "fbclid_label": 25,  # "fbclid=…"
        "fbc": 50,  # fb.1.<ms>.<fbclid>
        "lead_id": 85,  # "lead_id=…": the form in the ad itself was filled in, with or without "l:"
        "supplier_uuid": 15,  # a supplier's own reference, no click
        "supplier_reference": 15,  # "PLM-48213", "CNL_…"
        "empty": 55,  # organic, telephone, trade fair
        "bare_ambiguous": 30,  # a true gclid, but nothing says it is one
        "gclid_truncated": 20,  # a true gclid, cut by a column that was too short
        "gclid_lower": 15,  # a true gclid with its label, in lower case, as some form tools leave it
    },
    # how long before the lead its click was
    "lag": {"minutes": 880, "hours": 60, "days": 40, "months": 20},
    # the way through the funnel; a lead near the end of the period has not walked all of it yet
    "journey": {
        "new": 120,
        "working": 150,
        "appointment": 120,
        "quote": 130,
        "won": 170,
        "won_directly": 20,  # Nouveau, then Gagné
        "lost": 115,
        "no_follow_up": 80,
        "nursery": 40,
        "regressed": 20,  # back from the quote to En cours, then won
        "reopened": 15,  # lost, then worked again and won
        "won_then_lost": 8,
        "won_again": 4,  # won, lost, won
        "unknown_label": 8,  # a label nobody has mapped
    },
    # the amount of a lead that is won
    "amount": {
        "euros": 370,  # 12 500,00 €
        "typeset": 120,  # the same with no-break spaces
        "plain": 200,  # 8900
        "cents": 60,  # 8900,50
        "number": 40,  # a JSON number
        "ambiguous": 30,  # 1.250: a thousand and more, or hardly one
        "on_quote": 40,  # "sur devis"
        "absent": 60,
        "late": 80,  # as euros, two days after the sale
    },
    # what becomes of the record, whatever becomes of the person
    "record": {
        "kept": 980,
        "deleted": 10,  # gone some days after it came, the changes after that never made
        "moved": 10,  # to another agency: its `agency` changes
    },
    # what the lead as a whole is
    "shape": {"sound": 994, "no_id": 2, "created_nonsense": 2, "not_an_object": 2},
}
