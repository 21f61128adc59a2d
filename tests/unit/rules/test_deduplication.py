"""The same sale twice: who counts, and who gives way to whom."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import ClickIdKind, Identifier, IdentifierKind
from jobs.rules.eligibility import dedup_keys
from jobs.rules.extraction import erased
from jobs.rules.model import DedupRule, DedupScope
from tests.builders import CREATED, GOOGLE, WON, click, facts, route
from tests.fakes import LIMITS, sha

DAY = timedelta(days=1)
MONTH = 30 * DAY
PER_CLICK = DedupRule(DedupScope.CLICK, MONTH)
PER_PERSON = DedupRule(DedupScope.PERSON, MONTH)


def test_a_click_is_known_by_every_id_the_route_could_go_out_with():
    """Not by what it does not take, what came after the conversion, nor what is erased."""
    taken = click("gclid-1", CREATED)
    lead = facts(
        click_ids=(
            taken,
            click("fb", CREATED, kind=ClickIdKind.FBCLID),
            click("gclid-late", WON + DAY),
            click(erased("gclid-old"), CREATED),
        )
    )

    assert dedup_keys(route(once=PER_CLICK), facts(click_ids=(taken,)), WON) == dedup_keys(
        route(once=PER_CLICK), lead, WON
    )
    assert 1 == len(dedup_keys(route(once=PER_CLICK), lead, WON))


def test_one_value_of_two_kinds_is_two_clicks():
    """A gclid and a wbraid are never one."""
    kinds = (ClickIdKind.GCLID, ClickIdKind.WBRAID)

    assert 2 == len(dedup_keys(route(once=PER_CLICK), facts(click_ids=[click("x", kind=kind) for kind in kinds]), WON))


def test_all_forms_of_one_click_are_one():
    """The id of the address, and the cookie a browser made of it."""
    forms = frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID})
    limits = replace(LIMITS, click_ids=(ClickIdKind.FBC, ClickIdKind.FBCLID), interchangeable=forms)
    by_form = [
        dedup_keys(route(once=PER_CLICK, limits=limits), facts(click_ids=(click(value, kind=kind),)), WON)
        for value, kind in (("IwAR2x", ClickIdKind.FBCLID), ("fb.1.1789000000123.IwAR2x", ClickIdKind.FBC))
    ]

    assert by_form[0] == by_form[1]
    assert 1 == len(by_form[0])


def test_a_person_is_known_by_e_mail_and_phone_alone():
    """Half of France is called Martin; and only by what the destination is told."""
    kinds = (IdentifierKind.EMAIL, IdentifierKind.PHONE, IdentifierKind.LAST_NAME, IdentifierKind.POSTCODE)
    identifiers = {GOOGLE: tuple(Identifier(kind, sha(kind)) for kind in kinds), "meta": (Identifier(kinds[0], "a"),)}

    assert 2 == len(dedup_keys(route(once=PER_PERSON), facts(identifiers=identifiers), WON))
    assert frozenset() == dedup_keys(route(once=PER_PERSON), facts(), WON)


def test_a_mark_tells_no_value():
    """It is a hash over the hash."""
    identifiers = {GOOGLE: (Identifier(IdentifierKind.EMAIL, sha("jeanne@example.org")),)}
    (mark,) = dedup_keys(route(once=PER_PERSON), facts(identifiers=identifiers), WON)

    assert mark == sha(f"email:{sha('jeanne@example.org')}")


def test_a_route_that_counts_every_lead_marks_nothing():
    """The default."""
    assert frozenset() == dedup_keys(route(), facts(), WON)
