"""Which leads count: not test leads, not the same sale twice, not deleted leads."""

from datetime import timedelta

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(company, number, at=None, **more):
    """A lead with an appointment and a sale to send."""
    return company.lead(number, ("Gagné", at or company.START - DAY), **more)


def test_excluded_leads_are_sent_once_no_longer_excluded(company):
    """They match by domain, phone, name or field; the report counts them, and they are not stored."""
    company.settings["exclude"] = {
        "email_domains": ["maison-test.fr"],
        "phones": ["06 12 34 56 78"],
        "names": ["Jean Essai"],
        "fields": {"channel": ["Recette"]},
    }
    company.serve(
        sold(company, 1, contact={"email": "claire@Maison-Test.fr"}),
        sold(company, 2, contact={"email": "b@example.com", "phone": "+33612345678"}),
        sold(company, 3, contact={"firstName": "ESSAI", "lastName": "Jean"}),
        sold(company, 4, channel="recette"),
        sold(company, 5),
    )
    code, out, _ = company.command("run")

    assert 0 == code
    assert "5 leads on 1 page, 1 new or changed, 4 test leads left out" in " ".join(out.split())
    assert {"L-5"} == {row[1] for row in company.rows_of("lead")}

    company.settings["exclude"] = {"names": ["Jean Essai"]}
    company.later(DAY)
    company.later()

    assert {"L-1", "L-2", "L-4", "L-5"} == {lead for lead, _ in company.taken()}
    assert [] == company.disagreements()


def test_leads_with_an_invented_address_are_never_sent(company):
    """Without a word in the settings; `explain` says why, although the lead is not stored."""
    company.serve(sold(company, 1, contact={"email": "Evidence@oplead-sync.invalid"}), sold(company, 2))
    company.night()
    company.later(DAY)
    code, _, err = company.command("explain", "L-1")

    assert {("L-2", "appointment"), ("L-2", "sale")} == set(company.taken())
    assert 2 == code
    said = " ".join(err.split())
    assert "lead L-1 is a test lead" in said
    assert "an address that `oplead-sync evidence` invented" in said


def test_pending_sale_of_a_newly_excluded_lead_is_withheld(company):
    """`explain` says so, and its contact hashes are erased."""
    company.serve(sold(company, 1, at=company.START - HOUR, amount=""), sold(company, 2))
    company.night()
    assert "pending" == company.states()["L-1", "sale"]
    company.settings["exclude"] = {"email_domains": ["example.com"]}
    company.later(DAY)
    _, out, _ = company.command("explain", "L-1")

    assert ("withheld", "excluded") == (
        company.states()["L-1", "sale"],
        company.deliveries()["L-1", "sale"].reason,
    )
    assert "The lead matches `exclude` in the settings" in " ".join(out.split())
    assert [] == [row for row in company.rows_of("contact_hash") if row[1] == "L-1"]


def test_count_once_per_skips_a_second_lead(company):
    """One conversion counts per click, the other per person, and `explain` gives the reason."""
    company.conversion("sale")["count_once_per"] = "person"
    company.conversion("appointment")["count_once_per"] = "click"
    jeanne = {"contact": {"email": "jeanne@example.com"}}
    company.serve(
        sold(company, 1, **jeanne),
        sold(company, 2, company.START - 2 * HOUR, **jeanne),
        sold(company, 3, clicks=f"gclid={company.gclid(1)}"),
    )
    company.night()
    assert {"appointment": ("counted_already", "L-1"), "sale": (None, None)} == {
        conversion: (row.reason, row.detail)
        for (lead, conversion), row in company.deliveries().items()
        if lead == "L-3"
    }
    company.later()
    company.serve(sold(company, 4, company.clock.now() - 3 * HOUR, **jeanne))
    company.later(DAY)
    company.later()

    assert [
        ("L-1", "appointment"),
        ("L-1", "sale"),
        ("L-2", "appointment"),
        ("L-3", "sale"),
        ("L-4", "appointment"),
    ] == sorted(company.taken())
    assert [] == company.disagreements()
    assert {("counted_already", "L-1")} == {
        (row.reason, row.detail)
        for (lead, name), row in company.deliveries().items()
        if lead in ("L-2", "L-4") and name == "sale"
    }
    _, out, _ = company.command("explain", "L-2")
    assert "The same click or person already counts through another lead" in " ".join(out.split())


