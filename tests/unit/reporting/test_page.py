"""The report's page says what its records do, in the reader's language, and runs nothing that others have written."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from connectors.language import Language, using_language
from docs.demo_report import demo_facts
from docs.picture import DIGEST, PICTURE, digest, page
from jobs.claims import all_claims, count_confirmed
from jobs.reporting.page.facts import (
    AdPlatform,
    BiddingFitness,
    ConversionOutcome,
    Level,
    ResponsibleParty,
    Sales,
    SendingObstacle,
)
from jobs.reporting.page.render import index_row, render, render_index
from jobs.reporting.page.sections.grids import MOST_ROWS
from jobs.reporting.page.words import FITNESS, GAPS, LEVELS, OUTCOMES, PLATFORMS, RESPONSIBLE, URGENCY, explain_outcome
from jobs.rules.reasons import Reason
from tests.report_facts import ALL, FORMULA, HOSTILE, empty_facts, hostile_facts, many_leads

VOID = {"meta", "link", "br", "img", "circle", "path", "line", "rect"}


class Page(HTMLParser):
    """A page's elements and texts; unbalanced ones are a failure."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.open = []
        self.texts = []
        self.rows = []
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Close an element."""
        if tag not in VOID:
            assert tag == self.open.pop()

    def handle_data(self, data):
        """Note what can be read."""
        if data.strip() and "style" not in self.open:
            self.texts.append(data.strip())
            if self.open and "tr" in self.open:
                self.rows[-1].append(data.strip())

    def all(self, name):
        """The attributes of all elements of this name."""
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self):
        """What can be read."""
        return "\n".join(self.texts)


@pytest.fixture(scope="module")
def english():
    """The page of the demo, in English."""
    with using_language(Language.ENGLISH):
        return Page(render(demo_facts()))


def test_every_value_has_a_word():
    """A new outcome, gap or person needs one."""
    assert set(Level) == set(LEVELS) == set(URGENCY)
    assert set(ResponsibleParty) == set(RESPONSIBLE)
    assert set(AdPlatform) == set(PLATFORMS)
    assert set(ConversionOutcome) == set(OUTCOMES)
    assert set(SendingObstacle) == set(GAPS)
    assert set(BiddingFitness) == set(FITNESS)


def test_the_sections_stand_in_the_order_of_their_urgency(english):
    """Tasks come first, what platforms say last."""
    ids = [attributes["id"] for attributes in english.all("h2")]

    assert ids == ["state", "numbers", "night", "standing", "trend", *ids[5:]]
    assert ids[5:] == ["campaigns", "timing", "agencies", "coverage", "platforms"]
    links = [a["href"] for a in english.all("a")]
    assert ["#content", *(f"#{each}" for each in ids[1:]), "#recoverable", "#reasons"] == links
    assert "reasons" in [attributes.get("id") for attributes in english.all("div")]


def test_the_three_numbers_add_up_what_the_records_say(english):
    """Sales without an ad click are listed and not counted; the share is of what platforms accepted."""
    for number in (
        "60",
        "€701,650",
        "▲ 15% more than before (52 sales); value ▲ 16% (from €605,300)",
        "88%",
        "49 accepted of 56 to be sent",
        "€81,920",
    ):
        assert number in english.texts
    assert ["Google", "41", "€492,300", "19", "€228,139", "35", "€414,100"] in english.rows
    assert ["No ad click known", "23", "€268,000", "11", "€128,174", "25", "€281,000"] in english.rows
    assert ["No amount", "Oplead users", "6", "€71,400", "Mon 30 Nov 2026 10:00"] in english.rows


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (3, 4, "▼ 25% fewer than before (4 sales); value ▼ 25% (from €4)"),
        (4, 4, "= as many as before (4 sales); value = (from €4)"),
        (4, 1, "▲ 300% more than before (1 sale); value ▲ 300% (from €1)"),
        (4, 0, "None in the 30 days before"),
    ],
)
def test_the_period_before_is_compared_in_words(now, before, words):
    """Sales and their value may go different ways; nothing is divided by nothing."""
    sales = [(Sales(AdPlatform.META, count, Decimal(count), 0, Decimal(0)),) for count in (now, before)]
    facts = demo_facts()
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, headline=replace(facts.headline, sales=sales[0], sales_before=sales[1]))))

    assert words in shown.texts


@pytest.mark.parametrize(
    ("language", "said"), [(Language.ENGLISH, "{confirmed} of {count}"), (Language.FRENCH, "{confirmed} sur {count}")]
)
def test_how_much_is_confirmed_of_what_is_assumed_stands_on_the_page(language, said):
    """As in the README."""
    confirmed, _day = count_confirmed(all_claims().values())
    with using_language(language):
        text = " ".join(Page(render(empty_facts())).texts)

    assert said.format(confirmed=confirmed, count=len(all_claims())) in text


def test_nothing_is_called_success():
    """Sent, received, accepted and matched are four things."""
    for language in Language:
        with using_language(language):
            assert not re.search(r"succ[eè]s", render(demo_facts()), re.IGNORECASE)


def test_reasons_say_what_they_cost(english):
    """The costliest comes first, counts of several conversions together."""
    costs = [row for row in english.rows if row[-1].startswith("€") and ("Held back" in row or "Expired" in row)]

    assert [["Too late", "20", "€74,900"], ["No amount", "6", "€71,400"]] == [[row[0], *row[-2:]] for row in costs[:2]]


def test_the_night_begins_with_what_it_sent(english):
    """Nobody has to add up tiles; what is not to be sent comes last, with its reason."""
    assert ["Sent", "47", "Received", "28"] == english.texts[(at := english.texts.index("47") - 1) : at + 4]
    facts = demo_facts()
    skipped = replace(
        facts.last_night.standing[0], outcome=ConversionOutcome.NOT_SENT, cause=Reason.BEFORE_SINCE, value=Decimal()
    )
    night = replace(facts.last_night, standing=(skipped, *facts.last_night.standing))
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, last_night=night)))
    rows = [row for row in shown.rows if row[-3:-2] == ["Not to be sent"]]

    assert ["Before its start", "1,243", "–"] == [rows[-1][0], *rows[-1][-2:]]


def test_a_night_of_seconds_is_not_said_to_have_lasted_none():
    """It took no 0 minutes."""
    facts = demo_facts()
    short = replace(facts.last_night, ended_at=facts.last_night.started_at + timedelta(seconds=20))
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, last_night=short)))

    (said,) = [text for text in shown.texts if text.startswith("The last night began")]
    assert "It took" not in said


def test_sales_that_were_not_sent_are_explained_where_the_share_is():
    """A share that is low for want of a past is not taken for a failure."""
    facts = demo_facts()
    google, meta = facts.headline.counted
    counted = (replace(google, sent=20, not_to_be_sent=21), meta)
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, headline=replace(facts.headline, counted=counted))))

    said = " ".join(shown.texts)
    assert "1 of those was not sent. 23 more sales are not to be sent" in said
    assert "49 accepted of 35 to be sent" in said


def test_sales_sent_and_not_sent_add_up(english):
    """Each platform's row leaves no sale unexplained."""
    heads = ["Platform", "Sales", "Sent", "Received", "Accepted", "Not sent", "of which not to be"]
    at = english.rows.index(heads)

    assert [["Google", "41", "38", "38", "36", "3", "0"], ["Meta", "17", "14", "14", "13", "3", "2"]] == english.rows[
        at + 1 : at + 3
    ]


