"""Countries as people, forms and programs spell them, reduced to ISO 3166 alpha-2. Pure.

One place for all platforms: what a phone is read by and what Meta is told as the country never differ.
"""

import re
import unicodedata
from functools import cache

import phonenumbers

HOME = "FR"
"""The account's country: what a lead that names none is taken to live in."""

FRENCH_POST = frozenset({"FR", "GP", "GF", "MQ", "RE", "YT", "BL", "MF", "PM", "WF", "PF", "NC"})
"""Where postcodes are French ones, of five digits."""

LONGEST = 100
"""Characters; no country's name is longer."""

_NOTHING = frozenset(
    {
        *("0", "n a", "n c", "n d", "n r", "nan", "nil", "none", "null", "undefined", "unknown", "empty"),
        *("aucun", "aucune", "inconnu", "inconnue", "neant", "vide", "not set", "not specified"),
        *(f"non {word}{end}" for word in ("renseigne", "communique", "defini", "precise") for end in ("", "e")),
    }
)
"""What people and exports write where nothing is known. NA, NC and NR alone are ISO codes of countries."""

_ARTICLES = frozenset({"l", "la", "le", "les", "the"})
_LANGUAGES = ("fr", "en", "de", "nl", "es", "it", "pt")
"""France's and its neighbours'; no name means two countries in them, which a test holds."""

_OTHER_NAMES = {
    name: region
    for region, names in {
        "FR": "france, france metropolitaine, metropole, corse, republique francaise, french republic, "
        "metropolitan france",
        "RE": "reunion, ile de la reunion, ile reunion",
        "GF": "guyane, french guyana",
        "BL": "saint barth, st barth, st barthelemy",
        "MF": "st martin, saint martin partie francaise",
        "PM": "st pierre et miquelon",
        "AD": "principaute d andorre",
        "AE": "emirats, uae",
        "BE": "belgie, belgique belgie, royaume de belgique",
        "BJ": "republique du benin",
        "BY": "bielorussie",
        "CD": "congo kinshasa, rdc, dr congo, democratic republic of the congo",
        "CF": "centrafrique, republique centrafricaine",
        "CG": "congo brazzaville, republique du congo",
        "CH": "confederation suisse",
        "CI": "ivory coast",
        "CV": "cabo verde",
        "CZ": "czechia, tchequie",
        "GB": "angleterre, england, grande bretagne, great britain, ecosse, scotland, pays de galles, wales, "
        "irlande du nord, northern ireland",
        "KG": "kirghizistan, kirghizstan",
        "KR": "coree, republique de coree",
        "LT": "lituanie",
        "LU": "grand duche de luxembourg",
        "MC": "principaute de monaco",
        "MK": "macedoine du nord, north macedonia",
        "MU": "ile maurice",
        "NL": "hollande, holland",
        "SS": "soudan du sud",
        "SZ": "eswatini",
        "TR": "turkiye",
        "US": "etats unis d amerique, united states of america",
        "VN": "viet nam",
        "XK": "kosovo",
    }.items()
    for name in names.split(", ")
}
"""Spellings that the library's names of countries lack; France first of all, so that they need not be loaded."""

_OTHER_CODES = {
    "UK": "GB",
    "EL": "GR",
    "33": "FR",  # its dialling code; "32" might be Belgium's or ISO's Argentina without its 0
    "FXX": "FR",  # ISO's once, for metropolitan France
    **dict(zip("FABDEILP", ("FR", "AT", "BE", "DE", "ES", "IT", "LU", "PT"), strict=True)),  # as on cars
}

