"""The generated CRM is reproducible, keeps its documented mix, and agrees with its own truth."""

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import phonenumbers
import pytest

from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from connectors.sandbox.population.lives import REPEATED, SHARES, apportion
from connectors.sandbox.population.visitors import META_KINDS
from tests.builders import leads_at_time

PARIS = ZoneInfo("Europe/Paris")
LATER = FIRST_NIGHT + timedelta(days=200)
LABELS = {
    "Nouveau",
    "En cours",
    "Rendez-vous",
    "RDV pris",
    "Devis à relancer",
    "Gagné",
    "Perdu",
    "Sans suite",
    "Nurserie",
    "À requalifier",
}
DIGEST = """
from datetime import timedelta
from hashlib import sha256
from json import dumps
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
population = InventedLeads.generate(7)
nights = [population.leads_including_deleted(FIRST_NIGHT + timedelta(days=days)) for days in (0, 1, 14, 200)]
nights = [{lead_id: lead for lead_id, lead in night.items() if lead is not None} for night in nights]
print(sha256(dumps([nights, population.google_ad_clicks()]).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def population():
    """The population used by the demonstration."""
    return InventedLeads.generate(7)


@pytest.fixture(scope="module")
def sound(population):
    """Its intact leads in their final state, each with its truth."""
    truth = population.ground_truth()
    leads = leads_at_time(population, LATER)
    return [(leads[key], truth[key]) for key in leads if truth[key].kinds["shape"] == "sound"]


def text(*parts):
    """The parts as one JSON text."""
    return json.dumps(parts)


def paris(wall_clock):
    """A wall-clock time of the JSON as an instant."""
    return datetime.strptime(wall_clock, "%Y-%m-%d %H:%M:%S").replace(tzinfo=PARIS).astimezone(UTC)


def of(leads, row, *kinds):
    """Return the leads of these kinds in a row of the shares, requiring at least one."""
    found = [(lead, truth) for lead, truth in leads if truth.kinds[row] in kinds]
    assert found
    return found


# ── reproducible ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_seed_gives_the_same_bytes_in_every_process(hash_seed):
    """Neither the hash seed nor the Python version changes a byte."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}

    printed = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, check=True, timeout=60
    ).stdout

    expected = "cd2030ed297dfb775999e4b3114ff5d6faab537f3cd911c29df95c36c76d463f"

    assert expected == printed.decode().strip()


def test_different_seed_gives_a_different_population(population):
    """Only the seed differs."""
    other = InventedLeads.generate(8)

    assert text(leads_at_time(population, LATER)) != text(leads_at_time(other, LATER))


def test_leads_depend_only_on_the_requested_time(population):
    """Earlier calls do not change the result."""
    fresh = InventedLeads.generate(7)
    leads_at_time(fresh, LATER)

    assert text(leads_at_time(population, FIRST_NIGHT)) == text(leads_at_time(fresh, FIRST_NIGHT))


def test_start_without_a_zone_is_refused():
    """It would not say which night is meant."""
    with pytest.raises(ValueError, match="zone"):
        InventedLeads.generate(7, start=datetime(2026, 9, 1))  # noqa: DTZ001 - that is the point


# ── the documented mix ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", SHARES)
def test_each_kind_has_its_documented_share(population, row):
    """The shares apply to all leads that do not repeat another."""
    dealt = Counter(truth.kinds[row] for truth in population.ground_truth().values() if not truth.repeats)

    assert apportion(SHARES[row], 1485) == dict(dealt)


@pytest.mark.parametrize("row", SHARES)
def test_shares_add_up_to_a_thousand(row):
    """Every row of the table is in parts per thousand."""
    assert sum(SHARES[row].values()) == 1000


def test_apportioned_shares_add_up_to_the_total():
    """Rounding favours the largest remainder."""
    assert apportion({"a": 5, "b": 3, "c": 2}, 7) == {"a": 4, "b": 2, "c": 1}


def test_six_in_ten_leads_have_a_click_known_to_google(population):
    """That is the sum of the first eight click kinds, without repeated leads."""
    registry = population.google_ad_clicks()
    firsts = [truth for truth in population.ground_truth().values() if not truth.repeats]
    known = [truth for truth in firsts if any(value in registry for _, value in truth.trace.readable)]

    assert len(known) == pytest.approx(891, abs=2)
    assert all(truth.knows_google_click for truth in known)