def test_the_first_line_says_what_can_still_be_saved(english):
    """Who does all that needs doing may still have money to save."""
    facts = demo_facts()
    nothing = replace(facts, tasks=(), headline=replace(facts.headline, recoverable=()))
    with using_language(Language.ENGLISH):
        shown = Page(render(nothing))

    assert "€81,920 can be saved within seven days" in english.texts
    assert not any("can be saved within" in text for text in shown.texts)


def test_what_the_night_held_or_lost_is_worth_what_its_leads_are():
    """A tile and the reasons below it price a conversion alike."""
    facts = demo_facts()
    lost = replace(
        facts.last_night.moved[0], outcome=ConversionOutcome.EXPIRED, count=4, value=Decimal(), worth=Decimal(4321)
    )
    night = replace(facts.last_night, moved=(lost,))
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, last_night=night)))

    at = shown.texts.index("€4,321")
    assert ["Expired", "4"] == shown.texts[at - 2 : at]


def test_stages_have_the_names_of_every_other_screen():
    """Settings call a stage by an id; Oplead's labels for it are many, and differ from one house to the next."""
    facts = demo_facts()
    created = (replace(facts.timing[0], stage="created"), *facts.timing[1:])
    with using_language(Language.FRENCH):
        shown = Page(render(replace(facts, timing=created)))

    assert {"Lead créé", "Devis envoyé", "Vente"} <= {row[0] for row in shown.rows if row}
    assert any({"Rendez-vous", "Devis envoyé", "Vente"} <= set(row) for row in shown.rows)


