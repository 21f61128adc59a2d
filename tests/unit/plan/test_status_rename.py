"""A status that is renamed in Oplead changes no lead: nothing floods, nothing known is lost, and a human is told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Transient
from connectors.records import Moment, StatusEntry
from jobs.ledger.schema import LabelMove, StatusChange
from jobs.reporting.sentences import sentence
from jobs.run_context import SyncMode, SyncWindow
from tests import suite
from tests.builders import CREATED, GOOGLE, WON, changed, lead, route, rulebook

DAY = timedelta(days=1)
KNOWN = frozenset({"nouveau", "perdu"})


class Undated:
    """Oplead tells the present status and nothing else."""

    @staticmethod
    def history(*_steps):
        """Nothing."""
        return ()


class StatusDated:
    """Oplead tells the present status and since when."""

    @staticmethod
    def history(*steps):
        """The last step."""
        return tuple(StatusEntry(label, Moment(when)) for label, when in steps[-1:])


class WholeStory:
    """Oplead tells every status a lead had, by their present names."""

    @staticmethod
    def history(*steps):
        """All steps."""
        return tuple(StatusEntry(label, Moment(when)) for label, when in steps)


ALL = [Undated, StatusDated, WholeStory]


def leads_in(style, label, count=6, *, when=WON, prefix="L", created=CREATED):
    """Leads that stand under a label."""
    history = style.history(("Nouveau", created), (label, when))
    return [
        lead(f"{prefix}-{number}", label=label, history=history, created_at=created, updated_at=when)
        for number in range(count)
    ]


def book(*labels, since=WON - 5 * DAY, digest="r1"):
    """A sale by these labels, counted since shortly before the leads were won."""
    known = KNOWN | set(labels)
    return rulebook(route(labels=frozenset(labels)), since={"sale": since}, known_labels=known, rules_digest=digest)


def next_night(account):
    """The night after."""
    account.clock.time += DAY
    return account.night()


def sent(account):
    """The leads whose sale the platform counted."""
    by_key = {row.key: row.lead for row in account.rows()}
    return sorted(by_key[key] for key in account.sink.counted)


@pytest.mark.parametrize("style", ALL)
def test_an_unmapped_status_that_takes_a_mapped_name_floods_nothing(account, style):
    """The leads are where they were; a human is told on the night it is found."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté"))
    account.night()
    account.put(*leads_in(style, "Signé"))
    summary = next_night(account)
    again = next_night(account)

    assert ([], {}, 1, 0) == (sent(account), account.states, summary.exit_code, again.exit_code)
    assert ["status 'Devis accepté' seems to be called 'Signé' now on 6 leads"] == [
        sentence(message).partition(":")[0] for message in summary.review.renames
    ]


@pytest.mark.parametrize("style", ALL)
def test_a_lead_that_enters_the_renamed_status_afterwards_is_sent(account, style):
    """The rename ends nothing."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté"), *leads_in(style, "Nouveau", 1, prefix="N", when=CREATED))
    account.night()
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    account.put(*leads_in(style, "Signé", 1, prefix="N", when=account.clock.time))
    next_night(account)

    assert ["N-0"] == sent(account)


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("style", [StatusDated, WholeStory])
def test_a_mapped_status_with_a_new_name_keeps_the_entries_that_were_held_back(account, style, replaced):
    """The conversion goes out once it may, whether the human adds the new name or writes it in the old one's place."""
    account.book = book("gagne")
    account.put(*[changed(one, fields={}) for one in leads_in(style, "Gagné")])
    account.night()
    account.put(*[changed(one, fields={}) for one in leads_in(style, "Signé")])
    summary = next_night(account)
    held_back = set(account.states.values())
    account.book = book("signe", *([] if replaced else ["gagne"]), digest="r2")
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    times = {row.at for row in account.rows()}

    assert (1, {"withheld"}, 6, {WON}) == (summary.exit_code, held_back, len(sent(account)), times)


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, StatusDated))
def test_a_lead_that_entered_the_new_name_before_it_was_written_down_is_not_lost(account, style):
    """The new name counts as long as the old one did, so the days until a human acts are no gap."""
    account.book = book("gagne", since=None)
    account.put(*leads_in(style, "Gagné"), *leads_in(style, "Nouveau", 1, prefix="N", when=CREATED))
    account.night()
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    account.put(*leads_in(style, "Signé", 1, prefix="N", when=account.clock.time))
    next_night(account)
    account.book = book("signe", since=None, digest="r2")
    next_night(account)

    assert ["N-0"] == sent(account)


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, StatusDated))
def test_a_name_written_under_no_stage_and_mapped_later_floods_nothing(account, style):
    """What an unmapped status becomes later counts from then on, as any label that is added."""
    account.book = book("gagne")
    account.put(*leads_in(style, "Devis accepté"))
    account.night()
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    account.book = book("gagne", "signe", digest="r2")
    next_night(account)

    assert [] == sent(account)


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, StatusDated))
def test_until_the_reading_is_complete_nothing_of_it_is_sent(account, style):
    """A page that fails keeps the others' leads waiting, and the night it completes decides."""
    account.book = book("gagne", "signe")
    account.source.page = 3
    account.put(*leads_in(style, "Devis accepté"))
    account.night()
    account.put(*leads_in(style, "Signé"))
    account.source.fails = {1: Transient("503")}
    broken = next_night(account)
    waiting = len([row for row in account.rows(LabelMove) if row.waits])
    whole = next_night(account)

    assert (3, [], 3) == (broken.exit_code, broken.review.renames, waiting)
    assert (1, 1, {}) == (whole.exit_code, len(whole.review.renames), account.states)
    assert [] == account.rows(LabelMove)