def test_a_quarter_of_leads_come_from_meta_a_third_by_forms(population):
    """Google knows none of their ids."""
    firsts = [truth for truth in population.ground_truth().values() if not truth.repeats]
    leads = [truth for truth in firsts if truth.kinds["click"] in META_KINDS]
    forms = [truth for truth in leads if truth.trace.click.kind == "lead_id"]

    assert len(leads) == pytest.approx(371, abs=2)
    assert len(forms) == pytest.approx(124, abs=5)
    assert {truth.trace.click.value for truth in leads}.isdisjoint(population.google_ad_clicks())
    assert not any(truth.knows_google_click for truth in leads)


def test_lead_json_has_only_crm_fields(sound):
    """Nothing in it reveals the lead's kind."""
    names = {name for lead, _ in sound for name in lead}
    in_lead_data = {name for lead, _ in sound for name in lead["leadData"]}

    assert names == {
        "id",
        "createdAt",
        "updatedAt",
        "status",
        "statusDate",
        "statusHistory",
        "leadData",
        "contact",
        "address",
        "amount",
        "channel",
        "agency",
    }
    assert in_lead_data == {
        "externalID",
        "consent",
        "adPersonalization",
        "utm_source",
        "utm_medium",
        "utm_campaign",
    }


def test_some_leads_are_broken(population):
    """They lack an id, have an impossible creation date, or are not an object."""
    leads, truth = leads_at_time(population, LATER), population.ground_truth()
    broken = {truth[key].kinds["shape"]: leads[key] for key in leads if truth[key].kinds["shape"] != "sound"}

    assert set(broken) == {"no_id", "created_nonsense", "not_an_object"}
    assert "id" not in broken["no_id"]
    assert broken["created_nonsense"]["createdAt"] == "31/02/2026 25:61"
    assert isinstance(broken["not_an_object"], str)


# ── over time ────────────────────────────────────────────────────────────────────────────────────


def test_lead_exists_from_its_creation_on(population):
    """At that second its status is Nouveau."""
    key, truth = next(
        (key, truth) for key, truth in population.ground_truth().items() if truth.kinds["shape"] == "sound"
    )

    assert key not in leads_at_time(population, truth.created - timedelta(seconds=1))
    assert leads_at_time(population, truth.created)[key]["status"] == "Nouveau"


def test_leads_cover_the_requested_days():
    """They are created in order, within the past and future days requested."""
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    created = [truth.created for truth in InventedLeads.generate(1, 300, start, 10, 5).ground_truth().values()]

    assert len(created) == 300
    assert start - timedelta(days=10) <= min(created) < start < max(created) < start + timedelta(days=5)
    assert sorted(created) == created


def test_every_night_brings_new_leads_and_most_bring_changes(population):
    """The nights after a day off bring few changes."""
    nights = [leads_at_time(population, FIRST_NIGHT + timedelta(days=days)) for days in range(15)]

    arrived = [len(after) - len(before) for before, after in pairwise(nights)]
    changed = [sum(before[key] != after.get(key) for key in before) for before, after in pairwise(nights)]

    assert min(arrived) > 0
    assert len(nights[0]) > 1200
    assert len(population.leads_including_deleted(FIRST_NIGHT + timedelta(days=14))) == 1500
    assert sum(night > 10 for night in changed) >= 10  # all but the nights after a day off


def test_unchanged_leads_are_not_rebuilt(population):
    """Serving a page is cheap because the objects are kept."""
    before = leads_at_time(population, FIRST_NIGHT)
    after = leads_at_time(population, FIRST_NIGHT + timedelta(days=1))

    kept = [key for key in before if before[key] is after.get(key)]

    assert len(kept) > 1000
    assert text(before) == text(leads_at_time(population, FIRST_NIGHT))


# ── deleted, moved and repeated records ──────────────────────────────────────────────────────────


def test_deleted_leads_disappear_for_good(population):
    """A lead is deleted more than two days after its creation and its last change."""
    gone = {key: truth for key, truth in population.ground_truth().items() if truth.deleted}

    assert {"deleted"} == {truth.kinds["record"] for truth in gone.values()}
    assert 15 == len(gone)
    for key, truth in gone.items():
        assert timedelta(days=2) < truth.deleted - truth.created
        assert all(change.at + timedelta(days=2) < truth.deleted for change in truth.changes)
        assert population.leads_including_deleted(truth.deleted - timedelta(seconds=1))[key] is not None
        assert population.leads_including_deleted(truth.deleted)[key] is None
        assert key not in leads_at_time(population, truth.deleted)