def test_two_names_of_one_source_are_pointed_out(english):
    """Only those who write the links know whether they are one."""
    facts = demo_facts()
    row = replace(facts.funnel.campaigns[2], source="FB")
    funnel = replace(facts.funnel, campaigns=(*facts.funnel.campaigns, row))
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, funnel=funnel)))

    hint = (
        "Counted apart, as your links have them: “FB” and “facebook”. Write the two of a pair alike, and they are one."
    )
    assert hint in shown.texts
    assert not any("Counted apart" in text for text in english.texts)
    old = replace(facts.funnel.campaigns[2], source="adwords")
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, funnel=replace(facts.funnel, campaigns=(*facts.funnel.campaigns, old)))))
    assert any("Counted apart, as your links have them: “adwords” and “google”." in text for text in shown.texts)


def test_a_campaign_of_several_sources_has_their_sum_above_them(english):
    """Its parts are marked as such; a campaign of one source stays one row, and nothing is counted twice."""
    rows = [row for row in english.rows if "Fenêtres" in row[0]]
    sold, leads = rows[:3], rows[3:]

    assert ["Fenêtres – avant/après", "2 sources together", "5", "€56,200", "0"] == sold[0]
    assert ["↳ Fenêtres – avant/après", "instagram / paid_social", "3", "€34,900", "0"] == sold[1]
    assert ["↳ Fenêtres – avant/après", "facebook / paid_social", "2", "€21,300", "0"] == sold[2]
    assert ["Fenêtres – avant/après", "2 sources together", "141"] == leads[0][:3]
    assert ["96", "45"] == [row[2] for row in leads[1:]]
    assert 2 == sum("Isolation" in row[0] for row in english.rows), "its sales, and its leads"
    assert ["Leads", "1,464", "100%"] in english.rows


def test_of_many_campaigns_only_the_sums_are_shown():
    """Their sources would take the room of other campaigns; the files have them."""
    facts = demo_facts()
    row = facts.funnel.campaigns[0]
    rows = tuple(replace(row, source=source, campaign=f"C{n}") for n in range(10) for source in ("a", "b"))
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, funnel=replace(facts.funnel, campaigns=rows, sales=()))))

    assert 10 == sum(row[1:2] == ["2 sources together"] for row in shown.rows)
    assert not [row for row in shown.rows if row[0].startswith("↳")]


def test_leads_without_a_campaign_have_no_sum():
    """Those of two sources have nothing in common."""
    facts = demo_facts()
    some = [replace(row, campaign="") for row in facts.funnel.campaigns[1:3]]
    with using_language(Language.ENGLISH):
        shown = Page(render(replace(facts, funnel=replace(facts.funnel, campaigns=tuple(some), sales=()))))

    assert not [row for row in shown.rows if "together" in row[1]]


def test_sales_by_campaign_add_up_to_the_sales_by_platform():
    """On the page of the documentation, too."""
    facts = demo_facts()

    assert sum(row.count for row in facts.funnel.sales) == sum(row.count for row in facts.headline.sales)
    assert sum(row.value for row in facts.funnel.sales) == sum(row.value for row in facts.headline.sales)


def test_what_is_in_doubt_for_now_differs_from_what_stays_so():
    """The next night resends the one; somebody has to look the other up."""
    with using_language(Language.ENGLISH):
        lost, unknown = (
            explain_outcome(ConversionOutcome.IN_DOUBT, each) for each in (Reason.ANSWER_LOST, Reason.NO_OUTCOME)
        )

    assert lost.needs_no_action
    assert not unknown.needs_no_action


def test_matched_is_told_only_where_a_platform_tells_it(english):
    """None is not zero."""
    assert any(row[:2] == ["Rendez-vous pris", "Meta"] and row[-1] == "511" for row in english.rows)
    assert any(row[:2] == ["Vente signée", "Google Ads"] and row[-1] == "not told" for row in english.rows)


def test_a_difference_is_told_in_words_and_first(english):
    """Colour alone would not say it."""
    (last,) = [place for place, row in enumerate(english.rows) if row[0] == "What"]

    assert "▲ differs" in english.rows[last + 1]
    assert "the same" in english.rows[last + 2]


def test_sections_without_data_say_so():
    """A new account sees sentences, not empty tables."""
    with using_language(Language.ENGLISH):
        shown = Page(render(empty_facts()))

    assert [] == shown.all("table")
    assert "Everything is all right." in shown.texts
    assert "No night has run yet. Its figures will be here in the morning." in shown.texts
    assert 8 == sum("empty" in (attributes.get("class") or "") for attributes in shown.all("p"))


def test_a_table_ends_after_its_biggest_rows():
    """The CSV has the others."""
    with using_language(Language.ENGLISH):
        shown = Page(render(many_leads()))

    assert "and 4,975 more: the CSV files have all of them" in shown.texts
    campaigns = [row for row in shown.rows if row[0].startswith("campagne_")]
    assert 2 * MOST_ROWS == len(campaigns), "their sales, and their leads"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("facts", ALL)