def test_a_rename_in_the_middle_of_a_reading_is_told_and_floods_nothing(account):
    """Pages before it have the old name, pages after it the new one; what was read first is read once more."""
    account.book = book("gagne", "signe")
    account.source.page = 4
    account.put(*leads_in(WholeStory, "Devis accepté"))
    account.night()
    account.source.fails = {1: Transient("503")}
    next_night(account)
    account.put(*leads_in(WholeStory, "Signé"))
    summary = next_night(account)

    assert ({}, 1) == (account.states, len(summary.review.renames))


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, StatusDated))
def test_a_filtered_reading_is_done_again_whole_before_a_new_label_is_judged(account, style):
    """A filter shows only what somebody touched: two leads of six."""
    account.book = book("gagne", "signe")
    account.source.filters = True
    account.sync_window = SyncWindow(SyncMode.SINCE, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(style, "Devis accepté", when=WON - 2 * DAY))
    account.night()
    renamed = leads_in(style, "Signé", when=WON - 2 * DAY)
    account.put(*[changed(one, updated_at=account.clock.time) for one in renamed[:2]], *renamed[2:])
    summary = next_night(account)

    assert ({}, 1) == (account.states, len(summary.review.renames))
    assert [False, True] == [since is None for since, _ in account.source.calls[1:]]


def test_leads_that_all_went_on_to_a_new_status_are_sent(account):
    """Their own history says that they were in both: a young account's first sales are no rename."""
    account.book = book("gagne")
    account.put(*leads_in(WholeStory, "Nouveau", when=CREATED))
    account.night()
    steps = WholeStory.history(("Nouveau", CREATED), ("Gagné", account.clock.time + DAY))
    account.put(*[lead(f"L-{number}", history=steps, updated_at=account.clock.time + DAY) for number in range(6)])
    summary = next_night(account)

    assert ([], 6) == (summary.review.renames, len(sent(account)))


def test_four_leads_are_too_few_for_a_rename(account):
    """They moved by chance; what they entered counts."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté", 4))
    account.night()
    account.put(*leads_in(Undated, "Signé", 4))
    summary = next_night(account)

    assert ([], 4) == (summary.review.renames, len(sent(account)))


def test_an_entry_under_a_new_name_stays_on_record_as_what_it_is(account):
    """`explain` can say that nothing happened to the lead."""
    account.book = book("gagne")
    account.put(*leads_in(WholeStory, "Gagné"))
    account.night()
    account.put(*leads_in(WholeStory, "Signé"))
    next_night(account)

    assert {"gagne": {"reported"}, "nouveau": {"reported"}, "signe": {"relabel"}} == {
        label: {row.origin for row in account.rows(StatusChange) if row.label == label}
        for label in ("gagne", "nouveau", "signe")
    }


def test_a_lead_read_again_after_a_rename_enters_nothing(account):
    """Its date is known under the new name now, and still is no news."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"))
    account.night()
    account.put(*leads_in(Undated, "Signé"))
    next_night(account)
    account.put(*leads_in(StatusDated, "Signé"))
    next_night(account)

    assert [] == sent(account)


