"""From when changes count, and how far later settings may move that start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.ledger.leads import starts
from jobs.ledger.schema import Delivery, LeadRow, Start
from jobs.plan.new_settings import RenamedIdError, apply_settings_to_ledger
from jobs.rules.model import CountingStarts
from tests.builders import ACCOUNT, GOOGLE, START, TARGET, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
SALE = ("sale", GOOGLE)


def adopt(ledger, *routes, now=NIGHT, since=None, was=None):
    """Apply settings to the ledger and return the starts it then holds."""
    book = rulebook(*routes, since=since or {}, was=was or {})
    with ledger.write_transaction() as session:
        apply_settings_to_ledger(session, book, now=now)
    with ledger.read_transaction() as session:
        return starts.load_counting_starts(session, ACCOUNT)


def test_conversion_starts_at_the_first_run_that_sees_it(ledger):
    """Later runs leave the start there."""
    adopt(ledger, route())

    assert {SALE: CountingStarts(NIGHT, {"gagne": NIGHT})} == adopt(ledger, route(), now=NIGHT + DAY)


def test_start_in_the_settings_governs_and_may_be_moved(ledger):
    """It moves in either direction and for every label."""
    found = [adopt(ledger, route(), since={"sale": since})[SALE] for since in (START, START - DAY, START + DAY)]

    assert [START, START - DAY, START + DAY] == [start.start_for_label("gagne") for start in found]


def test_start_removed_from_the_settings_stays_where_it_was(ledger):
    """Nothing that was sent is called into question, and nothing old is sent."""
    adopt(ledger, route(), since={"sale": START})

    assert START == adopt(ledger, route(), now=NIGHT + DAY)[SALE].start_for_label("gagne")


def test_label_added_later_has_its_own_start(ledger):
    """Leads that had the label long before are not all sent at once."""
    adopt(ledger, route())
    found = adopt(ledger, route(labels=frozenset({"gagne", "vendu"})), now=NIGHT + DAY)[SALE]

    assert (NIGHT, NIGHT + DAY) == (found.start_for_label("gagne"), found.start_for_label("vendu"))


def test_conversion_added_later_has_its_own_start(ledger):
    """The others keep theirs."""
    adopt(ledger, route())
    other = route("quote", target=replace(TARGET, action="5"), labels=frozenset({"devis"}))
    found = adopt(ledger, route(), other, now=NIGHT + DAY)

    assert (NIGHT, NIGHT + DAY) == (found[SALE].conversion, found["quote", GOOGLE].conversion)


def test_destination_added_later_has_its_own_start(ledger):
    """One conversion may start at different times at two destinations."""
    adopt(ledger, route())
    found = adopt(ledger, route(), route(destination="second"), now=NIGHT + DAY)

    assert (NIGHT, NIGHT + DAY) == (found[SALE].conversion, found["sale", "second"].conversion)


def test_new_transport_or_action_does_not_move_the_start(ledger):
    """It is the same conversion."""
    adopt(ledger, route())
    elsewhere = replace(TARGET, transport="google_ads_api", action="5")

    assert NIGHT == adopt(ledger, route(target=elsewhere), now=NIGHT + DAY)[SALE].conversion


def delivered(ledger):
    """Record an accepted sale and its lead."""
    with ledger.write_transaction() as session:
        session.add(
            LeadRow(
                account=ACCOUNT,
                id="L-1",
                created_at=START,
                digest="",
                seen_at=NIGHT,
                ad_user_data="granted",
                ad_personalization="not_asked",
                facts="{}",
                fresh=False,
                to_plan=False,
            )
        )
        session.flush()
        session.add(
            Delivery(
                account=ACCOUNT,
                lead="L-1",
                conversion="sale",
                destination=GOOGLE,
                occurrence=1,
                key="k1",
                state="accepted",
            )
        )


def test_renamed_conversion_keeps_its_deliveries_and_start(ledger):
    """With `was: old-id` nothing is sent again, and keys stay as they were sent."""
    adopt(ledger, route())
    delivered(ledger)
    found = adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": "sale"})
    with ledger.read_transaction() as session:
        row = session.get(Delivery, 1)

    assert {("vente", GOOGLE): CountingStarts(NIGHT, {"gagne": NIGHT})} == found
    assert ("vente", "k1") == (row.conversion, row.key)


def test_was_may_stay_in_the_settings(ledger):
    """From the second night on there is nothing left to rename."""
    adopt(ledger, route())
    for night in (1, 2, 3):
        found = adopt(ledger, route("vente"), now=NIGHT + night * DAY, was={"vente": "sale"})

    assert {("vente", GOOGLE): CountingStarts(NIGHT, {"gagne": NIGHT})} == found


def test_id_replaced_without_was_is_refused(ledger):
    """If it were a rename, every sale would go out twice; the message says what to write."""
    adopt(ledger, route())
    with pytest.raises(RenamedIdError) as caught:
        adopt(ledger, route("vente"), now=NIGHT + DAY)

    assert "conversion 'sale' is gone" in str(caught.value)
    assert "write `was: sale` under it. If it is a new one, write `was: none`" in str(caught.value)


def test_a_refused_rename_changes_nothing(ledger):
    """The next night finds the ledger as it was."""
    adopt(ledger, route())
    with pytest.raises(RenamedIdError):
        adopt(ledger, route("vente"), now=NIGHT + DAY)
    with ledger.read_transaction() as session:
        assert {"sale"} == starts.recorded_conversion_ids(session, ACCOUNT)


def test_a_new_conversion_may_declare_itself_new(ledger):
    """With `was: none` the old conversion keeps its deliveries."""
    adopt(ledger, route())
    found = adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": None})

    assert NIGHT + DAY == found["vente", GOOGLE].conversion


def test_new_conversion_with_another_target_is_new(ledger):
    """Nothing could be counted twice."""
    adopt(ledger, route())
    found = adopt(ledger, route("vente", target=replace(TARGET, action="5")), now=NIGHT + DAY)

    assert NIGHT + DAY == found["vente", GOOGLE].conversion


def test_new_transport_alone_is_no_new_target(ledger):
    """The action is the same, so a sale would be counted twice."""
    adopt(ledger, route())
    with pytest.raises(RenamedIdError):
        adopt(ledger, route("vente", target=replace(TARGET, transport="google_ads_api")))


def test_removed_conversion_is_no_rename(ledger):
    """It may come back, and keeps its start."""
    adopt(ledger, route(), route("quote", target=replace(TARGET, action="5")))
    adopt(ledger, route(), now=NIGHT + DAY)
    found = adopt(ledger, route(), route("quote", target=replace(TARGET, action="5")), now=NIGHT + 2 * DAY)

    assert NIGHT == found["quote", GOOGLE].conversion


@pytest.mark.parametrize("database", ["sqlite"])  # on PostgreSQL, nobody writes another account's rows
def test_accounts_in_one_file_keep_their_own_starts(ledger):
    """The account is part of every identity."""
    with ledger.write_transaction() as session:
        session.add(Start(account="other", conversion="sale", destination=GOOGLE, label="", target="t", since=START))

    assert {SALE: CountingStarts(NIGHT, {"gagne": NIGHT})} == adopt(ledger, route())


def test_misspelt_was_is_refused(ledger):
    """It names no id that vanished, so the conversion would be taken for a new one."""
    adopt(ledger, route())
    with pytest.raises(RenamedIdError):
        adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": "sael"})


def test_a_renamed_destination_is_refused(ledger):
    """Under another destination's name the same action would be sent everything again with new keys."""
    adopt(ledger, route(), since={"sale": START})
    with pytest.raises(RenamedIdError):
        adopt(ledger, route(destination="google_main"), now=NIGHT + DAY, since={"sale": START})
