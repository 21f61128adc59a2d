"""Settings that change between runs: nothing is sent twice, and what was withheld is released once."""

import re
from datetime import timedelta

import pytest

from jobs.plan.new_settings import RenamedIdError

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(company, number=1, at=None, **more):
    """A lead with an appointment and a sale to send."""
    return company.lead(number, ("Gagné", at or company.START - DAY), **more)


def told(company):
    """Do a run and learn its outcomes; return what the platform has counted by then, sorted."""
    company.later(DAY)
    company.later()
    assert [] == company.disagreements()
    return sorted(company.taken())


def starts_with_its_first_run(company):
    """Have every conversion count from the first run that sees it."""
    for conversion in company.settings["conversions"]:
        conversion.pop("since", None)


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def test_renamed_conversion_without_was_is_refused(company):
    """Nothing is read or sent; the message gives the line to write, and the command exits with 2."""
    company.serve(sold(company))
    told(company)
    company.conversion("sale")["id"] = "vente"
    company.serve(sold(company, 2))
    asked = len(company.arrivals)

    with pytest.raises(
        RenamedIdError, match=re.escape("write `was: sale` under it. If it is a new one, write `was: none`")
    ):
        company.night()

    code, _, complaint = company.command("run")

    assert 2 == code
    assert "write `was: sale`" in complaint
    assert [] == [server for server, _, _ in company.arrivals[asked:] if server != "clock"]
    assert {"L-1"} == {lead for lead, _ in company.states()}


def test_renamed_conversion_with_was_keeps_its_keys(company):
    """What was sent is not sent again even if the lead changes, and what was open goes out under its old key."""
    late = {"amount": ""}  # a sale without its amount waits for it
    company.serve(sold(company, 1), sold(company, 2, at=company.START - HOUR, **late))
    assert 3 == len(told(company))
    before = {name: row.key for name, row in company.deliveries().items()}
    company.conversion("sale").update(id="vente", was="sale")
    company.serve(sold(company, 1, amount="12 600,00 €"), sold(company, 2, at=company.START - HOUR), sold(company, 3))

    counted = told(company)

    assert [
        ("L-1", "appointment"),
        ("L-1", "vente"),
        ("L-2", "appointment"),
        ("L-2", "vente"),
        ("L-3", "appointment"),
        ("L-3", "vente"),
    ] == counted
    assert before == {
        (row.lead, row.conversion.replace("vente", "sale")): row.key
        for row in company.deliveries().values()
        if row.lead != "L-3"
    }

    company.conversion("vente").update(id="signature", was="vente")

    assert 6 == len(told(company))


@pytest.mark.exhaustive
def test_conversion_with_was_none_starts_afresh(company):
    """A vanished id has the same action, and the old conversion's rows stay."""
    company.serve(sold(company))
    told(company)
    company.conversion("sale").pop("since")
    company.conversion("sale").update(id="vente", was="none")

    assert 2 == len(told(company))

    company.serve(sold(company, 2, at=company.clock.now() + HOUR))

    assert {("L-1", "sale"), ("L-2", "vente")} == {name for name in told(company) if name[1] != "appointment"}
    assert "skipped" == company.states()["L-1", "vente"]


# ── stages and fields ────────────────────────────────────────────────────────────────────────────


@pytest.mark.exhaustive
def test_label_added_to_a_stage_counts_only_later_leads(company):
    """Leads that had the label before the first run with it are skipped."""
    starts_with_its_first_run(company)
    company.night()
    company.serve(company.lead(1, ("Visite", company.clock.now() + HOUR)))
    assert [] == told(company)
    company.settings["stages"]["appointment"].append("Visite")
    assert [] == told(company)
    company.serve(
        company.lead(2, ("Visite", company.clock.now() + HOUR)),
        company.lead(3, ("RDV pris", company.clock.now() + HOUR)),
    )

    assert [("L-2", "appointment"), ("L-3", "appointment")] == told(company)
    assert "skipped" == company.states()["L-1", "appointment"]


def test_extended_consent_list_releases_withheld_leads(company):
    """The answer was in no list; once listed, the unchanged lead is sent once."""
    hesitant = sold(company)
    hesitant["leadData"]["consent"] = "J'accepte"
    company.serve(hesitant)
    assert [] == told(company)
    assert {("consent_unknown", "withheld")} == {(row.reason, row.state) for row in company.deliveries().values()}

    company.settings["consent"]["ad_user_data"]["granted"].append("j'accepte")

    assert [("L-1", "appointment"), ("L-1", "sale")] == told(company)
    assert 2 == len(told(company))
    # Hashes may not be kept for a lead without consent, so they were read again.
    assert all("userData" in event for events in company.sent().values() for event in events)