def test_only_moved_leads_change_their_agency(population, sound):
    """A moved lead keeps its id."""
    for lead, truth in sound:
        came_to = leads_at_time(population, truth.created)[lead["id"]]["agency"]

        assert (came_to != lead["agency"]) == (truth.kinds["record"] == "moved")
    assert of(sound, "record", "moved")


def test_repeated_lead_has_the_same_person_click_and_amount(population):
    """It arrives one to ten days later under another id, and may be won as well."""
    truths, leads = population.ground_truth(), leads_at_time(population, LATER)
    again = {key: truth for key, truth in truths.items() if truth.repeats}

    assert 1500 * REPEATED // 1000 == len(again)
    for key, truth in again.items():
        first, was = truths[truth.repeats], leads[truth.repeats]
        lead = leads[key]

        assert timedelta(days=1) <= truth.created - first.created <= timedelta(days=10)
        assert (first.trace, first.person, first.amount) == (truth.trace, truth.person, truth.amount)
        assert (was["contact"], was["leadData"], was.get("amount")) == (
            lead["contact"],
            lead["leadData"],
            lead.get("amount"),
        )
    assert any(lead["status"] == "Gagné" for key, lead in leads.items() if key in again)


def test_times_are_paris_wall_clock(sound):
    """Read as Europe/Paris, they give the instants of the truth."""
    for lead, truth in sound:
        told = [(entry["status"], paris(entry["date"])) for entry in lead["statusHistory"]]

        assert paris(lead["createdAt"]) == truth.created
        assert told == [(change.status, change.at) for change in truth.changes if change.status]
        assert paris(lead["updatedAt"]) == truth.changes[-1].at


def test_history_is_complete_and_ends_in_the_current_status(sound):
    """It begins with Nouveau at the creation and goes forward in time."""
    for lead, _ in sound:
        history = lead["statusHistory"]
        dates = [entry["date"] for entry in history]

        assert history[0] == {"status": "Nouveau", "date": lead["createdAt"]}
        assert history[-1] == {"status": lead["status"], "date": lead["statusDate"]}
        assert sorted(set(dates)) == dates
        assert {entry["status"] for entry in history} <= LABELS


def test_statuses_change_only_in_office_hours(sound):
    """Nothing changes by night, at lunch or at the weekend."""
    for lead, _ in sound:
        for entry in lead["statusHistory"][1:]:
            local = paris(entry["date"]).astimezone(PARIS)
            minutes = local.hour * 60 + local.minute

            assert local.weekday() < 5
            assert 540 <= minutes < 750 or 840 <= minutes < 1110


@pytest.mark.parametrize(
    ("journey", "labels"),
    [
        ("new", ["Nouveau"]),
        ("won_directly", ["Nouveau", "Gagné"]),
        (
            "regressed",
            ["Nouveau", "En cours", "RDV", "Devis à relancer", "En cours", "Devis à relancer", "Gagné"],
        ),
        ("reopened", ["Nouveau", "En cours", "Perdu", "En cours", "RDV", "Devis à relancer", "Gagné"]),
        ("won_again", ["Nouveau", "En cours", "RDV", "Devis à relancer", "Gagné", "Perdu", "Gagné"]),
        ("unknown_label", ["Nouveau", "En cours", "À requalifier"]),
    ],
)
def test_journey_passes_through_its_labels(sound, journey, labels):
    """Journeys jump, go back and use unknown labels, and an appointment has two labels."""
    for lead, _ in of(sound, "journey", journey):
        told = [entry["status"] for entry in lead["statusHistory"]]

        assert labels == ["RDV" if label in ("Rendez-vous", "RDV pris") else label for label in told]


# ── fields of a lead ─────────────────────────────────────────────────────────────────────────────


def test_click_ids_look_real_and_are_unique(population):
    """Gclids are about ninety characters of mixed-case base64url; only repeated leads share one."""
    clicks = [
        truth.trace.click for truth in population.ground_truth().values() if truth.trace.click and not truth.repeats
    ]
    gclids = [click.value for click in clicks if click.kind == "gclid"]

    assert len({click.value for click in clicks}) == len(clicks)
    assert all(re.fullmatch(r"[\w-]{80,110}", gclid, re.ASCII) for gclid in gclids)
    assert all(gclid not in (gclid.lower(), gclid.upper()) for gclid in gclids)


