"""Settings that change between nights: what was sent is never sent again, what was held back is released once."""

import re
from datetime import timedelta

import pytest

from jobs.nightly import RenamedError

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(company, number=1, at=None, **more):
    """A lead with an appointment and a sale to be told."""
    return company.lead(number, ("Gagné", at or company.START - DAY), **more)


def told(company):
    """Let a night and its outcomes pass, and say what the platform has counted by then, in order."""
    company.later(DAY)
    company.later()
    assert [] == company.disagreements()
    return sorted(company.taken())


def starts_with_its_first_run(company):
    """Have every conversion count from the first run that sees it."""
    for conversion in company.settings["conversions"]:
        conversion.pop("since", None)


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversion_renamed_in_silence_is_refused(company):
    """Nothing is read or sent; the words to write are given, also by the command, which ends with 2."""
    company.serve(sold(company))
    told(company)
    company.conversion("sale")["id"] = "vente"
    company.serve(sold(company, 2))
    asked = len(company.arrivals)

    with pytest.raises(
        RenamedError, match=re.escape("write `was: sale` under it. If it is a new one, write `was: none`")
    ):
        company.night()

    code, _, complaint = company.command("run")

    assert 2 == code
    assert "write `was: sale`" in complaint
    assert [] == [server for server, _, _ in company.arrivals[asked:] if server != "clock"]
    assert {"L-1"} == {lead for lead, _ in company.states()}


def test_a_conversion_renamed_openly_goes_on(company):
    """What was sent is not sent again, even where the lead changes; what was open goes out under its old key."""
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
def test_a_conversion_declared_new_is_one(company):
    """`was: none` beside a vanished id on the same action: it starts afresh, and the old one's rows stay."""
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
def test_a_label_added_to_a_stage_counts_from_then_on(company):
    """Leads that had the label before the run that first saw it there are not told; later ones are."""
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


def test_a_consent_list_mended_releases_what_it_withheld(company):
    """An answer nobody had listed holds the lead back; once listed, the unchanged lead goes out, once."""
    hesitant = sold(company)
    hesitant["leadData"]["consent"] = "J'accepte"
    company.serve(hesitant)
    assert [] == told(company)
    assert {("consent_unknown", "withheld")} == {(row.reason, row.state) for row in company.deliveries().values()}

    company.settings["consent"]["ad_user_data"]["granted"].append("j'accepte")

    assert [("L-1", "appointment"), ("L-1", "sale")] == told(company)
    assert 2 == len(told(company))
    # The hashes of contact data, which nobody may keep of a lead that has not agreed, were read afresh.
    assert all("userData" in event for events in company.sent().values() for event in events)


def test_a_consent_list_narrowed_keeps_back_what_is_open(company):
    """A word moved to the refused ones is obeyed before the next upload."""
    company.serve(sold(company, at=company.START - HOUR, amount=""))
    assert [("L-1", "appointment")] == told(company)
    company.settings["consent"]["ad_user_data"] |= {"granted": ["d'accord"], "refused": ["non", "oui"]}
    company.serve(sold(company, at=company.START - HOUR))

    assert [("L-1", "appointment")] == told(company)
    assert "cancelled" == company.states()["L-1", "sale"]


@pytest.mark.exhaustive
def test_a_condition_narrowed_and_mended(company):
    """A slip in `where` sends nothing wrong and loses nothing: all of it goes out once the slip is mended, once."""
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


def test_a_field_named_later_is_read_of_leads_that_have_not_changed(company):
    """A value that moves to another field of the lead is found there without waiting for the lead to change."""
    company.settings["google_ads"]["contact_data"] = "none"  # with contact data, leads are read again anyway
    company.serve(sold(company, at=company.START - HOUR, amount="", order={"total": "4 200,00 €"}))
    assert [("L-1", "appointment")] == told(company)

    company.conversion("sale")["value"]["field"] = "order.total"

    assert [("L-1", "appointment"), ("L-1", "sale")] == told(company)
    assert 4_200.0 == company.platform.book()[-1]["value"]


# ── conversions and actions ──────────────────────────────────────────────────────────────────────


@pytest.mark.exhaustive
def test_a_conversion_removed_and_put_back(company):
    """Meanwhile nothing of it goes out; afterwards what was open does, once, and what was sent does not."""
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
def test_another_action_for_a_conversion(company):
    """What was sent to the old action is not sent to the new one, and keeps saying where it went."""
    company.serve(sold(company, 1))
    assert 2 == len(told(company))
    company.conversion("sale")["google_ads"]["conversion_action"] = "987654323"
    company.serve(sold(company, 1, amount="12 600,00 €"), sold(company, 2))

    assert 4 == len(told(company))
    assert {"L-1": "987654322", "L-2": "987654323"} == {
        row.lead: row.action for row in company.deliveries().values() if row.conversion == "sale"
    }


def test_a_new_conversion_starts_with_the_run_that_first_sees_it(company):
    """Leads that reached its stage before are not told, dated or not; those that reach it afterwards are."""
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

    # The fourth lead's click is too young for Google on the first night after it.
    told(company)

    assert [("L-3", "quote"), ("L-4", "quote")] == told(company)
    assert {"skipped"} == {company.states()[f"L-{number}", "quote"] for number in (1, 2)}
