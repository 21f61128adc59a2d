"""Guards of the first month: the volume guard holds what would flood bidding, and missing values are reported."""

from datetime import timedelta

import pytest

from tests.builders import attention

DAY = timedelta(days=1)


def appointments(company, count, first=1):
    """The given number of leads, each with an appointment."""
    return [company.lead(number, ("Rendez-vous", _at(company, 7))) for number in range(first, first + count)]


def _at(company, days):
    return company.CREATED + timedelta(days=days, hours=1)


# ── volume guard ──────────────────────────────────────────────────────────────────────────────────


def test_volume_guard_holds_first_run_until_accepted(company):
    """Nothing is sent or lost, the notice names the option to type, and accepting sends everything exactly once."""
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


def test_volume_guard_holds_one_destination_only(company):
    """Each destination has its own limit."""
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


def test_commands_report_held_volume_and_accept_it(company):
    """`run --dry-run`, `run`, `status` and `explain` report the hold, and `run --accept-volume` releases it."""
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
    assert "6 are held as far more than usual, until someone approves them" in " ".join(status[1].split())
    assert f"To approve what is held: `oplead-sync run --accept-volume --config {company.config}`\n" in status[1]
    assert "6 waiting" not in status[1]
    assert "Far more conversions are due" in " ".join(explained[1].split())
    assert {"submitted"} == set(company.states().values())


# ── renamed statuses ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", ["history", "date", "label"])
def test_renamed_status_sends_nothing_and_is_reported_once(company, told):
    """Leads that all take a mapped name at once have not all been won, however Oplead dates the change."""
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


def test_stage_resumes_once_its_renamed_label_is_configured(company):
    """The settings get the new name days later: leads that entered meanwhile are sent, and none twice."""
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
    """Leads that have had a label since the same moment, with as much dating as Oplead gives."""
    for number in numbers:
        lead = company.lead(number, (label, _at(company, 7)))
        if told != "history":
            lead.pop("statusHistory")
        if told == "label":
            lead.pop("statusDate")
        yield lead


# ── missing-value guards ──────────────────────────────────────────────────────────────────────────────────────


def test_backlog_of_a_wrong_consent_path_is_sent_once_fixed(company):
    """The first run reports the wrong path, and a week later everything is still in time."""
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


def test_reports_empty_consent_field_before_any_conversion_needs_it(company):
    """Twenty leads without an answer are no coincidence."""
    company.settings["consent"]["ad_user_data"]["field"] = "leadData.consentement"
    company.serve(*[company.lead(number) for number in range(20)])
    summary = company.night()

    assert (1, 1) == (summary.exit_code, len(attention(summary)))
    assert attention(summary)[0].startswith("the consent field leadData.consentement is empty on each of the last 20")


def test_reports_a_where_filter_that_matches_no_lead(company):
    """The leads exist, but the filter names another value."""
    company.settings["conversions"] = [company.conversion("appointment") | {"where": {"channel": ["Internet"]}}]
    company.serve(*appointments(company, 6))
    summary = company.night()

    assert ({}, 1) == (company.states(), summary.exit_code)
    assert "6 leads reached the stage of 'appointment' and `where` let none of them through" in attention(summary)[0]


def test_reports_bare_click_ids_without_a_source_on_first_run(company):
    """Nothing shows which platform they belong to, so nothing is sent."""
    company.settings["conversions"] = [company.conversion("appointment")]
    for lead in appointments(company, 6):
        lead["leadData"] |= {"externalID": lead["leadData"]["externalID"].removeprefix("gclid="), "utm_source": ""}
        company.serve(lead)
    summary = company.night()

    assert ({"withheld"}, 1) == (set(company.states().values()), summary.exit_code)
    assert "none of them can be sent: Google's click or Meta's? (6 of 6 for google_ads)" in attention(summary)[0]


def test_reports_broken_click_id_capture_despite_older_leads(company):
    """The form was rebuilt a week ago: new leads have no click id, and conversions of older ones hide it."""
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
def test_reports_damaged_click_ids_before_a_platform_rejects_them(company, damage, told):
    """The notice contains no click id."""
    for number in range(20):
        click = damage(company.gclid(number))
        company.serve(company.lead(number, clicks=f"gclid={click}"))
    summary = company.night()

    assert (1, 1) == (summary.exit_code, len(attention(summary)))
    assert told in attention(summary)[0]
    assert company.gclid(1).lower()[:12] not in attention(summary)[0].lower()


def test_some_leads_without_click_id_raise_no_alarm(company):
    """Every account has such leads, night after night."""
    codes = []
    for night in range(1, 4):
        for lead in appointments(company, 12, first=night * 20):
            if lead["id"].endswith(("1", "3", "5")):
                lead["leadData"]["externalID"] = ""
            company.serve(lead)
        codes.append(company.night(company.START + night * DAY).exit_code)

    assert [0, 0, 0] == codes
