"""The first month's incidents with consent: read from a wrong path, refused, withdrawn, or worded unexpectedly."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.month import DAY, QUIET, Month, expected, fbclid, gclid

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
META_WINDOW = timedelta(days=7) - timedelta(hours=4)


@pytest.fixture
def month(company):
    """A company with nothing but its settings."""
    return Month(company)


def booked_today(month, first, count, **more):
    """Create leads that take an appointment on their first day; return when."""
    numbers = range(first, first + count)
    month.create(*numbers, **more)
    return month.enter("Rendez-vous", *numbers)


# ── a wrong consent path ──────────────────────────────────────────────────────────────────────────


def elsewhere(month, *numbers):
    """Move these leads' consent answer to the field where the form really leaves it."""
    month.edit(*numbers, consent=None, optin="oui")


def test_wrong_consent_path_for_a_week_loses_nothing_in_time(month):
    """The first run reports it and nothing is sent; once fixed, everything still in time is sent once."""
    month.history(40)
    elsewhere(month, *month.leads)
    # A click that becomes too old for Google during the week.
    month.create(90, created=START - 90 * DAY + 3 * DAY)
    elsewhere(month, 90)

    month.night().told("leadData.consent")

    booked = {}
    month.enter("Rendez-vous", 90)
    for first in (1, 11, 21):
        booked |= booked_today(month, first, 4)
        elsewhere(month, *range(first, first + 4))
        month.night()
    sold = month.enter("Gagné", 1, 2)
    month.nights(3)

    assert not month.uploaded()
    assert {"withheld"} == {state for (lead, _), state in month.company.states().items() if lead in ("L-1", "L-11")}

    month.settings["consent"]["ad_user_data"]["field"] = "leadData.optin"

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    assert ("L-90", "appointment") not in month.uploaded()

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked) + expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_fixed_consent_path_sends_meta_only_the_last_week(month):
    """Meta's window is seven days: withheld conversions inside it are sent once, older ones never."""
    month.company.use_meta_alone()
    clicks = {"clicks": lambda number: f"fbclid={fbclid(number)}", "utm": "facebook"}
    month.create(*range(101, 121), created=START - 10 * DAY, **clicks)
    elsewhere(month, *range(101, 121))
    month.night().told("leadData.consent")
    booked = {}
    for night in range(8):
        first = 1 + night * 3
        booked |= booked_today(month, first, 3, **clicks)
        elsewhere(month, *range(first, first + 3))
        month.night()
    assert [] == month.meta_arrivals()

    month.settings["consent"]["ad_user_data"]["field"] = "leadData.optin"
    month.nights(2)

    mended = month.last - DAY
    in_time = {number: at for number, at in booked.items() if mended - at < META_WINDOW}
    assert 0 < len(in_time) < len(booked)
    assert sorted(expected("appointment", in_time, owner="1234567890")) == month.meta_arrivals()
    month.true_books()


def test_released_conversions_pass_the_volume_guard(month):
    """What a fixed path releases is held like any other surge, and goes out once after a human accepts it."""
    month.create(*range(301, 331), created=START - 10 * DAY)
    elsewhere(month, *range(301, 331))
    month.night().told("leadData.consent")
    booked = {}
    for first in (1, 31, 61):
        booked |= booked_today(month, first, 25)
        elsewhere(month, *range(first, first + 25))
        month.night()

    month.settings["consent"]["ad_user_data"]["field"] = "leadData.optin"
    month.night().told("--accept-volume")

    assert not month.uploaded()

    month.night("--accept-volume")

    assert sorted(expected("appointment", booked)) == month.arrivals()
    assert QUIET == month.night().said
    month.true_books()


# ── how many lack consent ────────────────────────────────────────────────────────────────────────


def test_some_leads_without_consent_raise_no_notice(month):
    """One in four gives no answer, says no or something else; the others are sent night after night."""
    month.history(40)
    nights = [month.night()]
    booked = {}
    for number in range(6):
        first = 1 + number * 20
        booked |= booked_today(month, first, 9)
        booked_today(month, first + 9, 1, consent=None)
        booked_today(month, first + 10, 1, consent="non")
        booked_today(month, first + 11, 1, consent="à confirmer")
        nights.append(month.night())
    nights.append(month.night())

    assert {QUIET} == {night.said for night in nights}
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize("consent", [None, "J'accepte", "non"])
def test_most_conversions_without_consent_raise_a_notice(month, consent):
    """Eight of twelve without a yes are reported, and the other four are sent."""
    month.history(40)
    month.night()
    booked = booked_today(month, 1, 4)
    booked_today(month, 11, 8, consent=consent)

    month.night().told("consent")

    assert sorted(expected("appointment", booked)) == month.arrivals()

    booked |= booked_today(month, 31, 6)

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked)) == month.arrivals()
    month.true_books()