def test_shared_click_is_reported_and_sent_by_default(company):
    """Only `count_once_per` would stop it."""
    company.serve(sold(company, 1), sold(company, 2, clicks=f"gclid={company.gclid(1)}"))
    _, out, _ = company.command("run")

    said = " ".join(out.split())
    for conversion in ("appointment", "sale"):
        assert f"{conversion}: 2 leads share their click with others, and each counts" in said
    assert 4 == len(company.deliveries())


def test_deleted_lead_is_cancelled_on_the_second_night(company):
    """What was sent stays; what waited is cancelled, its hashes are erased, and `explain` says why."""
    company.serve(sold(company, 1, at=company.START - HOUR, amount=""), sold(company, 2))
    company.night()
    company.sandbox.oplead.delete_lead("L-1")
    company.later(DAY)
    assert "pending" == company.states()["L-1", "sale"]
    summary = company.later(DAY)
    _, out, _ = company.command("explain", "L-1")

    assert ("accepted", "cancelled") == (company.states()["L-1", "appointment"], company.states()["L-1", "sale"])
    assert (1, 0) == (summary.pulled.deleted, summary.exit_code)
    assert "Oplead did not have this lead on two nights" in " ".join(out.split())
    assert [] == [row for row in company.rows_of("contact_hash") if row[1] == "L-1"]
    assert [] == company.disagreements()


def test_many_leads_missing_at_once_cancel_nothing(company):
    """Six leads are not deleted in one night: the run asks a human, and they are sent once the key sees them again."""
    leads = [sold(company, number, at=company.START - HOUR, amount="") for number in range(6)]
    company.serve(*leads)
    company.night()
    for one in leads:
        company.sandbox.oplead.delete_lead(one["id"])
    company.later(DAY)
    company.clock.advance(company.clock.now() + DAY)
    code, out, _ = company.command("run")
    assert 1 == code
    assert (
        "Oplead lists 0 leads; the last complete list had 6: does the key (oplead.token) still see every lead?"
        in " ".join(out.split())
    )
    company.serve(*(one | {"amount": "9 000,00 €"} for one in leads))
    company.later(HOUR)
    company.later()

    assert 12 == len(company.taken())
    assert [] == company.disagreements()


def test_detail_fetch_finds_changes_the_list_lacks(company):
    """With `pull: details`, a lead that is too old is not requested again."""
    company.sandbox.oplead.set_switch("list_has_details", False)
    company.settings["oplead"] = {"pull": "details"}
    company.serve(company.lead(1), company.lead(2, created=company.START - 100 * DAY), company.lead(3))
    company.night()
    company.serve(sold(company, 1, at=company.clock.now() + HOUR))
    summary = company.later(DAY)
    company.later()
    asked = [entry["path"].rpartition("/")[2] for entry in company.asked("oplead", "/v1/leads/")]

    assert {("L-1", "appointment"), ("L-1", "sale")} == set(company.taken())
    assert (2, 1, True) == (summary.pulled.detail_pages, summary.pulled.changed, summary.pulled.complete)
    assert 1 == asked.count("L-2")
    assert [] == company.disagreements()


def test_max_requests_spreads_detail_fetches_over_nights(company):
    """The leads read longest ago come first, so each has its turn."""
    company.settings["oplead"] = {"pull": "details", "max_requests": 3}
    company.serve(*(sold(company, number, clicks=f"gclid={company.gclid(number)}") for number in range(5)))
    nights = [company.night(), *(company.later(DAY) for _ in range(4))]

    assert [2, 2, 2, 2, 2] == [summary.pulled.detail_pages for summary in nights]
    assert {f"L-{number}" for number in range(5)} == {lead for lead, _ in company.states()}
    assert [] == company.disagreements()