def test_a_page_loads_and_runs_nothing(facts, language):
    """No script, no handler, no address to anywhere, whatever the records say."""
    with using_language(language):
        html = render(ALL[facts]())
    shown = Page(html)

    assert shown.all("html") == [{"lang": language.value}]
    assert {"http-equiv", "content"} == set(shown.all("meta")[2])
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" == shown.all("meta")[2]["content"]
    assert not {"script", "img", "iframe", "object", "embed", "form", "base", "use", "image"} & {
        t for t, _ in shown.elements
    }
    for _tag, attributes in shown.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "action", "xlink:href")]
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    assert not re.search(r"https?://|@import|url\(", html)


@pytest.mark.parametrize("language", Language)
def test_what_others_wrote_is_only_ever_text(language):
    """A campaign called like a script shows as it is called, in tables, charts and descriptions."""
    with using_language(language):
        html = render(hostile_facts(HOSTILE))

    assert "<script" not in html
    assert "onerror=alert(1)>" not in html
    assert HOSTILE in Page(html).text
    with using_language(language):
        assert FORMULA in Page(render(hostile_facts(FORMULA))).text


def test_code_in_a_text_is_shown_as_code():
    """Names of settings stand between backticks, as everywhere; a lone one is a character."""
    facts = demo_facts()
    tasks = tuple(replace(facts.tasks[0], text=text) for text in ("write `a: <b>` there", "5` wide"))
    with using_language(Language.ENGLISH):
        html = render(replace(facts, tasks=tasks))

    assert "<p>write <code>a: &lt;b&gt;</code> there</p>" in html
    assert "<p>5` wide</p>" in html


def test_characters_that_would_reorder_text_are_not_shown():
    """A name cannot turn the text around it."""
    with using_language(Language.ENGLISH):
        assert "\u202e" not in render(hostile_facts("safe\u202etxt"))


def test_the_page_speaks_french():
    """Words, numbers, money and dates."""
    with using_language(Language.FRENCH):
        shown = Page(render(demo_facts()))

    for text in (
        "Trois chiffres",
        "701\u202f650\xa0€",
        "88\u202f%",
        "Du jeu. 29 oct. 2026 au ven. 27 nov. 2026 (30 jours), vu le sam. 28 nov. 2026 06:00",
    ):
        assert text in shown.texts


def test_the_page_can_be_read_aloud(english):
    """One h1, headings in order, tables with captions and scopes, charts with words and numbers."""
    levels = [int(tag[1]) for tag, _attributes in english.elements if re.fullmatch(r"h\d", tag)]

    assert 1 == levels.count(1)
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert len(english.all("table")) == len(english.all("caption"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in english.all("th"))
    drawn = [attributes for attributes in english.all("div") if attributes.get("role") == "img"]
    assert len(drawn) == len(english.all("figure")) > 10
    assert all(len(attributes["aria-label"]) > 30 for attributes in drawn)
    assert {"nav", "main", "header", "footer"} <= {tag for tag, _attributes in english.elements}


def test_the_index_links_to_each_account_the_most_urgent_first():
    """An address that a name makes is quoted."""
    rows = [
        index_row(empty_facts(), "javascript:alert(1).html"),
        index_row(replace(demo_facts(), account=HOSTILE), "é t.html"),
    ]
    with using_language(Language.ENGLISH):
        shown = Page(render_index(rows))
        nothing = Page(render_index([]))

    assert ["%C3%A9%20t.html", "javascript%3Aalert%281%29.html"] == [a["href"] for a in shown.all("a")]
    assert HOSTILE in shown.texts
    assert "60 sales from ads, €701,650" in shown.texts
    assert "There is no account yet." in nothing.texts


def test_the_picture_shows_the_page_as_it_is():
    """After a change of the page, `make picture` takes it anew."""
    assert DIGEST.read_text(encoding="ascii") == digest(page()), "run `make picture`"
    assert PICTURE.stat().st_size < 320_000


def test_a_hundred_thousand_leads_cost_little():
    """150 MB above what is loaded, and two seconds of CPU, or four beside other work; chart engine included."""
    program = """
import resource, time
from connectors.language import Language, using_language
from jobs.reporting.page.render import render
from tests.report_facts import many_leads
facts = many_leads()
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
with using_language(Language.FRENCH):
    html = render(facts)
print(time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, len(html))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True, timeout=100
    )
    seconds, megabytes, size = map(float, done.stdout.split())

    assert (seconds < 4, megabytes < 150, size < 1_500_000) == (True, True, True), done.stdout


def test_the_page_says_truly_what_it_holds():
    """It lists leads by their ids, which lead whoever has access to Oplead to a person."""
    texts = " ".join(Page(render(demo_facts())).texts)

    assert "no personal data" not in texts
    assert "lists leads by their ids in Oplead" in texts