def test_unlisted_consent_answer_is_reported_and_sent_once_listed(month):
    """The form's wording changes one day, and none of that night's conversions can be sent."""
    month.history(40)
    month.night()
    booked = booked_today(month, 1, 6)
    assert QUIET == month.night().said
    changed = booked_today(month, 11, 7, consent="J'accepte d'être recontacté")

    month.night().told("consent")
    assert sorted(expected("appointment", booked)) == month.arrivals()

    month.night()
    month.settings["consent"]["ad_user_data"]["granted"].append("j’accepte d’être recontacté")

    assert QUIET == month.night().said
    assert sorted(expected("appointment", booked | changed)) == month.arrivals()
    assert QUIET == month.night().said
    month.true_books()


# ── changing answers ─────────────────────────────────────────────────────────────────────────────


def test_consent_is_judged_when_a_conversion_is_sent(month):
    """Only leads that have agreed by then are sent, and a withdrawal cancels what is open."""
    month.history(20)
    month.night()
    month.create(1, 2, consent=None)
    month.create(3, consent="non")
    month.create(4, 5, 6)
    times = month.enter("Gagné", 1, 2, 3)
    times |= month.enter("Gagné", 4, 5, 6, amount=None)
    month.night()

    month.edit(1, consent="oui")  # a late answer
    month.edit(2, consent="non")
    month.edit(3, consent="oui")  # a changed answer
    month.edit(4, 5, consent="non")  # withdrawn before the amount came
    month.night()
    month.edit(4, 5, 6, amount="12 500,00 €")
    month.nights(2)

    sent = {number: times[number] for number in (1, 3, 6)}
    assert sorted(expected("sale", sent)) == month.arrivals()
    assert {"cancelled"} == {month.company.states()[f"L-{number}", "sale"] for number in (4, 5)}

    month.edit(5, consent="oui")  # given again: what was cancelled stays cancelled
    month.nights(2)

    assert sorted(expected("sale", sent)) == month.arrivals()
    assert not {("L-2", "sale"), ("L-4", "sale"), ("L-5", "sale")} & set(month.uploaded())
    month.true_books()


def test_personalization_consent_is_judged_apart_from_user_data(month):
    """Without personalization Google gets the refusal and Meta nothing; without user data neither gets anything."""
    month.company.use_meta(funnel={}, contact_data="none")
    month.settings["google_ads"]["contact_data"] = "none"
    signal = {"field": "leadData.personal", "granted": ["oui"], "refused": ["non"]}
    month.settings["consent"]["ad_personalization"] = signal
    month.history(20)
    for lead in month.leads.values():
        lead.lead_data["personal"] = "oui"
    month.edit(*month.leads)
    assert QUIET == month.night().said
    both = {"clicks": lambda number: f"gclid={gclid(number)}&fbclid={fbclid(number)}"}
    month.create(1, 2, 3, 4, **both)
    for number, answer in {1: "oui", 2: "non", 3: "oui", 4: None}.items():
        month.leads[number].lead_data["personal"] = answer
    month.leads[3].lead_data["consent"] = "non"
    booked = month.enter("Rendez-vous", 1, 2, 3, 4)

    assert QUIET == month.night().said
    arrived = {number: booked[number] for number in (1, 2)}
    assert sorted(expected("appointment", arrived)) == month.arrivals()
    assert [("L-1", "appointment")] == [one.name for one in month.meta_arrivals()]
    said = [event["consent"]["adPersonalization"] for body, _ in month.company.ingests for event in body["events"]]
    assert {"CONSENT_GRANTED", "CONSENT_DENIED"} == {
        {1: "CONSENT_GRANTED", 2: "CONSENT_DENIED"}.get(s, s) for s in said
    }

    month.leads[4].lead_data["personal"] = "oui"
    month.edit(4)
    month.night()

    arrived[4] = booked[4]
    assert sorted(expected("appointment", arrived)) == month.arrivals()
