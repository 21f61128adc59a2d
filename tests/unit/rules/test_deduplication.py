"""Which clicks and persons identify duplicates of one conversion."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import ClickIdKind, ContactIdentifierKind, Identifier
from jobs.rules.eligibility import dedup_keys
from jobs.rules.extraction import erased_click_id_hash
from jobs.rules.model import DedupRule, DedupScope
from tests.builders import CREATED, GOOGLE, WON, click, facts, route
from tests.fakes import LIMITS, sha

DAY = timedelta(days=1)
MONTH = 30 * DAY
PER_CLICK = DedupRule(DedupScope.CLICK, MONTH)
PER_PERSON = DedupRule(DedupScope.PERSON, MONTH)


def test_click_scope_keys_every_id_the_route_could_send():
    """Ids of other kinds, ids from after the conversion and erased ids have no key."""
    taken = click("gclid-1", CREATED)
    lead = facts(
        click_ids=(
            taken,
            click("fb", CREATED, kind=ClickIdKind.FBCLID),
            click("gclid-late", WON + DAY),
            click(erased_click_id_hash("gclid-old"), CREATED),
        )
    )

    assert dedup_keys(route(once=PER_CLICK), facts(click_ids=(taken,)), WON) == dedup_keys(
        route(once=PER_CLICK), lead, WON
    )
    assert 1 == len(dedup_keys(route(once=PER_CLICK), lead, WON))


def test_same_value_of_two_kinds_gives_two_keys():
    """A gclid and a wbraid never identify the same click."""
    kinds = (ClickIdKind.GCLID, ClickIdKind.WBRAID)

    assert 2 == len(dedup_keys(route(once=PER_CLICK), facts(click_ids=[click("x", kind=kind) for kind in kinds]), WON))


def test_interchangeable_forms_of_a_click_share_a_key():
    """The id in the address and the cookie a browser makes from it are one click."""
    forms = frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID})
    limits = replace(LIMITS, click_ids=(ClickIdKind.FBC, ClickIdKind.FBCLID), interchangeable=forms)
    by_form = [
        dedup_keys(route(once=PER_CLICK, limits=limits), facts(click_ids=(click(value, kind=kind),)), WON)
        for value, kind in (("IwAR2x", ClickIdKind.FBCLID), ("fb.1.1789000000123.IwAR2x", ClickIdKind.FBC))
    ]

    assert by_form[0] == by_form[1]
    assert 1 == len(by_form[0])


def test_person_scope_uses_only_email_and_phone():
    """Names are too common (half of France is called Martin), and only the destination's own identifiers count."""
    kinds = (
        ContactIdentifierKind.EMAIL,
        ContactIdentifierKind.PHONE,
        ContactIdentifierKind.LAST_NAME,
        ContactIdentifierKind.POSTCODE,
    )
    identifiers = {GOOGLE: tuple(Identifier(kind, sha(kind)) for kind in kinds), "meta": (Identifier(kinds[0], "a"),)}

    assert 2 == len(dedup_keys(route(once=PER_PERSON), facts(identifiers=identifiers), WON))
    assert frozenset() == dedup_keys(route(once=PER_PERSON), facts(), WON)


def test_deduplication_key_is_a_hash_of_the_hash():
    """The key does not reveal the identifier."""
    identifiers = {GOOGLE: (Identifier(ContactIdentifierKind.EMAIL, sha("jeanne@example.org")),)}
    (mark,) = dedup_keys(route(once=PER_PERSON), facts(identifiers=identifiers), WON)

    assert mark == sha(f"email:{sha('jeanne@example.org')}")


def test_route_without_deduplication_has_no_keys():
    """Counting every lead is the default."""
    assert frozenset() == dedup_keys(route(), facts(), WON)