def test_a_status_renamed_twice_is_still_the_same(account):
    """What was known under the first name goes out under the third."""
    account.book = book("gagne")
    account.put(*[changed(one, fields={}) for one in leads_in(WholeStory, "Gagné")])
    account.night()
    for label in ("Signé", "Vendu"):
        account.put(*[changed(one, fields={}) for one in leads_in(WholeStory, label)])
        next_night(account)
    account.book = replace(book("vendu", digest="r2"))
    account.put(*leads_in(WholeStory, "Vendu"))
    next_night(account)

    assert 6 == len(sent(account))
    assert {GOOGLE} == {row.destination for row in account.rows()}


def test_what_waits_keeps_what_its_conversion_may_need(account):
    """Contact hashes are erased where nothing may use them; nobody knows that yet of a lead that waits."""
    account.book = rulebook(route(labels=frozenset({"gagne"}), attach_contact=True), since={"sale": WON - 5 * DAY})
    account.source.page = 3
    account.put(*leads_in(Undated, "Nouveau", when=CREATED))
    account.night()
    account.put(*leads_in(Undated, "Gagné", 3), *leads_in(Undated, "Nouveau", when=CREATED)[3:])
    account.source.fails = {1: Transient("503")}
    next_night(account)
    next_night(account)

    assert ["L-0", "L-1", "L-2"] == sent(account)
    assert all(b'"identifiers": [["email"' in body for bodies in account.sink.bodies.values() for body in bodies)


def test_what_is_due_of_a_lead_that_waits_waits_with_it(account):
    """It was decided before the label came up, and may look otherwise once that is understood."""
    account.book = replace(book("gagne"), max_per_run={GOOGLE: 1})
    account.source.page = 3
    account.put(*leads_in(StatusDated, "Gagné"))
    account.night()
    account.book = book("gagne")
    account.put(*leads_in(StatusDated, "Signé"))
    account.source.fails = {1: Transient("503")}
    next_night(account)
    before = sent(account)
    next_night(account)

    assert (["L-3", "L-4", "L-5"], 6) == (before, len(sent(account)))


def test_a_lead_that_shows_the_new_name_nights_later_enters_nothing(account):
    """It could not be read on the night the status was found renamed, and has gone on long since."""
    account.book = book("gagne", "signe")
    last_year = [("Nouveau", CREATED), ("Devis accepté", WON), ("Perdu", WON + timedelta(hours=1))]
    gone_on = lead("G-0", label="Perdu", history=WholeStory.history(*last_year))
    account.put(*leads_in(WholeStory, "Devis accepté"), gone_on)
    account.night()
    account.put(*leads_in(WholeStory, "Signé"))
    next_night(account)
    account.put(changed(gone_on, history=WholeStory.history(last_year[0], ("Signé", WON), last_year[2])))
    next_night(account)

    assert {} == account.states


