"""The guards of the first month: what would flood bidding is held, what starves it is told."""

from datetime import timedelta

import pytest

from tests.builders import attention

DAY = timedelta(days=1)


def appointments(company, count, first=1):
    """So many leads, each of which has an appointment."""
    return [company.lead(number, ("Rendez-vous", _at(company, 7))) for number in range(first, first + count)]


def _at(company, days):
    return company.CREATED + timedelta(days=days, hours=1)


# ── more than usual ──────────────────────────────────────────────────────────────────────────────


def test_a_first_night_with_months_of_history_is_held_until_a_human_agrees(company):
    """Nothing goes out, nothing is lost, and the sentence names what to type; then all of it goes, once."""
    company.serve(*appointments(company, 60))
    first = company.night()
    held = set(company.states().values())
    second = company.night(accept_volume=True)
    company.later()

    assert (1, {"pending"}, 0) == (first.exit_code, held, first.delivered.requests)
    assert ["google_ads: 60 conversions are due and one night may send 50"] == [
        sentence.partition(" (")[0] for sentence in attention(first)
    ]
    assert (0, 60) == (second.exit_code, len(company.taken()))
    assert [] == company.disagreements()


def test_one_destination_is_held_and_the_other_goes_on(company):
    """Each has its own usual number."""
    company.use_meta(funnel={})
    company.settings["meta"]["max_per_run"] = 60
    company.settings["google_ads"]["max_per_run"] = 5
    company.serve(
        *[
            company.lead(number, ("Rendez-vous", _at(company, 7)), clicks=company.both(number))
            for number in range(1, 13)
        ]
    )
    summary = company.night()

    assert (["google_ads"], 0, 12) == (list(map(str, summary.held)), len(company.taken()), len(company.taken("meta")))


def test_the_command_tells_it_shows_it_and_takes_the_agreement(company):
    """`run --dry-run`, `run`, `status`, `explain` and `run --accept-volume` say one thing."""
    company.settings["google_ads"]["max_per_run"] = 5
    company.serve(*appointments(company, 6))
    tried = company.command("run", "--dry-run")
    run = company.command("run")
    status = company.command("status")
    explained = company.command("explain", "L-1")
    agreed = company.command("run", "--accept-volume")

    assert [1, 1, 0, 0, 0] == [code for code, _, _ in (tried, run, status, explained, agreed)]
    for _, out, _ in (tried, run):
        assert "6 conversions are due and one night may send 5" in " ".join(out.split())
    assert "6 are held as far more than usual, until `run --accept-volume`" in " ".join(status[1].split())
    assert "6 waiting" not in status[1]
    assert "Far more conversions are due" in " ".join(explained[1].split())
    assert {"submitted"} == set(company.states().values())


# ── a status that is renamed ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", ["history", "date", "label"])
def test_a_renamed_status_floods_nothing_and_is_told_once(company, told):
    """Leads that all have a mapped name of a sudden have not all been won, however Oplead dates it."""
    numbers = range(1, 9)
    company.serve(*renaming(company, numbers, "À rappeler", told))
    company.night()
    company.serve(*renaming(company, numbers, "Gagné", told))
    found = company.night(company.START + DAY)
    again = company.night(company.START + 2 * DAY)

    assert ({}, [], []) == (company.states(), company.ingests, company.taken())
    assert (1, 0) == (found.exit_code, again.exit_code)
    assert ["status 'À rappeler' seems to be called 'Gagné' now on 8 leads"] == [
        sentence.partition(":")[0] for sentence in attention(found)
    ]


def test_a_stage_whose_label_was_renamed_goes_on_where_it_stood(company):
    """The new name is written in the old one's place days later: what entered meanwhile goes out, nothing twice."""
    numbers = range(1, 9)
    company.settings["conversions"] = [company.conversion("appointment")]
    company.serve(*renaming(company, numbers, "Rendez-vous", "history"))
    company.night()
    company.serve(*renaming(company, numbers, "RDV fixé", "history"))
    company.night(company.START + DAY)
    between = company.lead(20, ("RDV fixé", company.START + 2 * DAY - timedelta(hours=2)))
    company.serve(between)
    company.night(company.START + 2 * DAY)
    status = company.command("status")
    company.settings["stages"]["appointment"] = ["RDV fixé"]
    company.night(company.START + 3 * DAY)
    company.later()

    assert "Rendez-vous seems to be called RDV fixé now: seen on 8 leads" in " ".join(status[1].split())
    assert [f"L-{number}" for number in (*numbers, 20)] == sorted(
        (lead for lead, _ in company.taken()), key=lambda name: int(name.partition("-")[2])
    )
    assert [] == company.disagreements()