def test_click_precedes_its_lead_mostly_by_minutes(population):
    """The registry dates the clicks; some are more than a month old."""
    registry = population.google_ad_clicks()
    lags = []
    for truth in population.ground_truth().values():
        if truth.trace.click and truth.trace.click.kind in ("gclid", "gbraid", "wbraid") and not truth.repeats:
            entry = registry[truth.trace.click.value]
            lags.append(truth.created - datetime.fromisoformat(entry["clicked_at"]))

            assert entry["customer"] == "1234567890"
    assert len(lags) == len(registry)
    assert min(lags) >= timedelta(minutes=1)
    assert max(lags) > timedelta(days=31)
    assert sum(lag < timedelta(hours=1) for lag in lags) > 0.8 * len(lags)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("gclid_bare", "{0}"),
        ("gclid_label", "gclid(=|: ){0}"),
        ("gclid_query", r"(\?|https://www\.example\.org/devis\?)?utm_source=.*&gclid={0}"),
        ("gclid_fragment", r"https://www.example.org/devis\?utm_source=.*&gclid={0}#.+"),
        ("gclid_json", r'\{{"gclid": ?"{0}"\}}'),
        ("gclid_and_fbclid", "gclid={0}[;|&\n]fbclid={1}"),
        ("gbraid_label", "gbraid(=|: ){0}"),
        ("wbraid_label", "wbraid(=|: ){0}"),
        ("fbclid_bare", "{0}"),
        ("fbclid_label", "fbclid(=|: ){0}"),
        ("lead_id", "lead(gen)?_id(=|: )(l:)?{0}"),
        ("fbc", "{0}"),
        ("gclid_truncated", "{0}"),
        ("gclid_lower", "gclid={0}"),
    ],
)
def test_external_id_has_the_form_of_its_click_kind(sound, kind, pattern):
    """A careful reader finds the true ids unchanged."""
    for lead, truth in of(sound, "click", kind):
        values = [re.escape(value) for _, value in truth.trace.readable]

        assert re.fullmatch(pattern.format(*values), lead["leadData"]["externalID"])


def test_bare_id_is_identified_by_its_utm_source(sound):
    """A bare gclid comes with Google, a bare fbclid with Meta."""
    for lead, _ in of(sound, "click", "gclid_bare"):
        assert lead["leadData"]["utm_source"] in ("google", "adwords")
    for lead, _ in of(sound, "click", "fbclid_bare"):
        assert lead["leadData"]["utm_source"] in ("facebook", "instagram", "fb", "ig")
        assert lead["channel"] == "Meta"


def test_ambiguous_id_is_a_real_click_without_a_utm_source(population, sound):
    """Google knows it, but a reader who refuses to guess does not."""
    for lead, truth in of(sound, "click", "bare_ambiguous"):
        assert truth.trace.readable == ()
        assert lead["leadData"]["externalID"] in population.google_ad_clicks()
        assert "utm_source" not in lead["leadData"]


def test_truncated_id_is_unknown_to_google(population, sound):
    """Only the whole id is registered."""
    for lead, truth in of(sound, "click", "gclid_truncated"):
        cut = lead["leadData"]["externalID"]

        assert truth.trace.click.value.startswith(cut)
        assert cut not in population.google_ad_clicks()
        assert truth.trace.click.value in population.google_ad_clicks()


def test_lowercased_id_is_unknown_to_google(population, sound):
    """Case is significant: https://support.google.com/google-ads/answer/7012522."""
    for _, truth in of(sound, "click", "gclid_lower"):
        ((_, told),) = truth.trace.readable

        assert told == truth.trace.click.value.lower()
        assert told not in population.google_ad_clicks()
        assert truth.trace.click.value in population.google_ad_clicks()
        assert not truth.knows_google_click


def test_fbc_contains_the_click_time_in_milliseconds(sound):
    """Meta's cookie has the same form."""
    for lead, truth in of(sound, "click", "fbc"):
        head, index, milliseconds, fbclid = lead["leadData"]["externalID"].split(".")

        assert (head, index, fbclid) == ("fb", "1", truth.trace.click.value)
        assert int(milliseconds) // 1000 == truth.trace.click.at.timestamp()


