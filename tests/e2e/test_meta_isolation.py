"""Bad events among a thousand for Meta, which takes a request whole or not at all, and seldom says why."""

import functools
import random
import shutil
from datetime import timedelta

import pytest

from tests.builders import stops

FULL = 1_000
"""The most events that one request may carry."""
FEW = 40
BAD = 3
# Errors that no local check can detect and no answer of Meta's explains.
SUBCODES = (2804036, 2804050, 2804048)
ALIKE = SUBCODES[:1] * 3
SEED = 20_260_911
NAMED = {"meta_error_index": True}
UNNAMED = {"meta_error_index": False}
REVOKED = "EAArevoked"
MOST_REQUESTS_IN_VAIN = 15


def cost_unnamed(events):
    """How many requests find the bad events where no refusal names one."""
    return 2 * BAD * (events - 1).bit_length() + 1


def places_of(where, events):
    """The positions of the bad events in the request."""
    middle = events // 2
    fixed = {"first": (0, 1, 2), "adjacent": (middle - 1, middle, middle + 1), "ends": (0, 1, events - 1)}
    return fixed.get(where) or random.Random(SEED).sample(range(events), BAD)


def number_of(place):
    """The number of the lead at a position of the request."""
    return f"{place:04}"


def frugal(company):
    """Reduce a company to one conversion to Meta alone: only the wire matters here."""
    company.use_meta_alone()
    company.settings["conversions"] = [company.conversion("appointment")]
    company.max_per_run = 10_000
    return company


@pytest.fixture(scope="module")
def due(companies):
    """Make companies whose state has this many deliveries due to Meta, oldest first, none accepted yet."""

    @functools.cache
    def planned(events):
        company = frugal(companies())
        company.serve(
            *(
                company.lead(
                    number_of(place),
                    ("RDV pris", company.CREATED + timedelta(days=4, seconds=place + 1)),
                    created=company.CREATED + timedelta(days=3),
                    clicks=f"fbclid={company.fbclid(number_of(place))}",
                )
                for place in range(events)
            )
        )
        company.environ["META_ACCESS_TOKEN"] = REVOKED
        summary = company.night()

        assert events == summary.pulled.seen
        assert ["meta"] == list(stops(summary))
        assert {"pending"} == set(company.states("meta").values())

        company.sandbox.oplead.book.clear()  # so that later runs have nothing to read
        return company

    def make(events):
        before, company = planned(events), frugal(companies())
        company.state.parent.mkdir(exist_ok=True)
        shutil.copy(before.state, company.state)
        # With another address every lead would have to be read again.
        company.settings["oplead"] = {"base_url": before.sandbox.sandbox_server_urls["oplead"]}
        return company

    return make


def counts(company, state):
    """How many deliveries are in a state."""
    return sum(each == state for each in company.states("meta").values())


@pytest.mark.parametrize(
    ("events", "switches", "where", "codes"),
    [
        pytest.param(FULL, NAMED, "spread", SUBCODES, id="each answer names one of 1000"),
        pytest.param(FEW, NAMED, "ends", SUBCODES, id="each answer names one, bad ones at the ends"),
        pytest.param(FULL, UNNAMED, "adjacent", SUBCODES, id="none of 1000 named, bad ones side by side"),
        pytest.param(FULL, UNNAMED, "first", ALIKE, id="none of 1000 named, bad ones first and alike"),
        pytest.param(FULL, UNNAMED, "spread", SUBCODES, id="none of 1000 named, bad ones anywhere"),
        pytest.param(FEW, UNNAMED, "ends", SUBCODES, id="none named, bad ones at the ends"),
        pytest.param(FEW, UNNAMED, "spread", ALIKE, id="none named, bad ones anywhere and alike"),
    ],
)
def test_bisect_finds_bad_events_within_the_request_bound(due, events, switches, where, codes):
    """Every good event is accepted, and the bad ones are rejected with their codes."""
    company = due(events)
    for name, position in switches.items():
        company.sandbox.meta.set_switch(name, position)
    bad = dict(zip(map(number_of, places_of(where, events)), codes, strict=True))
    company.sandbox.meta.plant_event_rulings(
        {company.fbclid(number): {"subcode": code} for number, code in bad.items()}
    )

    summary = company.night()

    assert len(company.posts) == summary.delivered.requests
    assert len(company.posts) <= (BAD + 1 if switches is NAMED else cost_unnamed(events))
    assert events == len(company.posts[0].events)
    assert 1 == summary.exit_code

    rejected = {row.lead: row.code for row in company.deliveries("meta").values() if row.state == "rejected"}
    assert {f"L-{number}": f"100/{code}" for number, code in bad.items()} == rejected
    assert events - BAD == counts(company, "accepted")
    assert [] == company.disagreements()


@pytest.mark.parametrize(
    ("events", "switches", "codes"),
    [
        pytest.param(FULL, UNNAMED, ALIKE, id="none of 1000 named, all alike"),
        pytest.param(FULL, UNNAMED, SUBCODES, id="none of 1000 named, three reasons by turns"),
        pytest.param(FEW, NAMED, ALIKE, id="each answer names one, all alike"),
        pytest.param(FEW, NAMED, SUBCODES, id="each answer names one, three reasons by turns"),
    ],
)
def test_all_events_refused_stops_for_a_human(due, events, switches, codes):
    """A few requests show that nothing passes, so no row is rejected; once fixed, everything is sent once."""
    company = due(events)
    meta = company.sandbox.meta
    for name, position in switches.items():
        meta.set_switch(name, position)
    meta.plant_event_rulings(
        {company.fbclid(number_of(place)): {"subcode": codes[place % 3]} for place in range(events)}
    )

    summary = company.night()

    assert len(company.posts) <= MOST_REQUESTS_IN_VAIN
    assert {400} == {post.status for post in company.posts}
    assert 3 == summary.exit_code
    assert ["meta/Schedule"] == list(stops(summary))
    assert "nothing passes" in stops(summary)["meta/Schedule"]
    assert 0 == summary.delivered.sent == summary.delivered.unexpected
    assert events == counts(company, "pending")

    company.posts.clear()
    meta.load(meta.dump() | {"rulings": {}})
    mended = company.later(timedelta(hours=1))

    assert {} == stops(mended)
    assert [events] == [len(post.events) for post in company.posts]
    assert events == counts(company, "accepted")
    assert [] == company.disagreements()
