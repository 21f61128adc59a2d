"""A destination with two routes: leads with certain ids take one, all others the other, and no stage is sent twice."""

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
    """Route sales as events, and stages of form leads through a funnel; both routes send due conversions at once."""
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
    """Map each conversion to its state."""
    return {row.conversion: row.state for row in account.rows()}


def test_lead_takes_only_the_route_of_its_ids(account):
    """It has no row on the other route."""
    two_ways(account)
    account.put(lead("L-1", click_ids=(FBCLID,)), lead("L-2", click_ids=(LEAD_ID,)))
    account.night()

    assert {("L-1", "sale"), ("L-2", "funnel:sale")} == {(row.lead, row.conversion) for row in account.rows()}


def test_stage_is_not_sent_again_by_the_other_route(account):
    """The form's id turns up after the sale went out as an event; the sale must not count again."""
    two_ways(account)
    account.put(lead(click_ids=(FBCLID,)))
    account.night()
    account.clock.time += DAY
    account.put(changed(account.source.leads["L-1"], click_ids=(FBCLID, LEAD_ID)))
    account.night()

    assert {"sale": "accepted"} == by_conversion(account)


def test_late_form_id_is_dated_by_lead_creation(account):
    """Earlier stages can then be sent by that id too."""
    two_ways(account, funnel=(("created", "raw", ()), ("won", "sale", {"gagne"})))
    account.put(lead(click_ids=(), history=(), label="Nouveau", created_at=NIGHT - DAY))
    account.night()
    account.clock.time += DAY
    account.put(
        lead(click_ids=(LEAD_ID,), created_at=NIGHT - DAY, history=(), label="Gagné", updated_at=account.clock.now())
    )
    account.night()

    assert {"funnel:raw": "accepted", "funnel:sale": "accepted"} == by_conversion(account)


def test_open_delivery_expires_after_its_lead_changes_route(account):
    """It is withheld until its window closes, and its contact hashes are erased."""
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


def test_created_stage_is_sent_at_lead_creation(account):
    """The creation of the lead is its first stage."""
    two_ways(account, funnel=(("created", "raw", ()),))
    account.put(lead(click_ids=(LEAD_ID,), created_at=CREATED + 20 * DAY))
    account.night()

    assert {"funnel:raw": "accepted"} == by_conversion(account)