def test_lead_id_has_fifteen_to_seventeen_digits(sound):
    """Meta numbers its leads this way, and they are on Meta's channel."""
    for lead, truth in of(sound, "click", "lead_id"):
        assert re.fullmatch(r"[1-9]\d{14,16}", truth.trace.click.value)
        assert lead["channel"] == "Meta"


def test_lead_without_click_has_a_reference_or_nothing(sound):
    """Suppliers write a UUID or a reference; other leads leave the field empty in one of three ways."""
    for lead, truth in of(sound, "click", "supplier_reference"):
        assert re.fullmatch(r"PLM-\d{5}|CNL_[0-9a-f]{12}", lead["leadData"]["externalID"])
        assert (truth.trace.click, truth.trace.readable) == (None, ())
    for lead, truth in of(sound, "click", "supplier_uuid"):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lead["leadData"]["externalID"])
        assert truth.trace.click is None
    ways = {lead["leadData"].get("externalID", "left out") for lead, _ in of(sound, "click", "empty")}

    assert ways == {"left out", "", None}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("granted", {"oui"}),
        ("refused", {"non"}),
        ("absent", {"left out", "", None}),
        ("odd", {"à confirmer", "OK tél", "peut-être", "voir commentaire", "1", "?"}),
        ("withdrawn", {"non"}),
    ],
)
def test_consent_uses_the_words_of_its_kind(sound, kind, written):
    """All of a kind's words occur."""
    assert written == {lead["leadData"].get("consent", "left out") for lead, _ in of(sound, "consent", kind)}


def test_withdrawn_consent_was_granted_first(population, sound):
    """On the day it arrived the lead had oui."""
    for lead, truth in of(sound, "consent", "withdrawn"):
        assert leads_at_time(population, truth.created)[lead["id"]]["leadData"]["consent"] == "oui"


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("euros", r"\d{1,2} \d{3},00 €"),
        ("typeset", "\\d{1,2}\u202f\\d{3},00\u00a0€"),
        ("plain", r"\d{4,5}"),
        ("cents", r"\d{4,5},50"),
        ("late", r"\d{1,2} \d{3},00 €"),
        ("ambiguous", r"\d{1,2}\.\d{3}"),
        ("on_quote", "sur devis"),
    ],
)
def test_amount_has_the_format_of_its_kind_and_the_true_value(sound, kind, pattern):
    """The formats are French spellings of one number."""
    for lead, truth in of(sound, "amount", kind):
        if "amount" in lead:
            digits = re.sub(r"[^\d,]", "", lead["amount"]).replace(",", ".")

            assert re.fullmatch(pattern, lead["amount"])
            assert truth.amount == (None if kind in ("ambiguous", "on_quote") else pytest.approx(float(digits)))


def test_only_won_leads_have_an_amount(sound):
    """Some won leads lack one because of their kind."""
    for lead, truth in sound:
        won = any(entry["status"] == "Gagné" for entry in lead["statusHistory"])

        assert ("amount" in lead) == (won and truth.kinds["amount"] != "absent")


def test_late_amount_arrives_two_days_after_the_sale(population, sound):
    """Its arrival updates the lead."""
    for lead, _ in [pair for pair in of(sound, "amount", "late") if "amount" in pair[0]]:
        won = next(paris(entry["date"]) for entry in lead["statusHistory"] if entry["status"] == "Gagné")
        arrives = won + timedelta(days=2)
        before = leads_at_time(population, arrives - timedelta(seconds=1))[lead["id"]]
        after = leads_at_time(population, arrives)[lead["id"]]

        assert "amount" not in before
        assert after["amount"] == lead["amount"]
        assert arrives == paris(after["updatedAt"])


# ── the people ───────────────────────────────────────────────────────────────────────────────────


def test_every_true_phone_is_valid_for_phonenumbers(sound):
    """The landlines reserved for fiction are valid numbers."""
    for _, truth in sound:
        for phone in truth.person.phones:
            assert phonenumbers.is_valid_number(phonenumbers.parse(phone))