def renaming(company, numbers, label, told):
    """Leads under a label since the same moment, with what Oplead tells of it."""
    for number in numbers:
        lead = company.lead(number, (label, _at(company, 7)))
        if told != "history":
            lead.pop("statusHistory")
        if told == "label":
            lead.pop("statusDate")
        yield lead


# ── silence ──────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_consent_path_is_told_on_its_first_night_and_what_it_kept_goes_out_once_mended(company):
    """A week later everything is still in time."""
    company.settings["conversions"] = [company.conversion("appointment")]
    company.settings["consent"]["ad_user_data"]["field"] = "leadData.consentement"
    company.serve(*appointments(company, 6))
    first = company.night()
    status = company.command("status")
    company.settings["consent"]["ad_user_data"]["field"] = "leadData.consent"
    mended = company.night(company.START + 7 * DAY)
    company.later()

    told = "conversions qualify tonight and none of them can be sent: consent not asked (6 of 6 for google_ads)"
    assert (1, [told]) == (first.exit_code, attention(first))
    assert told in " ".join(status[1].split())
    assert (0, 6) == (mended.exit_code, len(company.taken()))


def test_a_consent_field_that_is_empty_on_every_lead_is_told_before_any_conversion_needs_it(company):
    """Twenty leads without an answer are no chance."""
    company.settings["consent"]["ad_user_data"]["field"] = "leadData.consentement"
    company.serve(*[company.lead(number) for number in range(20)])
    summary = company.night()

    assert (1, 1) == (summary.exit_code, len(attention(summary)))
    assert attention(summary)[0].startswith("the consent field leadData.consentement is empty on each of the last 20")


def test_a_where_that_lets_nobody_through_is_told(company):
    """The leads are there and the word is another one."""
    company.settings["conversions"] = [company.conversion("appointment") | {"where": {"channel": ["Internet"]}}]
    company.serve(*appointments(company, 6))
    summary = company.night()

    assert ({}, 1) == (company.states(), summary.exit_code)
    assert "6 leads reached the stage of 'appointment' and `where` let none of them through" in attention(summary)[0]


def test_bare_ids_without_a_source_are_told_on_the_first_night(company):
    """Nobody can tell whose they are, so nothing goes out."""
    company.settings["conversions"] = [company.conversion("appointment")]
    for lead in appointments(company, 6):
        lead["leadData"] |= {"externalID": lead["leadData"]["externalID"].removeprefix("gclid="), "utm_source": ""}
        company.serve(lead)
    summary = company.night()

    assert ({"withheld"}, 1) == (set(company.states().values()), summary.exit_code)
    assert "none of them can be sent: no usable click id (6 of 6 for google_ads)" in attention(summary)[0]


def test_a_capture_that_broke_is_told_though_older_leads_still_go_out(company):
    """The form was rebuilt a week ago: new leads have no id, and conversions of older ones hide it."""
    month_ago = company.START - timedelta(days=20)
    company.serve(*[company.lead(number, created=month_ago + number * timedelta(hours=1)) for number in range(40)])
    for number in range(100, 122):
        lead = company.lead(number, created=company.START - timedelta(days=6) + timedelta(hours=number - 100))
        lead["leadData"]["externalID"] = ""
        company.serve(lead)
    summary = company.night()

    assert 1 == summary.exit_code
    assert attention(summary)[0].startswith(
        "0 % of the leads of the last 7 days have a click id, 100 % of those before"
    )


@pytest.mark.parametrize(
    ("damage", "told"),
    [(str.lower, "have no capital letter"), (lambda click: click[:50], "they look cut off on their way into Oplead")],
)
def test_ids_that_arrive_damaged_are_told_before_a_platform_refuses_them(company, damage, told):
    """And no id is part of the sentence."""
    for number in range(20):
        click = damage(company.gclid(number))
        company.serve(company.lead(number, clicks=f"gclid={click}"))
    summary = company.night()

    assert (1, 1) == (summary.exit_code, len(attention(summary)))
    assert told in attention(summary)[0]
    assert company.gclid(1).lower()[:12] not in attention(summary)[0].lower()


def test_leads_of_which_some_came_without_an_ad_are_no_alarm(company):
    """That is how it is with every account, night after night."""
    codes = []
    for night in range(1, 4):
        for lead in appointments(company, 12, first=night * 20):
            if lead["id"].endswith(("1", "3", "5")):
                lead["leadData"]["externalID"] = ""
            company.serve(lead)
        codes.append(company.night(company.START + night * DAY).exit_code)

    assert [0, 0, 0] == codes
