"""The invented CRM is repeatable, keeps its documented mix, and tells the same story as its truth."""

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

from connectors.sandbox.population.company import FIRST_NIGHT, Population
from connectors.sandbox.population.lives import REPEATED, SHARES, apportion
from connectors.sandbox.population.visitors import META_KINDS

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
from connectors.sandbox.population.company import FIRST_NIGHT, Population
population = Population.generate(7)
nights = [population.leads_at(FIRST_NIGHT + timedelta(days=days)) for days in (0, 1, 14, 200)]
print(sha256(dumps([nights, population.clicks()]).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def population():
    """The population of the demonstration."""
    return Population.generate(7)


@pytest.fixture(scope="module")
def sound(population):
    """Its unbroken leads as they stand in the end, each with its truth."""
    truth = population.truth()
    leads = population.leads_at(LATER)
    return [(leads[key], truth[key]) for key in leads if truth[key].kinds["shape"] == "sound"]


def text(*parts):
    """The parts as one JSON text."""
    return json.dumps(parts)


def paris(wall_clock):
    """A wall-clock time of the JSON as an instant."""
    return datetime.strptime(wall_clock, "%Y-%m-%d %H:%M:%S").replace(tzinfo=PARIS).astimezone(UTC)


def of(leads, row, *kinds):
    """The leads whose kind in a row of the shares is one of these, and at least one."""
    found = [(lead, truth) for lead, truth in leads if truth.kinds[row] in kinds]
    assert found
    return found


# ── repeatable ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_bytes_in_every_process(hash_seed):
    """Neither the process, nor its hash seed, nor the Python version changes a byte."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}

    printed = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, check=True, timeout=60
    ).stdout

    expected = "cd2030ed297dfb775999e4b3114ff5d6faab537f3cd911c29df95c36c76d463f"

    assert expected == printed.decode().strip()


def test_another_seed_gives_another_population(population):
    """Seeds matter."""
    other = Population.generate(8)

    assert text(population.leads_at(LATER)) != text(other.leads_at(LATER))


def test_what_was_asked_before_changes_nothing(population):
    """A lead's JSON depends on the time asked for, never on earlier questions."""
    fresh = Population.generate(7)
    fresh.leads_at(LATER)

    assert text(population.leads_at(FIRST_NIGHT)) == text(fresh.leads_at(FIRST_NIGHT))


def test_a_start_without_a_zone_is_refused():
    """Nobody has to guess which night is meant."""
    with pytest.raises(ValueError, match="zone"):
        Population.generate(7, start=datetime(2026, 9, 1))  # noqa: DTZ001 - that is the point


# ── the documented mix ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", SHARES)
def test_each_kind_has_its_documented_share(population, row):
    """The table of shares is what is dealt, to everyone who does not come again."""
    dealt = Counter(truth.kinds[row] for truth in population.truth().values() if not truth.repeats)

    assert apportion(SHARES[row], 1485) == dict(dealt)


@pytest.mark.parametrize("row", SHARES)
def test_shares_are_per_thousand(row):
    """Every row of the table adds up."""
    assert sum(SHARES[row].values()) == 1000


def test_apportioned_shares_add_up():
    """Rounding loses nobody and favours the largest remainder."""
    assert apportion({"a": 5, "b": 3, "c": 2}, 7) == {"a": 4, "b": 2, "c": 1}


def test_six_in_ten_leads_have_a_click_that_google_knows(population):
    """What the first eight kinds of click add up to, those who come again left out."""
    registry = population.clicks()
    firsts = [truth for truth in population.truth().values() if not truth.repeats]
    known = [truth for truth in firsts if any(value in registry for _, value in truth.trace.readable)]

    assert len(known) == pytest.approx(891, abs=2)
    assert all(truth.knows_google_click for truth in known)


def test_a_quarter_of_the_leads_come_from_meta_and_a_third_of_those_by_its_forms(population):
    """They are all on Meta's channel, and none of their ids is one that Google knows."""
    firsts = [truth for truth in population.truth().values() if not truth.repeats]
    leads = [truth for truth in firsts if truth.kinds["click"] in META_KINDS]
    forms = [truth for truth in leads if truth.trace.click.kind == "lead_id"]

    assert len(leads) == pytest.approx(371, abs=2)
    assert len(forms) == pytest.approx(124, abs=5)
    assert {truth.trace.click.value for truth in leads}.isdisjoint(population.clicks())
    assert not any(truth.knows_google_click for truth in leads)


def test_nothing_in_a_lead_names_its_kind(sound):
    """The JSON of a lead has only the fields of the CRM."""
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
    """A few have no id, a creation date that is none, or are no object at all."""
    leads, truth = population.leads_at(LATER), population.truth()
    broken = {truth[key].kinds["shape"]: leads[key] for key in leads if truth[key].kinds["shape"] != "sound"}

    assert set(broken) == {"no_id", "created_nonsense", "not_an_object"}
    assert "id" not in broken["no_id"]
    assert broken["created_nonsense"]["createdAt"] == "31/02/2026 25:61"
    assert isinstance(broken["not_an_object"], str)


# ── over time ────────────────────────────────────────────────────────────────────────────────────


def test_a_lead_exists_from_its_creation_on(population):
    """A moment before it is not there; at that second it is new."""
    key, truth = next((key, truth) for key, truth in population.truth().items() if truth.kinds["shape"] == "sound")

    assert key not in population.leads_at(truth.created - timedelta(seconds=1))
    assert population.leads_at(truth.created)[key]["status"] == "Nouveau"


def test_the_leads_cover_the_days_asked_for():
    """Nothing is created before the past days or after the future ones."""
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    created = [truth.created for truth in Population.generate(1, 300, start, 10, 5).truth().values()]

    assert len(created) == 300
    assert start - timedelta(days=10) <= min(created) < start < max(created) < start + timedelta(days=5)
    assert sorted(created) == created


def test_every_night_brings_new_leads_and_changes_to_old_ones(population):
    """The nights after the first have something to do."""
    nights = [population.leads_at(FIRST_NIGHT + timedelta(days=days)) for days in range(15)]

    arrived = [len(after) - len(before) for before, after in pairwise(nights)]
    changed = [sum(before[key] != after.get(key) for key in before) for before, after in pairwise(nights)]

    assert min(arrived) > 0
    assert len(nights[0]) > 1200
    assert len(population.records_at(FIRST_NIGHT + timedelta(days=14))) == 1500
    assert sum(night > 10 for night in changed) >= 10  # all but the nights after a day off


def test_an_unchanged_lead_is_not_built_again(population):
    """Serving a page costs little because the objects are kept."""
    before = population.leads_at(FIRST_NIGHT)
    after = population.leads_at(FIRST_NIGHT + timedelta(days=1))

    kept = [key for key in before if before[key] is after.get(key)]

    assert len(kept) > 1000
    assert text(before) == text(population.leads_at(FIRST_NIGHT))


# ── what becomes of the records ──────────────────────────────────────────────────────────────────


def test_a_deleted_lead_goes_for_good_some_days_after_it_came(population):
    """None stands in its place; nothing happens to it in its last two days or later."""
    gone = {key: truth for key, truth in population.truth().items() if truth.deleted}

    assert {"deleted"} == {truth.kinds["record"] for truth in gone.values()}
    assert 15 == len(gone)
    for key, truth in gone.items():
        assert timedelta(days=2) < truth.deleted - truth.created
        assert all(change.at + timedelta(days=2) < truth.deleted for change in truth.changes)
        assert population.records_at(truth.deleted - timedelta(seconds=1))[key] is not None
        assert population.records_at(truth.deleted)[key] is None
        assert key not in population.leads_at(truth.deleted)


def test_a_moved_lead_changes_its_agency_once_and_keeps_its_id(population, sound):
    """Others stay with the one they came to."""
    for lead, truth in sound:
        came_to = population.leads_at(truth.created)[lead["id"]]["agency"]

        assert (came_to != lead["agency"]) == (truth.kinds["record"] == "moved")
    assert of(sound, "record", "moved")


def test_a_repeated_lead_is_the_same_person_by_the_same_click_days_later(population):
    """Under another id, with a way of its own, and the same sale at its end."""
    truths, leads = population.truth(), population.leads_at(LATER)
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


def test_times_are_wall_clock_in_paris(sound):
    """Read as Europe/Paris, the JSON gives the instants meant."""
    for lead, truth in sound:
        told = [(entry["status"], paris(entry["date"])) for entry in lead["statusHistory"]]

        assert paris(lead["createdAt"]) == truth.created
        assert told == [(change.status, change.at) for change in truth.changes if change.status]
        assert paris(lead["updatedAt"]) == truth.changes[-1].at


def test_the_history_is_complete_and_ends_in_the_status(sound):
    """It begins with Nouveau at the creation, goes forward in time and ends with status and statusDate."""
    for lead, _ in sound:
        history = lead["statusHistory"]
        dates = [entry["date"] for entry in history]

        assert history[0] == {"status": "Nouveau", "date": lead["createdAt"]}
        assert history[-1] == {"status": lead["status"], "date": lead["statusDate"]}
        assert sorted(set(dates)) == dates
        assert {entry["status"] for entry in history} <= LABELS


def test_people_work_on_weekdays_in_office_hours(sound):
    """No status changes by night, at lunch or at the weekend."""
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
def test_a_journey_takes_its_labels(sound, journey, labels):
    """Jumps, ways back and strangers are in the funnel; an appointment goes by two labels."""
    for lead, _ in of(sound, "journey", journey):
        told = [entry["status"] for entry in lead["statusHistory"]]

        assert labels == ["RDV" if label in ("Rendez-vous", "RDV pris") else label for label in told]


# ── what the leads say ───────────────────────────────────────────────────────────────────────────


def test_click_ids_look_real_and_none_comes_twice(population):
    """About ninety characters of mixed-case base64url; only who comes again has the same."""
    clicks = [truth.trace.click for truth in population.truth().values() if truth.trace.click and not truth.repeats]
    gclids = [click.value for click in clicks if click.kind == "gclid"]

    assert len({click.value for click in clicks}) == len(clicks)
    assert all(re.fullmatch(r"[\w-]{80,110}", gclid, re.ASCII) for gclid in gclids)
    assert all(gclid not in (gclid.lower(), gclid.upper()) for gclid in gclids)


def test_a_click_comes_before_its_lead_mostly_by_minutes(population):
    """The registry dates each click as the truth does."""
    registry = population.clicks()
    lags = []
    for truth in population.truth().values():
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
def test_the_field_holds_the_readable_ids_in_the_form_of_its_kind(sound, kind, pattern):
    """A careful reader finds the true ids, to the letter."""
    for lead, truth in of(sound, "click", kind):
        values = [re.escape(value) for _, value in truth.trace.readable]

        assert re.fullmatch(pattern.format(*values), lead["leadData"]["externalID"])


def test_a_bare_id_is_identified_by_its_utm_source(sound):
    """A bare gclid comes with Google, a bare fbclid with Meta."""
    for lead, _ in of(sound, "click", "gclid_bare"):
        assert lead["leadData"]["utm_source"] in ("google", "adwords")
    for lead, _ in of(sound, "click", "fbclid_bare"):
        assert lead["leadData"]["utm_source"] in ("facebook", "instagram", "fb", "ig")
        assert lead["channel"] == "Meta"


def test_an_ambiguous_id_is_a_true_click_that_nothing_identifies(population, sound):
    """Google knows it, and a reader who refuses to guess does not."""
    for lead, truth in of(sound, "click", "bare_ambiguous"):
        assert truth.trace.readable == ()
        assert lead["leadData"]["externalID"] in population.clicks()
        assert "utm_source" not in lead["leadData"]


def test_a_truncated_id_is_unknown_to_google(population, sound):
    """Only the whole id is registered."""
    for lead, truth in of(sound, "click", "gclid_truncated"):
        cut = lead["leadData"]["externalID"]

        assert truth.trace.click.value.startswith(cut)
        assert cut not in population.clicks()
        assert truth.trace.click.value in population.clicks()


def test_a_lowered_id_is_unknown_to_google(population, sound):
    """Case is significant: https://support.google.com/google-ads/answer/7012522."""
    for _, truth in of(sound, "click", "gclid_lower"):
        ((_, told),) = truth.trace.readable

        assert told == truth.trace.click.value.lower()
        assert told not in population.clicks()
        assert truth.trace.click.value in population.clicks()
        assert not truth.knows_google_click


def test_an_fbc_carries_the_time_of_its_click_in_milliseconds(sound):
    """As Meta's cookie does."""
    for lead, truth in of(sound, "click", "fbc"):
        head, index, milliseconds, fbclid = lead["leadData"]["externalID"].split(".")

        assert (head, index, fbclid) == ("fb", "1", truth.trace.click.value)
        assert int(milliseconds) // 1000 == truth.trace.click.at.timestamp()


def test_a_lead_id_is_fifteen_to_seventeen_digits(sound):
    """As Meta numbers its leads, on Meta's channel."""
    for lead, truth in of(sound, "click", "lead_id"):
        assert re.fullmatch(r"[1-9]\d{14,16}", truth.trace.click.value)
        assert lead["channel"] == "Meta"


def test_no_click_leaves_a_reference_or_nothing(sound):
    """Suppliers put a UUID or a reference there; other leads leave it empty in one of three ways."""
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
def test_consent_is_written_as_its_kind_demands(sound, kind, written):
    """Each kind has its words, and all of them occur."""
    assert written == {lead["leadData"].get("consent", "left out") for lead, _ in of(sound, "consent", kind)}


def test_a_withdrawn_consent_was_given_first(population, sound):
    """On the day it arrived the lead had oui."""
    for lead, truth in of(sound, "consent", "withdrawn"):
        assert population.leads_at(truth.created)[lead["id"]]["leadData"]["consent"] == "oui"


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
def test_an_amount_is_written_as_its_kind_demands_and_means_the_true_euros(sound, kind, pattern):
    """French forms of one number."""
    for lead, truth in of(sound, "amount", kind):
        if "amount" in lead:
            digits = re.sub(r"[^\d,]", "", lead["amount"]).replace(",", ".")

            assert re.fullmatch(pattern, lead["amount"])
            assert truth.amount == (None if kind in ("ambiguous", "on_quote") else pytest.approx(float(digits)))


def test_only_a_won_lead_has_an_amount(sound):
    """Won leads have one, unless their kind is to have none; the others never."""
    for lead, truth in sound:
        won = any(entry["status"] == "Gagné" for entry in lead["statusHistory"])

        assert ("amount" in lead) == (won and truth.kinds["amount"] != "absent")


def test_a_late_amount_arrives_two_days_after_the_sale(population, sound):
    """It changes the lead when it does."""
    for lead, _ in [pair for pair in of(sound, "amount", "late") if "amount" in pair[0]]:
        won = next(paris(entry["date"]) for entry in lead["statusHistory"] if entry["status"] == "Gagné")
        arrives = won + timedelta(days=2)
        before = population.leads_at(arrives - timedelta(seconds=1))[lead["id"]]
        after = population.leads_at(arrives)[lead["id"]]

        assert "amount" not in before
        assert after["amount"] == lead["amount"]
        assert arrives == paris(after["updatedAt"])


# ── the people ───────────────────────────────────────────────────────────────────────────────────


def test_every_phone_meant_is_one_that_phonenumbers_takes(sound):
    """The landlines kept for fiction are valid numbers."""
    for _, truth in sound:
        for phone in truth.person.phones:
            assert phonenumbers.is_valid_number(phonenumbers.parse(phone))


def test_every_spelling_reads_as_the_number_meant(sound):
    """Whatever field it is in, with the region that the country or else the postcode names."""
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


def test_overseas_numbers_come_with_an_overseas_postcode(sound):
    """Only there, and always there."""
    for lead, truth in sound:
        overseas = truth.kinds["phone"] == "overseas"

        assert overseas == lead["address"]["postcode"].startswith("97")


def test_foreign_numbers_come_with_a_foreign_address(sound):
    """Internationally, or as they are written at home."""
    codes = {"+32": ("BE", "Belgique"), "+41": ("CH", "Suisse"), "+34": ("ES", "Espagne")}
    for lead, truth in of(sound, "phone", "foreign", "foreign_national"):
        typed = lead["contact"]["phone"] or lead["contact"]["mobile"]

        assert lead["address"]["country"] in codes[truth.person.phones[0][:3]]
        assert typed.startswith(("+", "00")) == (truth.kinds["phone"] == "foreign")


def test_accented_letters_are_made_in_one_of_two_ways(sound):
    """Whatever is typed of a person is in one normal form; what is meant by an e-mail is composed."""
    for form, kind in (("NFC", "nfc"), ("NFD", "nfd")):
        typed = [
            text for lead, _ in of(sound, "letters", kind) for text in (lead["contact"] | lead["address"]).values()
        ]

        assert all(unicodedata.is_normalized(form, text) for text in typed)
        assert any(not text.isascii() for text in typed)
    assert all(unicodedata.is_normalized("NFC", truth.person.email) for _, truth in sound if truth.person.email)


def test_phones_are_from_the_ranges_kept_for_fiction(sound):
    """No mainland number can belong to anyone."""
    kept = ("+3319900", "+3326191", "+3335301", "+3346571", "+3353649")
    for _, truth in sound:
        if truth.kinds["phone"] not in ("overseas", "foreign", "foreign_national"):
            assert all(phone.startswith(kept) for phone in truth.person.phones)
    for lead, _ in of(sound, "mobile", "fiction"):
        assert "63998" in re.sub(r"\D", "", lead["contact"]["mobile"])
    for lead, _ in of(sound, "mobile", "twice"):
        assert lead["contact"]["phone"] == lead["contact"]["mobile"]


def test_few_phones_cannot_be_read(sound):
    """The finding of `check --live` about lost phones is worth a look, on this platform as on a real one."""
    lost = of(sound, "mobile", "fiction")

    assert 0 < len(lost) <= len(sound) // 50


def test_emails_are_on_example_domains_or_clearly_invented(sound):
    """Nobody receives what might be sent to them; no two people share an address."""
    meant = [truth.person.email for _, truth in sound if truth.person.email and not truth.repeats]

    assert len(set(meant)) == len(meant)
    for email in meant:
        assert re.fullmatch(r"[^@\s]+\.\d{4}(@example\.(org|net|com)|@\w+\.example|(\+devis)?@gmail\.com)", email)


def test_an_email_is_written_as_its_kind_demands(sound):
    """Capitals, accents and spaces are really there."""
    assert all(lead["contact"]["email"] != truth.person.email for lead, truth in of(sound, "email", "capitals"))
    assert all(not truth.person.email.isascii() for _, truth in of(sound, "email", "accents"))
    assert all(lead["contact"]["email"].startswith(" ") for lead, _ in of(sound, "email", "spaces"))
    assert all(truth.person.email is None for _, truth in of(sound, "email", "unusable", "absent"))


def test_people_stay_out_of_what_is_printed(population):
    """Neither e-mail nor phone shows in the repr of a truth."""
    truth = next(truth for truth in population.truth().values() if truth.person.email and truth.person.phones)

    assert truth.person.email not in repr(truth)
    assert truth.person.phones[0] not in repr(truth)