def test_narrowed_consent_list_cancels_open_conversions(company):
    """An answer moved to `refused` applies before the next upload."""
    company.serve(sold(company, at=company.START - HOUR, amount=""))
    assert [("L-1", "appointment")] == told(company)
    company.settings["consent"]["ad_user_data"] |= {"granted": ["d'accord"], "refused": ["non", "oui"]}
    company.serve(sold(company, at=company.START - HOUR))

    assert [("L-1", "appointment")] == told(company)
    assert "cancelled" == company.states()["L-1", "sale"]


@pytest.mark.exhaustive
def test_mistaken_where_loses_nothing_once_fixed(company):
    """It sends nothing wrong, and everything goes out once after the fix."""
    waiting = company.START - HOUR
    company.serve(sold(company, 1), sold(company, 2, at=waiting, amount=""))
    assert 3 == len(told(company))
    company.conversion("sale")["where"] = {"channel": ["Salon"]}
    company.serve(sold(company, 2, at=waiting), sold(company, 3))

    assert 4 == len(told(company))
    assert {"accepted", "withheld"} == {
        company.states().get((f"L-{number}", "sale"), "accepted") for number in (1, 2, 3)
    }

    company.conversion("sale")["where"] = {"channel": ["Salon", "Site web"]}

    assert sorted((f"L-{number}", name) for number in (1, 2, 3) for name in ("appointment", "sale")) == told(company)


def test_new_value_field_is_read_from_unchanged_leads(company):
    """The value moves to another field of the lead, and the run does not wait for the lead to change."""
    company.settings["google_ads"]["contact_data"] = "none"  # with contact data, leads are read again anyway
    company.serve(sold(company, at=company.START - HOUR, amount="", order={"total": "4 200,00 €"}))
    assert [("L-1", "appointment")] == told(company)

    company.conversion("sale")["value"]["field"] = "order.total"

    assert [("L-1", "appointment"), ("L-1", "sale")] == told(company)
    assert 4_200.0 == company.platform.conversions_json()[-1]["value"]


# ── conversions and actions ──────────────────────────────────────────────────────────────────────


@pytest.mark.exhaustive
def test_removed_conversion_resumes_when_restored(company):
    """Nothing is sent for it meanwhile; afterwards what was open goes out once, and nothing is repeated."""
    company.serve(sold(company, 1), sold(company, 2, at=company.START - HOUR, amount=""))
    assert 3 == len(told(company))
    sale = company.conversion("sale")
    company.settings["conversions"].remove(sale)
    company.serve(sold(company, 2, at=company.START - HOUR), sold(company, 3))

    assert 4 == len(told(company))
    assert "not_configured" == company.deliveries()["L-2", "sale"].reason

    company.settings["conversions"].append(sale)

    assert sorted((f"L-{number}", name) for number in (1, 2, 3) for name in ("appointment", "sale")) == told(company)


@pytest.mark.exhaustive
def test_changed_conversion_action_applies_to_new_events_only(company):
    """What was sent to the old action keeps it and is not sent to the new one."""
    company.serve(sold(company, 1))
    assert 2 == len(told(company))
    company.conversion("sale")["google_ads"]["conversion_action"] = "987654323"
    company.serve(sold(company, 1, amount="12 600,00 €"), sold(company, 2))

    assert 4 == len(told(company))
    assert {"L-1": "987654322", "L-2": "987654323"} == {
        row.lead: row.action for row in company.deliveries().values() if row.conversion == "sale"
    }


def test_new_conversion_starts_with_its_first_run(company):
    """Leads that reached its stage before are skipped, dated or not, and later ones are sent."""
    starts_with_its_first_run(company)
    quote = {"id": "quote", "stage": "quote_sent", "google_ads": {"conversion_action": "987654323"}}
    undated = {"statusDate": None, "statusHistory": None}
    company.night()
    company.serve(
        company.lead(1, ("Devis à relancer", company.clock.now() + HOUR)),
        company.lead(2, ("Devis à relancer", company.clock.now() + HOUR), **undated),
    )
    assert [] == told(company)
    company.settings["conversions"].append(quote)
    assert [] == told(company)
    later = company.clock.now() + HOUR
    company.serve(
        company.lead(3, ("Devis à relancer", later)),
        company.lead(4, ("Devis à relancer", later), created=later - HOUR / 2, **undated),
    )

    # The fourth lead's click is too recent for Google on the first night after it.
    told(company)

    assert [("L-3", "quote"), ("L-4", "quote")] == told(company)
    assert {"skipped"} == {company.states()[f"L-{number}", "quote"] for number in (1, 2)}
