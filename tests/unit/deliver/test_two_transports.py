"""A destination with two ways: leads with some ids go by one, all others by the other, and no stage is told twice."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import ClickId, ClickIdKind
from tests.builders import CREATED, TARGET, WON, changed, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
FORM = frozenset({ClickIdKind.LEAD_ID})
LEAD_ID = ClickId(ClickIdKind.LEAD_ID, "123456789012345")
FBCLID = ClickId(ClickIdKind.FBCLID, "IwAR-one")


def two_ways(account, *, funnel=(("won", "sale", {"gagne"}),)):
    """A sale as an event, and a funnel of stages for leads of forms; both take what is due at once."""
    account.sink.asynchronous = False
    limits = replace(
        account.sink.limits,
        click_ids=(ClickIdKind.LEAD_ID, ClickIdKind.FBCLID),
        opens_after_click=timedelta(0),
        event_window=30 * DAY,
    )
    account.sink.limits = limits
    over = {"limits": limits, "event_window": limits.event_window}
    stages = [
        route(
            f"funnel:{name}",
            target=replace(TARGET, action=name, source="crm"),
            stage=stage,
            labels=frozenset(labels),
            on_creation=stage == "created",
            only_with=FORM,
            **over,
        )
        for stage, name, labels in funnel
    ]
    account.book = rulebook(route(stage="won", never_with=FORM, **over), *stages)


def by_conversion(account):
    """Conversion → state."""
    return {row.conversion: row.state for row in account.rows()}


def test_each_lead_goes_its_own_way(account):
    """And has no row on the other."""
    two_ways(account)
    account.put(lead("L-1", click_ids=(FBCLID,)), lead("L-2", click_ids=(LEAD_ID,)))
    account.night()

    assert {("L-1", "sale"), ("L-2", "funnel:sale")} == {(row.lead, row.conversion) for row in account.rows()}


def test_a_stage_told_one_way_is_not_told_the_other(account):
    """The form's id turns up after the sale went out as an event: the same sale is not counted again."""
    two_ways(account)
    account.put(lead(click_ids=(FBCLID,)))
    account.night()
    account.clock.time += DAY
    account.put(changed(account.source.leads["L-1"], click_ids=(FBCLID, LEAD_ID)))
    account.night()

    assert {"sale": "accepted"} == by_conversion(account)


def test_a_forms_id_that_turns_up_late_is_as_old_as_the_lead(account):
    """So that the stages before it are told too, by the id."""
    two_ways(account, funnel=(("created", "raw", ()), ("won", "sale", {"gagne"})))
    account.put(lead(click_ids=(), history=(), label="Nouveau", created_at=NIGHT - DAY))
    account.night()
    account.clock.time += DAY
    account.put(
        lead(click_ids=(LEAD_ID,), created_at=NIGHT - DAY, history=(), label="Gagné", updated_at=account.clock.now())
    )
    account.night()

    assert {"funnel:raw": "accepted", "funnel:sale": "accepted"} == by_conversion(account)


def test_what_waited_on_the_other_way_ends_with_its_time(account):
    """An open delivery whose lead goes another way now is held back, and expires as any other; its hashes go."""
    two_ways(account)
    account.book = replace(account.book, routes=tuple(replace(one, attach_contact=True) for one in account.book.routes))
    account.put(lead(click_ids=(), fields={"consent": "oui"}))
    account.night()
    account.put(changed(account.source.leads["L-1"], click_ids=(LEAD_ID,), history=(), label="Perdu"))
    account.night()
    held_back = by_conversion(account)
    account.clock.time = WON + 31 * DAY
    account.night()
    account.night()

    assert "withheld" == held_back["sale"]
    assert "expired" == by_conversion(account)["sale"]
    assert set() == account.hashed


def test_the_created_stage_is_told_at_creation(account):
    """The lead's own beginning is its first stage."""
    two_ways(account, funnel=(("created", "raw", ()),))
    account.put(lead(click_ids=(LEAD_ID,), created_at=CREATED + 20 * DAY))
    account.night()

    assert {"funnel:raw": "accepted"} == by_conversion(account)
