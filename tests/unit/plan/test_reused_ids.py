"""An id that Oplead gives to another lead: nothing of the new one is sent, or corrected on the former one's record."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind, Moment, OutcomeClass, StatusEntry
from jobs.ledger.schema import ConsentAnswerRow, LeadRow
from jobs.nightly import run_night
from jobs.rules.model import UndoRule
from jobs.run_context import TwinAnswer
from tests import fakes
from tests.builders import CREATED, TARGET, attention, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
ANOTHER = (ClickId(ClickIdKind.GCLID, "gclid-another"),)


def night(account, **more):
    """Run one night a day later, and return its summary."""
    account.clock.time += DAY
    with account.hold() as ledger:
        return run_night(account.run(ledger, **more))


@pytest.fixture
def paid(account):
    """An account whose leads were sent with their amounts."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(*(lead(f"L-{number}") for number in range(6)))
    night(account)
    night(account)
    return account


def reuse(account, count, moved=31 * DAY):
    """Have Oplead show others, created at another time and worth more, under the ids of so many leads."""
    for number in range(count):
        other = {
            "created_at": CREATED - moved,
            "fields": {"consent": "oui", "amount": Decimal(9000)},
            "click_ids": ANOTHER,
        }
        account.put(changed(lead(f"L-{number}"), **other))


def test_nothing_of_another_lead_is_corrected_on_the_former_ones_record(paid):
    """It is told, and named, until somebody says what it is; what was sent stands."""
    reuse(paid, 1)
    first, second = night(paid), night(paid)
    told = night(paid, twins=TwinAnswer.OTHER)

    assert (1, 1, 0) == (first.exit_code, second.exit_code, told.exit_code)
    assert "another lead under the id of 1 lead" in attention(first)[0]
    assert "(L-0)" in attention(second)[0]
    assert [] == paid.corrections()
    assert 6 == sum(paid.sink.counted.values())


def test_creation_that_moves_by_a_month_is_the_same_lead(paid):
    """Somebody corrected it."""
    reuse(paid, 1, moved=30 * DAY)
    summary = night(paid)

    assert (0, 1) == (summary.exit_code, len(paid.corrections()))


def test_creation_that_moves_far_beside_the_same_click_is_the_same_lead(account):
    """Somebody corrected it."""
    account.put(lead())
    night(account)
    account.put(changed(lead(), created_at=CREATED - 31 * DAY))

    assert 0 == night(account).exit_code


def test_answer_ends_what_is_told_of_a_lead_that_is_gone_since(paid):
    """Nothing shows it again."""
    reuse(paid, 1)
    night(paid)
    paid.source.delete("L-0")
    assert 1 == night(paid).exit_code
    assert [0, 0] == [night(paid, twins=TwinAnswer.SAME).exit_code, night(paid).exit_code]


def test_four_in_a_night_hold_what_is_due(paid):
    """Day and month are exchanged rather: until it is mended, nothing goes out, and then all does."""
    reuse(paid, 4)
    paid.put(lead("X-1"))
    first, second = night(paid), night(paid)

    assert (1, 1, "pending") == (first.exit_code, second.exit_code, paid.states["X-1"])
    assert "day and month exchanged" in attention(second)[0]

    paid.put(*(lead(f"L-{number}") for number in range(4)))
    assert 0 == night(paid).exit_code
    assert "submitted" == paid.states["X-1"]


@pytest.mark.parametrize(("answer", "corrected"), [(TwinAnswer.SAME, 4), (TwinAnswer.OTHER, 0)])
def test_answer_releases_what_was_held(paid, answer, corrected):
    """The same leads are taken as they are now; of others, still nothing is stored."""
    reuse(paid, 4)
    paid.put(lead("X-1"))
    night(paid)
    told = night(paid, twins=answer)
    after = night(paid)

    assert (0, 0, corrected) == (told.exit_code, after.exit_code, len(paid.corrections()))
    assert 7 == sum(paid.sink.counted.values())


# ── what was under way ───────────────────────────────────────────────────────────────────────────