_ISO = """
    AD/AND/020 AE/ARE/784 AF/AFG/004 AG/ATG/028 AI/AIA/660 AL/ALB/008 AM/ARM/051 AO/AGO/024 AR/ARG/032 AS/ASM/016
    AT/AUT/040 AU/AUS/036 AW/ABW/533 AX/ALA/248 AZ/AZE/031 BA/BIH/070 BB/BRB/052 BD/BGD/050 BE/BEL/056 BF/BFA/854
    BG/BGR/100 BH/BHR/048 BI/BDI/108 BJ/BEN/204 BL/BLM/652 BM/BMU/060 BN/BRN/096 BO/BOL/068 BQ/BES/535 BR/BRA/076
    BS/BHS/044 BT/BTN/064 BW/BWA/072 BY/BLR/112 BZ/BLZ/084 CA/CAN/124 CC/CCK/166 CD/COD/180 CF/CAF/140 CG/COG/178
    CH/CHE/756 CI/CIV/384 CK/COK/184 CL/CHL/152 CM/CMR/120 CN/CHN/156 CO/COL/170 CR/CRI/188 CU/CUB/192 CV/CPV/132
    CW/CUW/531 CX/CXR/162 CY/CYP/196 CZ/CZE/203 DE/DEU/276 DJ/DJI/262 DK/DNK/208 DM/DMA/212 DO/DOM/214 DZ/DZA/012
    EC/ECU/218 EE/EST/233 EG/EGY/818 EH/ESH/732 ER/ERI/232 ES/ESP/724 ET/ETH/231 FI/FIN/246 FJ/FJI/242 FK/FLK/238
    FM/FSM/583 FO/FRO/234 FR/FRA/250 GA/GAB/266 GB/GBR/826 GD/GRD/308 GE/GEO/268 GF/GUF/254 GG/GGY/831 GH/GHA/288
    GI/GIB/292 GL/GRL/304 GM/GMB/270 GN/GIN/324 GP/GLP/312 GQ/GNQ/226 GR/GRC/300 GT/GTM/320 GU/GUM/316 GW/GNB/624
    GY/GUY/328 HK/HKG/344 HN/HND/340 HR/HRV/191 HT/HTI/332 HU/HUN/348 ID/IDN/360 IE/IRL/372 IL/ISR/376 IM/IMN/833
    IN/IND/356 IO/IOT/086 IQ/IRQ/368 IR/IRN/364 IS/ISL/352 IT/ITA/380 JE/JEY/832 JM/JAM/388 JO/JOR/400 JP/JPN/392
    KE/KEN/404 KG/KGZ/417 KH/KHM/116 KI/KIR/296 KM/COM/174 KN/KNA/659 KP/PRK/408 KR/KOR/410 KW/KWT/414 KY/CYM/136
    KZ/KAZ/398 LA/LAO/418 LB/LBN/422 LC/LCA/662 LI/LIE/438 LK/LKA/144 LR/LBR/430 LS/LSO/426 LT/LTU/440 LU/LUX/442
    LV/LVA/428 LY/LBY/434 MA/MAR/504 MC/MCO/492 MD/MDA/498 ME/MNE/499 MF/MAF/663 MG/MDG/450 MH/MHL/584 MK/MKD/807
    ML/MLI/466 MM/MMR/104 MN/MNG/496 MO/MAC/446 MP/MNP/580 MQ/MTQ/474 MR/MRT/478 MS/MSR/500 MT/MLT/470 MU/MUS/480
    MV/MDV/462 MW/MWI/454 MX/MEX/484 MY/MYS/458 MZ/MOZ/508 NA/NAM/516 NC/NCL/540 NE/NER/562 NF/NFK/574 NG/NGA/566
    NI/NIC/558 NL/NLD/528 NO/NOR/578 NP/NPL/524 NR/NRU/520 NU/NIU/570 NZ/NZL/554 OM/OMN/512 PA/PAN/591 PE/PER/604
    PF/PYF/258 PG/PNG/598 PH/PHL/608 PK/PAK/586 PL/POL/616 PM/SPM/666 PR/PRI/630 PS/PSE/275 PT/PRT/620 PW/PLW/585
    PY/PRY/600 QA/QAT/634 RE/REU/638 RO/ROU/642 RS/SRB/688 RU/RUS/643 RW/RWA/646 SA/SAU/682 SB/SLB/090 SC/SYC/690
    SD/SDN/729 SE/SWE/752 SG/SGP/702 SH/SHN/654 SI/SVN/705 SJ/SJM/744 SK/SVK/703 SL/SLE/694 SM/SMR/674 SN/SEN/686
    SO/SOM/706 SR/SUR/740 SS/SSD/728 ST/STP/678 SV/SLV/222 SX/SXM/534 SY/SYR/760 SZ/SWZ/748 TC/TCA/796 TD/TCD/148
    TG/TGO/768 TH/THA/764 TJ/TJK/762 TK/TKL/772 TL/TLS/626 TM/TKM/795 TN/TUN/788 TO/TON/776 TR/TUR/792 TT/TTO/780
    TV/TUV/798 TW/TWN/158 TZ/TZA/834 UA/UKR/804 UG/UGA/800 US/USA/840 UY/URY/858 UZ/UZB/860 VA/VAT/336 VC/VCT/670
    VE/VEN/862 VG/VGB/092 VI/VIR/850 VN/VNM/704 VU/VUT/548 WF/WLF/876 WS/WSM/882 YE/YEM/887 YT/MYT/175 ZA/ZAF/710
    ZM/ZMB/894 ZW/ZWE/716
"""
"""ISO 3166 alpha-2, alpha-3 and numeric."""