def test_an_old_name_that_is_used_again_is_a_status_again(account):
    """Leads that go from it to the new name have gone."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"))
    account.night()
    account.put(*leads_in(Undated, "Signé"))
    next_night(account)
    account.put(*leads_in(Undated, "Devis accepté", 2, prefix="D"))
    next_night(account)
    account.put(*leads_in(Undated, "Signé", 1, prefix="D"))
    next_night(account)

    assert ["D-0"] == sent(account)


def test_where_leads_are_read_one_by_one_the_old_label_is_looked_for_on_all_of_them(account):
    """The list shows none: six that went on to a new status, while two stay, are no rename."""
    account.book = book("signe")
    account.sync_window = SyncWindow(SyncMode.DETAILS, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(Undated, "Devis accepté", 8))
    account.night()
    entered = account.clock.time + DAY
    account.put(*leads_in(Undated, "Signé", 6, when=entered))
    summaries = [next_night(account), next_night(account)]

    assert [[], []] == [summary.review.renames for summary in summaries]
    assert 6 == len(sent(account))


def test_where_leads_are_read_one_by_one_a_rename_is_found_once_all_were_read(account):
    """Before, nobody can tell it from a new status; nothing of it is sent meanwhile."""
    account.book = book("signe")
    account.sync_window = SyncWindow(SyncMode.DETAILS, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(Undated, "Devis accepté", 6))
    account.night()
    account.put(*leads_in(Undated, "Signé", 6))
    summary = next_night(account)

    assert ([], 1) == (sent(account), len(summary.review.renames))


# ── what the settings say of it ──────────────────────────────────────────────────────────────────


def with_old_name(label):
    """The settings of a human who says that the old name is a status of its own, under which nothing counts."""
    plain = book("gagne", "signe", digest="r2")
    return replace(plain, meanings={**plain.meanings, label: ""})


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, Undated))
def test_labels_that_the_settings_put_apart_are_no_rename(account, style, fresh):
    """Everything goes from an ignored status to a stage in one day, be its label new or in use: these are sales."""
    account.book = with_old_name("devis accepte")
    account.put(*leads_in(style, "Devis accepté", 20))
    if not fresh:
        account.put(*leads_in(style, "Signé", 1, prefix="W", when=WON - 9 * DAY))
    account.night()
    account.put(*leads_in(style, "Signé", 20, when=account.clock.time + DAY / 2))
    summary = next_night(account)

    assert ([], 20) == (summary.review.renames, len(sent(account)))


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, Undated))
def test_a_human_overrules_a_rename(account, style, fresh):
    """It is told what to write; once that is written, what was held goes out, at the time it was found, and once."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté", 20, when=WON - DAY))
    if not fresh:
        account.put(*leads_in(style, "Signé", 1, prefix="W", when=WON - 9 * DAY))
    account.night()
    found = account.clock.time + DAY
    account.put(*leads_in(style, "Signé", 20, when=WON - DAY))
    told = list(map(sentence, next_night(account).review.renames))
    held = sent(account)
    next_night(account)
    account.book = with_old_name("devis accepte")
    overruled = next_night(account)
    again = next_night(account)
    times = {row.at for row in account.rows() if row.lead.startswith("L")}

    assert ["write 'Devis accepté' under its own stage or `ignored_statuses`"] == [
        sentence[sentence.index("write") :] for sentence in told
    ]
    assert ([], 20, {found}) == (held, len(sent(account)), times)
    assert ({1}, [], []) == (set(account.sink.counted.values()), overruled.review.renames, again.review.renames)


def test_an_overruled_rename_keeps_the_dates_that_were_the_leads_own(account):
    """Oplead dated the new status apart from the old one."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(StatusDated, "Devis accepté", when=WON - DAY))
    account.night()
    account.put(*leads_in(StatusDated, "Signé", when=WON))
    told = list(map(sentence, next_night(account).review.renames))
    account.book = with_old_name("devis accepte")
    next_night(account)

    assert (1, {WON}) == (len(told), {row.at for row in account.rows()})


def test_what_was_overruled_stays_so(account):
    """Leads that go the same way later wait for nobody, whatever the settings say by then."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"), *leads_in(Undated, "Devis accepté", 1, prefix="D"))
    account.night()
    account.put(*leads_in(Undated, "Signé"))
    account.source.delete("D-0")
    next_night(account)
    account.book = with_old_name("devis accepte")
    next_night(account)
    account.book = book("gagne", "signe", digest="r3")
    account.put(*leads_in(Undated, "Signé", 1, prefix="D"))
    summary = next_night(account)

    assert (7, [], []) == (len(sent(account)), summary.review.renames, account.rows(LabelMove))