def lost(account, name, **more):
    """Have Oplead show a lead as lost since this morning."""
    old = lead(name)
    since = StatusEntry("Perdu", Moment(account.clock.now()))
    account.put(changed(old, label="Perdu", history=(*old.history, since), **more))


@pytest.fixture
def undoable(account):
    """An account whose lost sales are taken back after three days."""
    undo = UndoRule(frozenset({"perdu"}), 3 * DAY)
    target = replace(TARGET, transport="google_ads_api")
    account.book = rulebook(route(field_value=from_field(), undo=undo, target=target))
    account.sink.asynchronous = False
    account.put(lead("L-0"))
    night(account)
    night(account)
    assert {"L-0": "accepted"} == account.states
    return account


def corrected(account):
    """Return state, reason and value of every correction."""
    return [(row.state, row.reason, row.value) for row in account.corrections()]


def test_undoing_that_nobody_can_confirm_any_more_is_withheld(undoable):
    """Whether the former lead was won again meanwhile, no reading tells; once it is shown again, it goes on."""
    lost(undoable, "L-0")
    night(undoable)
    assert [("pending", "may_come_back", None)] == corrected(undoable)
    kept = undoable.source.leads["L-0"]
    reuse(undoable, 1)
    for _ in range(5):
        night(undoable)
    assert [("withheld", "reused_id", None)] == corrected(undoable)
    assert set() == undoable.sink.retracted

    undoable.put(kept)
    night(undoable)

    assert [("accepted", None, None)] == corrected(undoable)


def test_withheld_undoing_ends_with_its_window(undoable):
    """It is not looked at for ever."""
    lost(undoable, "L-0")
    night(undoable)
    reuse(undoable, 1)
    night(undoable)
    undoable.clock.time += 60 * DAY
    night(undoable)

    assert [("expired", "too_late_to_correct", None)] == corrected(undoable)


def test_correction_that_was_due_before_is_the_former_leads_own(undoable):
    """It only waited for its platform, and has the former lead's amount."""
    refused = fakes.refuse(OutcomeClass.FIX_CONFIG, "CUSTOMER_NOT_ENABLED")
    undoable.sink.adjust_script.append(refused)
    undoable.put(changed(lead("L-0"), fields={"consent": "oui", "amount": Decimal(2000)}))
    night(undoable)
    assert ["pending"] == [state for state, _, _ in corrected(undoable)]
    reuse(undoable, 1)
    night(undoable)

    assert [("accepted", None, "2000.00")] == corrected(undoable)


@pytest.mark.parametrize("moved", [31 * DAY, DAY])
def test_consent_that_is_withdrawn_under_a_reused_id_counts(account, moved):
    """In doubt it is the same person: what waits is cancelled, and no hash stays."""
    account.book = rulebook(route(attach_contact=True, field_value=from_field()))
    unpaid = {"consent": "oui"}
    account.put(lead("L-0", fields=unpaid, history=(StatusEntry("Gagné", Moment(NIGHT)),)))
    night(account)
    assert ("pending", {"L-0"}) == (account.states["L-0"], account.hashed)
    account.put(changed(lead("L-0", fields={"consent": "non"}, click_ids=ANOTHER), created_at=CREATED - moved))
    night(account)

    assert ("cancelled", "consent_withdrawn", set()) == (
        account.states["L-0"],
        account.reasons["L-0"],
        account.hashed,
    )


def test_consent_counts_as_given_once_the_former_lead_is_shown_again(account):
    """The refusal was another's: the former lead is read whole, though it is as it was stored."""
    account.put(lead("L-0", label="Nouveau", history=()))
    night(account)
    account.put(changed(lead("L-0", fields={"consent": "non"}, click_ids=ANOTHER), created_at=CREATED - 31 * DAY))
    night(account)
    account.put(lead("L-0", label="Nouveau", history=()))
    night(account)

    assert ["granted"] == [row.ad_user_data for row in account.rows(LeadRow)]
    assert ["granted", "refused", "granted"] == [row.answer for row in account.rows(ConsentAnswerRow)]
