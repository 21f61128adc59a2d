"""What a night tells stays true on the nights after it, alike on every screen."""

import re
from datetime import timedelta

import pytest

from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
LANGUAGES = {"en": ("new Soon", "since Thu"), "fr": ("nouveau Bientôt", "depuis le")}


def unreadable(company, number, **more):
    """Have Oplead list a lead that cannot be read."""
    listed = company.lead(number) | more
    company.sandbox.oplead.book.put(f"L-{number}", {name: value for name, value in listed.items() if value is not None})


@pytest.mark.timeout(60)
@pytest.mark.parametrize("language", LANGUAGES)
def test_unreadable_leads_are_counted_alike_and_new_only_once(company, language):
    """Two without an id are two; what Oplead no longer lists is told no longer."""
    company.settings["language"] = language
    new, since = LANGUAGES[language]
    company.serve(company.lead(1))
    unreadable(company, 2, createdAt="gestern")
    unreadable(company, 3, id=None)
    unreadable(company, 4, id=None)
    first = type_in(company, "run")
    (status,) = type_in(company, "status", "--json").objects
    company.clock.advance(company.clock.now() + DAY)
    second = type_in(company, "run")
    company.sandbox.oplead.delete_lead("L-3")
    company.clock.advance(company.clock.now() + DAY)
    (third,) = type_in(company, "run", "--json").objects
    (later,) = type_in(company, "status", "--json").objects

    assert (1, 0) == (first.code, second.code)
    assert all("3 leads" in each.lines for each in (first, second))
    assert (new in first.lines, new in second.lines) == (True, False)
    assert since in second.lines
    assert 3 == len(status["unreadable"])
    assert 2 == len(later["unreadable"]) == len(third["pulled"]["unreadable"]) == third["review"]["unreadable_before"]


def test_a_trial_that_ends_with_1_says_why(company):
    """A status that no setting names, on a lead with a click, is all there is."""
    company.serve(company.lead(1))
    type_in(company, "run")
    company.serve(company.lead(2, ("Vendu !", company.START)))
    company.clock.advance(company.clock.now() + DAY)
    trial = type_in(company, "run", "--dry-run")

    assert 1 == trial.code
    assert "A human is needed • status 'Vendu !', in neither `stages` nor `ignored_statuses`: 1 lead" in trial.lines


EXPLAINED = {
    "en": "sent on Thu 10 Sep 2026; `oplead-sync explain L-1` shows",
    "fr": "le jeu. 10 sept. 2026 ; `oplead-sync explain L-1`",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_alarm_about_lost_answers_says_when_and_where_to_look(company, language):
    """Alike after the run, in `status`, on the page and to machines, for as long as it lasts."""
    company.use_meta_alone(in_doubt="ask")
    company.settings |= {"language": language, "report": {"folder": "reports"}}
    yesterday = company.START - DAY
    company.serve(
        *(
            company.lead(each, ("Gagné", yesterday), created=yesterday - DAY, clicks=f"fbclid={company.fbclid(each)}")
            for each in (1, 2)
        )
    )
    company.fail("meta", "cut_after")
    ran = type_in(company, "run")
    company.clock.advance(company.clock.now() + DAY)
    machine = type_in(company, "run", "--json").objects[0]
    later, trial = type_in(company, "status"), type_in(company, "run", "--dry-run")
    (page,) = company.config.parent.glob("reports/*.html")

    shown = re.sub("</?code>", "`", page.read_text(encoding="utf-8"))
    for told in (ran.out, later.out, trial.out, shown):
        assert EXPLAINED[language] in " ".join(told.split())
    for told in (machine["notices"][0]["text"], machine["attention"][0]):
        assert EXPLAINED["en"] in told


def test_a_code_has_one_name_whichever_interface_spells_it(company):
    """`retry` and `status` show it once, and take it as either API writes it, in any case."""
    company.night()
    for number in range(2):
        lead = company.lead(number, ("RDV pris", company.clock.now()))
        if number == 0:
            company.sandbox.oplead.put(f"L-{number}", lead)  # the platform knows nothing of its click
        else:
            company.use_ads_api()
            company.serve(lead)
            company.sandbox.google_ads.plant_event_rulings({company.gclid(number): {"reason": "CLICK_NOT_FOUND"}})
        company.later(DAY)
        company.later()
    codes = {row.code for row in company.deliveries().values()}

    assert {"CLICK_NOT_FOUND", "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"} == codes
    for name in (*codes, "click_not_found"):
        shown = [
            type_in(company, "retry", "--dry-run", "--code", name).out,
            type_in(company, "status", "--reason", name).out.partition("\n")[2],  # below what was typed
        ]
        (found,) = type_in(company, "retry", "--dry-run", "--json", "--code", name).objects
        assert "PROCESSING_ERROR" not in "".join(shown)
        assert ["L-0", "L-1"] == sorted(set(re.findall(r"L-\d", shown[1])))
        assert codes == {each["code"] for each in found["rejected"]}
    assert "the codes there are: CLICK_NOT_FOUND" in " ".join(
        type_in(company, "retry", "--yes", "--code", "X").err.replace("│", " ").split()
    )


@pytest.mark.parametrize("audience", ["attributed", "all"])
def test_a_click_id_without_a_label_has_a_reason_that_says_what_to_write(company, audience):
    """Of a lead that has none at all, the setting says nothing; once it is written, the first goes out."""
    company.settings["google_ads"] |= {"audience": audience}
    won = ("RDV pris", company.START - DAY)
    bare = company.lead(1, won) | {"contact": {}}
    bare["leadData"] |= {"externalID": company.gclid(1), "utm_source": ""}
    none = company.lead(2, won, clicks="-") | {"contact": {}}
    company.serve(bare, none)
    company.night()
    listed = [type_in(company, "status", "--reason", name).out for name in ("bare_click_id", "no_click_id")]
    shown = type_in(company, "explain", "L-1").lines
    company.settings["click_ids"] = {"bare": "gclid"}
    company.later(DAY)

    assert ("L-1" in listed[0], "L-2" in listed[0]) == (True, False)
    assert "L-1" not in listed[1]
    assert "`click_ids.bare`" in shown
    assert "submitted" == company.states()["L-1", "appointment"]
