"""Who counts at all: not test leads, not the same sale twice, not leads that are gone."""

from datetime import timedelta

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(company, number, at=None, **more):
    """A lead with an appointment and a sale to send."""
    return company.lead(number, ("Gagné", at or company.START - DAY), **more)


def test_test_leads_are_left_out_and_taken_back_once_they_are_none(company):
    """By domain, phone, name or field; counted in the report, explained, and not stored."""
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


def test_what_waits_for_a_lead_that_turns_out_a_test_is_kept_back(company):
    """And `explain` says so."""
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


def test_the_same_sale_twice_counts_once(company):
    """By the click here and by the person there; the other goes out once the first cannot."""
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


def test_a_click_shared_by_two_sales_is_told_and_not_stopped(company):
    """Unless the settings say so."""
    company.serve(sold(company, 1), sold(company, 2, clicks=f"gclid={company.gclid(1)}"))
    _, out, _ = company.command("run")

    assert "appointment × 2, sale × 2: another lead's counts too" in " ".join(out.split())
    assert 4 == len(company.deliveries())


def test_a_lead_that_is_deleted_is_called_off_on_the_second_night(company):
    """What was sent of it stays; what waited is cancelled, its hashes are erased, and `explain` says why."""
    company.serve(sold(company, 1, at=company.START - HOUR, amount=""), sold(company, 2))
    company.night()
    company.sandbox.oplead.delete("L-1")
    company.later(DAY)
    assert "pending" == company.states()["L-1", "sale"]
    summary = company.later(DAY)
    _, out, _ = company.command("explain", "L-1")

    assert ("accepted", "cancelled") == (company.states()["L-1", "appointment"], company.states()["L-1", "sale"])
    assert (1, 0) == (summary.pulled.deleted, summary.exit_code)
    assert "Oplead did not have this lead on two nights" in " ".join(out.split())
    assert [] == [row for row in company.rows_of("contact_hash") if row[1] == "L-1"]
    assert [] == company.disagreements()


def test_a_key_that_sees_less_calls_nothing_off(company):
    """Six leads are not deleted in one night: a human is asked, and once the key sees them again they go out."""
    leads = [sold(company, number, at=company.START - HOUR, amount="") for number in range(6)]
    company.serve(*leads)
    company.night()
    for one in leads:
        company.sandbox.oplead.delete(one["id"])
    company.later(DAY)
    company.clock.advance(company.clock.now() + DAY)
    code, out, _ = company.command("run")
    assert 1 == code
    assert "6 leads are no longer there: does the key still see every lead?" in " ".join(out.split())
    company.serve(*(one | {"amount": "9 000,00 €"} for one in leads))
    company.later(HOUR)
    company.later()

    assert 12 == len(company.taken())
    assert [] == company.disagreements()


def test_leads_are_read_one_by_one_where_the_list_says_little(company):
    """`pull: details`: a change shows on a lead's own page alone, and a lead out of time is not asked for any more."""
    company.sandbox.oplead.switch("list_has_details", False)
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


def test_a_budget_of_requests_reads_them_over_several_nights(company):
    """Those read longest ago first, so that each has its turn."""
    company.settings["oplead"] = {"pull": "details", "max_requests": 3}
    company.serve(*(sold(company, number, clicks=f"gclid={company.gclid(number)}") for number in range(5)))
    nights = [company.night(), *(company.later(DAY) for _ in range(4))]

    assert [2, 2, 2, 2, 2] == [summary.pulled.detail_pages for summary in nights]
    assert {f"L-{number}" for number in range(5)} == {lead for lead, _ in company.states()}
    assert [] == company.disagreements()