_CODES = {code: iso.split("/")[0] for iso in _ISO.split() for code in iso.split("/")[1:]} | _OTHER_CODES


def region_of(typed: str | None) -> str | None:
    """The alpha-2 code of a country as typed: HOME where nothing is said, None where no country is known by it.

    Takes ISO 3166 codes, names in French and English, car plates' letters, locales (`fr-FR`) and `+33`.
    """
    if says_nothing(typed):
        return HOME
    text = _plain(typed or "")
    return _by_code(text) or _by_locale(typed or "") or _by_name(text) or _twice(text)


def says_nothing(typed: str | None) -> bool:
    """Whether a country field is blank, or holds what stands for a blank."""
    if typed is None or len(typed) > LONGEST:
        return typed is None
    words = _words(_plain(typed))
    return not words or " ".join(words) in _NOTHING


def _plain(text: str) -> str:
    """Without case, accents and what nobody sees; nothing where it is too long for a country."""
    decomposed = unicodedata.normalize("NFKD", text if len(text) <= LONGEST else "")
    return "".join(each for each in decomposed if unicodedata.category(each) not in {"Mn", "Cf"}).casefold().strip()


def _words(plain: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain)


def _by_code(plain: str) -> str | None:
    code = plain.replace(".", "").upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    return _CODES.get(code) or _by_dialling(plain)


def _by_dialling(plain: str) -> str | None:
    """`+33` is France; `+1` is several countries' and so none."""
    dialled = re.fullmatch(r"(?:\+|00)([1-9][0-9]{0,2})", plain)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(dialled[1]), ()) if dialled else ()
    return regions[0] if len(regions) == 1 and regions[0] in phonenumbers.SUPPORTED_REGIONS else None


def _by_locale(typed: str) -> str | None:
    """`fr-BE` is Belgium by its capitals; `fr-be` and `be_fr` may be either's, so both halves must agree."""
    told = re.fullmatch(r"\s*([a-z]{2,3})[-_]([A-Z]{2})(?:[.@][\w-]+)?\s*", typed, re.ASCII)
    return told[2] if told and told[2] in phonenumbers.SUPPORTED_REGIONS else None


def _by_name(plain: str) -> str | None:
    words = _words(plain)
    name = " ".join(words[1:] if words[:1] and words[0] in _ARTICLES else words)
    return _OTHER_NAMES.get(name) or (_names().get(name) if name else None)


def _twice(plain: str) -> str | None:
    """The country that each part of `FR - France` or `France (FR)` is; None where they differ."""
    parts = [part for part in re.split(r"[^\w\s'.]+|_", plain) if part.strip()]
    regions = {_by_code(part.strip()) or _by_name(part) for part in parts}
    return regions.pop() if len(regions) == 1 else None


@cache
def _names() -> dict[str, str]:
    """Each country's names by the phone library's own list, which is slow to load and seldom needed."""
    from phonenumbers.geodata.locale import LOCALE_DATA  # noqa: PLC0415

    found: dict[str, str] = {}
    for region in LOCALE_DATA.keys() & phonenumbers.SUPPORTED_REGIONS:
        told = LOCALE_DATA[region]
        for language in _LANGUAGES:
            name = told.get(language, "")
            while name.startswith("*"):  # the same as in another language
                name = told[name[1:]]
            found[_key(name)] = region
    return found


def _key(name: str) -> str:
    words = _words(_plain(name))
    return " ".join(words[1:] if words[0] in _ARTICLES else words)
