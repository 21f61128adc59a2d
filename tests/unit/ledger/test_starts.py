"""From when changes count, and how little later settings may move it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.ledger import starts
from jobs.ledger.schema import Delivery, LeadRow, Start
from jobs.nightly import RenamedError, adopt_settings
from jobs.rules.model import Starts
from tests.builders import ACCOUNT, GOOGLE, START, TARGET, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
SALE = ("sale", GOOGLE)


def adopt(ledger, *routes, now=NIGHT, since=None, was=None):
    """Bring the ledger in line with settings; the starts it then knows."""
    book = rulebook(*routes, since=since or {}, was=was or {})
    with ledger.writing() as session:
        adopt_settings(session, book, now=now)
    with ledger.reading() as session:
        return starts.load(session, ACCOUNT)


def test_the_first_run_that_sees_a_conversion_is_its_start(ledger):
    """And later runs leave it there."""
    adopt(ledger, route())

    assert {SALE: Starts(NIGHT, {"gagne": NIGHT})} == adopt(ledger, route(), now=NIGHT + DAY)


def test_a_start_in_the_settings_governs_and_may_be_moved(ledger):
    """Either way, for every label."""
    found = [adopt(ledger, route(), since={"sale": since})[SALE] for since in (START, START - DAY, START + DAY)]

    assert [START, START - DAY, START + DAY] == [start.of("gagne") for start in found]


def test_a_start_taken_out_of_the_settings_stays_where_it_was(ledger):
    """Nothing that was sent is in question, and nothing old goes out."""
    adopt(ledger, route(), since={"sale": START})

    assert START == adopt(ledger, route(), now=NIGHT + DAY)[SALE].of("gagne")


def test_a_label_added_later_has_a_start_of_its_own(ledger):
    """Leads that had it long before do not all go out at once."""
    adopt(ledger, route())
    found = adopt(ledger, route(labels=frozenset({"gagne", "vendu"})), now=NIGHT + DAY)[SALE]

    assert (NIGHT, NIGHT + DAY) == (found.of("gagne"), found.of("vendu"))


def test_a_conversion_added_later_has_a_start_of_its_own(ledger):
    """Others keep theirs."""
    adopt(ledger, route())
    other = route("quote", target=replace(TARGET, action="5"), labels=frozenset({"devis"}))
    found = adopt(ledger, route(), other, now=NIGHT + DAY)

    assert (NIGHT, NIGHT + DAY) == (found[SALE].conversion, found["quote", GOOGLE].conversion)


def test_a_destination_added_later_has_a_start_of_its_own(ledger):
    """One conversion counts from two times at two destinations."""
    adopt(ledger, route())
    found = adopt(ledger, route(), route(destination="second"), now=NIGHT + DAY)

    assert (NIGHT, NIGHT + DAY) == (found[SALE].conversion, found["sale", "second"].conversion)


def test_another_transport_or_action_does_not_move_the_start(ledger):
    """It is the same conversion."""
    adopt(ledger, route())
    elsewhere = replace(TARGET, transport="google_ads_api", action="5")

    assert NIGHT == adopt(ledger, route(target=elsewhere), now=NIGHT + DAY)[SALE].conversion


def delivered(ledger):
    """A sale that was accepted, with the lead it is of."""
    with ledger.writing() as session:
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


def test_a_renamed_conversion_keeps_its_deliveries_and_its_start(ledger):
    """`was: old-id`: nothing is sent again, and keys stay as they were sent."""
    adopt(ledger, route())
    delivered(ledger)
    found = adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": "sale"})
    with ledger.reading() as session:
        row = session.get(Delivery, 1)

    assert {("vente", GOOGLE): Starts(NIGHT, {"gagne": NIGHT})} == found
    assert ("vente", "k1") == (row.conversion, row.key)


def test_was_may_stay_in_the_settings(ledger):
    """The second night finds nothing left to rename."""
    adopt(ledger, route())
    for night in (1, 2, 3):
        found = adopt(ledger, route("vente"), now=NIGHT + night * DAY, was={"vente": "sale"})

    assert {("vente", GOOGLE): Starts(NIGHT, {"gagne": NIGHT})} == found


def test_an_id_that_vanished_beside_a_new_one_is_refused(ledger):
    """Every sale would go out twice if it were a rename; the message says what to write."""
    adopt(ledger, route())
    with pytest.raises(RenamedError) as caught:
        adopt(ledger, route("vente"), now=NIGHT + DAY)

    assert "conversion 'sale' is gone" in str(caught.value)
    assert "write `was: sale` under it. If it is a new one, write `was: none`" in str(caught.value)


def test_a_refused_rename_changes_nothing(ledger):
    """The next night finds the ledger as it was."""
    adopt(ledger, route())
    with pytest.raises(RenamedError):
        adopt(ledger, route("vente"), now=NIGHT + DAY)
    with ledger.reading() as session:
        assert {"sale"} == starts.ids_on_record(session, ACCOUNT)


def test_a_new_conversion_may_declare_itself_new(ledger):
    """`was: none`: the old one's deliveries stay with the old one."""
    adopt(ledger, route())
    found = adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": None})

    assert NIGHT + DAY == found["vente", GOOGLE].conversion


def test_a_new_conversion_with_another_target_is_new(ledger):
    """Nothing could be counted twice."""
    adopt(ledger, route())
    found = adopt(ledger, route("vente", target=replace(TARGET, action="5")), now=NIGHT + DAY)

    assert NIGHT + DAY == found["vente", GOOGLE].conversion


def test_another_transport_is_no_other_target(ledger):
    """The action is the same, and so would be its count."""
    adopt(ledger, route())
    with pytest.raises(RenamedError):
        adopt(ledger, route("vente", target=replace(TARGET, transport="google_ads_api")))


def test_a_conversion_that_only_vanished_is_no_rename(ledger):
    """It may come back, with its start."""
    adopt(ledger, route(), route("quote", target=replace(TARGET, action="5")))
    adopt(ledger, route(), now=NIGHT + DAY)
    found = adopt(ledger, route(), route("quote", target=replace(TARGET, action="5")), now=NIGHT + 2 * DAY)

    assert NIGHT == found["quote", GOOGLE].conversion


def test_accounts_in_one_file_keep_their_own_starts(ledger):
    """The account is part of every identity."""
    with ledger.writing() as session:
        session.add(Start(account="other", conversion="sale", destination=GOOGLE, label="", target="t", since=START))

    assert {SALE: Starts(NIGHT, {"gagne": NIGHT})} == adopt(ledger, route())


def test_a_was_with_a_slip_of_the_pen_is_refused(ledger):
    """It names no id that vanished: the new one would be taken for new."""
    adopt(ledger, route())
    with pytest.raises(RenamedError):
        adopt(ledger, route("vente"), now=NIGHT + DAY, was={"vente": "sael"})


def test_a_renamed_destination_is_refused(ledger):
    """The same action under another destination's name would be sent everything again under new keys."""
    adopt(ledger, route(), since={"sale": START})
    with pytest.raises(RenamedError):
        adopt(ledger, route(destination="google_main"), now=NIGHT + DAY, since={"sale": START})