def test_a_rename_that_another_one_explains_stays_one(account):
    """Two old names of one status: who takes back the one takes back nothing of the other's leads."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"), *leads_in(Undated, "Devis reçu", prefix="R"))
    account.night()
    account.put(*leads_in(Undated, "Signé"), *leads_in(Undated, "Signé", prefix="R"))
    told = list(map(sentence, next_night(account).review.renames))
    account.book = with_old_name("devis recu")
    next_night(account)

    assert (2, {"R"}) == (len(told), {name[0] for name in sent(account)})


def test_what_was_sent_under_the_old_name_is_not_sent_again(account):
    """The stage had it once; it is another conversion that the new name is now."""
    both = [route(labels=frozenset({"gagne"})), route("signed", labels=frozenset({"signe"}))]
    account.book = rulebook(both[0], known_labels=KNOWN | {"gagne"})
    account.put(*leads_in(Undated, "Nouveau", when=CREATED))
    account.night()
    account.put(*leads_in(Undated, "Gagné", 6, when=account.clock.time + DAY / 2))
    account.book = replace(account.book, meanings={**account.book.meanings, "nouveau": ""})
    next_night(account)
    account.put(*leads_in(Undated, "Signé"))
    told = list(map(sentence, next_night(account).review.renames))
    account.book = rulebook(*both, known_labels=KNOWN | {"gagne", "signe"}, rules_digest="r2")
    next_night(account)
    next_night(account)

    assert (1, {("sale", 1), ("signed", 1)}) == (
        len(told),
        {(row.conversion, account.sink.counted[row.key]) for row in account.rows()},
    )


# ── made one with a label in use ─────────────────────────────────────────────────────────────────


def merge(account, style, count, *, when=WON):
    """Leads that are won by a label in use, where other leads were before."""
    account.put(*leads_in(style, "Gagné", count, when=when))


def in_use(account, style, count):
    """Leads that wait for a signature, and some that are won."""
    account.book = book("gagne")
    account.put(*leads_in(style, "Devis accepté", count), *leads_in(style, "Gagné", 3, prefix="W", when=WON - 9 * DAY))
    account.night()


@pytest.mark.parametrize(("style", "count"), [(Undated, 20), (StatusDated, 5), (WholeStory, 5)])
def test_a_status_that_is_made_one_with_another_floods_nothing(account, style, count):
    """As a renaming, though other leads had the label all the while; told once."""
    in_use(account, style, count)
    merge(account, style, count)
    summary = next_night(account)
    again = next_night(account)

    assert ([], 1, 1, 0) == (sent(account), len(summary.review.renames), summary.exit_code, again.exit_code)


@pytest.mark.parametrize(("style", "count"), [(Undated, 19), (StatusDated, 30), (WholeStory, 30)])
def test_leads_that_all_sell_in_a_day_are_sent(account, style, count):
    """A change of their own has a date of its own; without dates, few leads are no evidence."""
    in_use(account, style, count)
    merge(account, style, count, when=account.clock.time + DAY / 2)
    summary = next_night(account)

    assert (count, []) == (len(sent(account)), summary.review.renames)


def test_a_status_that_others_still_have_was_not_merged(account):
    """Its leads went on."""
    in_use(account, Undated, 40)
    account.put(*leads_in(Undated, "Devis accepté", 1, prefix="D"))
    merge(account, Undated, 40)
    next_night(account)

    assert 40 == len(sent(account))


def test_a_status_taken_for_merged_and_used_again_is_none(account):
    """Where a status is emptied every day, that costs one night, of which a human is told."""
    in_use(account, Undated, 20)
    merge(account, Undated, 20)
    first = next_night(account)
    account.put(*leads_in(Undated, "Devis accepté", 20, prefix="D"))
    next_night(account)
    account.put(*leads_in(Undated, "Gagné", 20, prefix="D"))
    second = next_night(account)

    assert (1, 0) == (len(first.review.renames), len(second.review.renames))
    assert {f"D-{number}" for number in range(20)} == set(sent(account))


def test_a_merge_that_a_reading_shows_half_of_waits_for_the_other_half(account):
    """A page that fails keeps the leads read before it waiting."""
    account.source.page = 30
    in_use(account, Undated, 50)
    merge(account, Undated, 50)
    account.source.fails = {1: Transient("503")}
    broken = next_night(account)
    whole = next_night(account)

    assert (3, 1, []) == (broken.exit_code, len(whole.review.renames), sent(account))


def test_a_merge_is_found_by_a_filtered_reading(account):
    """The record tells that no other lead has the old label."""
    account.source.filters = True
    account.sync_window = SyncWindow(SyncMode.SINCE, overlap=3 * DAY, budget=timedelta(hours=4))
    in_use(account, Undated, 20)
    account.put(*[changed(one, updated_at=account.clock.time) for one in leads_in(Undated, "Gagné", 20)])
    summary = next_night(account)

    assert ([], 1) == (sent(account), len(summary.review.renames))


def test_a_lead_that_went_on_before_its_old_status_was_merged_enters_nothing(account):
    """Its history shows the old entry under the new name."""
    gone_on = [("Nouveau", CREATED), ("Devis accepté", WON), ("Perdu", WON + timedelta(hours=1))]
    account.put(lead("G-0", label="Perdu", history=WholeStory.history(*gone_on)))
    in_use(account, WholeStory, 6)
    merge(account, WholeStory, 6)
    account.put(lead("G-0", label="Perdu", history=WholeStory.history(gone_on[0], ("Gagné", WON), gone_on[2])))
    next_night(account)

    assert [] == sent(account)