def test_every_phone_spelling_parses_to_the_true_number(sound):
    """The country, or else the postcode, gives the region."""
    abroad = {"BE": "BE", "Belgique": "BE", "CH": "CH", "Suisse": "CH", "ES": "ES", "Espagne": "ES"}
    regions = {"97400": "RE", "97110": "GP", "97200": "MQ", "97300": "GF", "97600": "YT"}
    for lead, truth in sound:
        contact = lead["contact"]
        typed = contact["phone"] or (contact["mobile"] if truth.kinds["mobile"] == "landline" else "")
        address = lead["address"]
        region = abroad.get(address["country"]) or regions.get(address["postcode"], "FR")
        read = [
            phonenumbers.format_number(phonenumbers.parse(part, region), phonenumbers.PhoneNumberFormat.E164)
            for part in re.split(r" / | ou |; ", typed)
            if part
        ]

        assert read == list(truth.person.phones)


def test_overseas_phones_and_postcodes_come_together(sound):
    """Neither occurs without the other."""
    for lead, truth in sound:
        overseas = truth.kinds["phone"] == "overseas"

        assert overseas == lead["address"]["postcode"].startswith("97")


def test_foreign_phones_come_with_a_foreign_address(sound):
    """They are written internationally or as in their own country."""
    codes = {"+32": ("BE", "Belgique"), "+41": ("CH", "Suisse"), "+34": ("ES", "Espagne")}
    for lead, truth in of(sound, "phone", "foreign", "foreign_national"):
        typed = lead["contact"]["phone"] or lead["contact"]["mobile"]

        assert lead["address"]["country"] in codes[truth.person.phones[0][:3]]
        assert typed.startswith(("+", "00")) == (truth.kinds["phone"] == "foreign")


def test_typed_text_is_in_one_unicode_normal_form(sound):
    """A lead's text is either NFC or NFD throughout; true e-mails are always composed."""
    for form, kind in (("NFC", "nfc"), ("NFD", "nfd")):
        typed = [
            text for lead, _ in of(sound, "letters", kind) for text in (lead["contact"] | lead["address"]).values()
        ]

        assert all(unicodedata.is_normalized(form, text) for text in typed)
        assert any(not text.isascii() for text in typed)
    assert all(unicodedata.is_normalized("NFC", truth.person.email) for _, truth in sound if truth.person.email)


def test_mainland_phones_are_reserved_for_fiction(sound):
    """No mainland number can belong to anyone."""
    kept = ("+3319900", "+3326191", "+3335301", "+3346571", "+3353649")
    for _, truth in sound:
        if truth.kinds["phone"] not in ("overseas", "foreign", "foreign_national"):
            assert all(phone.startswith(kept) for phone in truth.person.phones)
    for lead, _ in of(sound, "mobile", "fiction"):
        assert "63998" in re.sub(r"\D", "", lead["contact"]["mobile"])
    for lead, _ in of(sound, "mobile", "twice"):
        assert lead["contact"]["phone"] == lead["contact"]["mobile"]


def test_few_phones_are_unreadable(sound):
    """`check --live` reports lost phones here as on a real platform, so they must stay rare."""
    lost = of(sound, "mobile", "fiction")

    assert 0 < len(lost) <= len(sound) // 50


def test_emails_are_unique_and_cannot_reach_anyone(sound):
    """They use example domains or clearly invented local parts."""
    meant = [truth.person.email for _, truth in sound if truth.person.email and not truth.repeats]

    assert len(set(meant)) == len(meant)
    for email in meant:
        assert re.fullmatch(r"[^@\s]+\.\d{4}(@example\.(org|net|com)|@\w+\.example|(\+devis)?@gmail\.com)", email)


def test_email_has_the_spelling_of_its_kind(sound):
    """Capitals, accents and spaces really occur."""
    assert all(lead["contact"]["email"] != truth.person.email for lead, truth in of(sound, "email", "capitals"))
    assert all(not truth.person.email.isascii() for _, truth in of(sound, "email", "accents"))
    assert all(lead["contact"]["email"].startswith(" ") for lead, _ in of(sound, "email", "spaces"))
    assert all(truth.person.email is None for _, truth in of(sound, "email", "unusable", "absent"))


def test_repr_of_truth_hides_email_and_phones(population):
    """Personal data stay out of printed output."""
    truth = next(truth for truth in population.ground_truth().values() if truth.person.email and truth.person.phones)

    assert truth.person.email not in repr(truth)
    assert truth.person.phones[0] not in repr(truth)
