"""A status renamed in Oplead changes no lead: nothing floods, no data is lost, and the rename is reported."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Transient
from connectors.records import Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import LabelMove, StatusChange
from jobs.reporting.sentences import message_in_words
from jobs.rules.labels import normalise_label
from jobs.run_context import PullOptions, SyncMode
from tests import suite
from tests.builders import CREATED, GOOGLE, WON, changed, lead, route, rulebook

DAY = timedelta(days=1)
KNOWN = frozenset({"nouveau", "perdu"})


class Undated:
    """Oplead gives the current status and nothing else."""

    @staticmethod
    def history(*_steps):
        """Return no history."""
        return ()


class StatusDated:
    """Oplead gives the current status and its date."""

    @staticmethod
    def history(*steps):
        """Return the last step."""
        return tuple(StatusEntry(label, Moment(when)) for label, when in steps[-1:])


class WholeStory:
    """Oplead gives every status a lead had, under its current name."""

    @staticmethod
    def history(*steps):
        """Return all steps."""
        return tuple(StatusEntry(label, Moment(when)) for label, when in steps)


ALL = [Undated, StatusDated, WholeStory]


def leads_in(style, label, count=6, *, when=WON, prefix="L", created=CREATED):
    """Return leads under this label."""
    history = style.history(("Nouveau", created), (label, when))
    return [
        lead(f"{prefix}-{number}", label=label, history=history, created_at=created, updated_at=when)
        for number in range(count)
    ]


def book(*labels, since=WON - 5 * DAY, digest="r1"):
    """Return the rules of a sale by these labels, counted since shortly before the leads were won."""
    known = KNOWN | set(labels)
    return rulebook(route(labels=frozenset(labels)), since={"sale": since}, known_labels=known, rules_digest=digest)


def next_night(account):
    """Run the following night."""
    account.clock.time += DAY
    return account.night()


def sent(account):
    """Return the leads with a sale that the platform counted."""
    by_key = {row.key: row.lead for row in account.rows()}
    return sorted(by_key[key] for key in account.sink.counted)


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, Undated, WholeStory))
def test_unmapped_status_renamed_to_a_mapped_name_floods_nothing(account, style):
    """The leads have not moved, and the rename is reported on the night it is found."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté"))
    account.night()
    account.put(*leads_in(style, "Signé"))
    summary = next_night(account)
    again = next_night(account)

    assert ([], {}, 1, 0) == (sent(account), account.states, summary.exit_code, again.exit_code)
    assert ["status 'Devis accepté' seems to be called 'Signé' now on 6 leads"] == [
        message_in_words(message).partition(":")[0] for message in summary.review.renames
    ]


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, Undated, WholeStory))
def test_lead_entering_the_renamed_status_later_is_sent(account, style):
    """The conversion still counts after the rename."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté"), *leads_in(style, "Nouveau", 1, prefix="N", when=CREATED))
    account.night()
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    account.put(*leads_in(style, "Signé", 1, prefix="N", when=account.clock.time))
    next_night(account)

    assert ["N-0"] == sent(account)


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("style", suite.mostly_exhaustive([StatusDated, WholeStory], WholeStory))
def test_renamed_mapped_status_keeps_its_withheld_conversions(account, style, replaced):
    """They are sent once the new name is in the settings, beside the old name or in its place."""
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
def test_lead_entering_a_new_name_before_its_mapping_is_sent(account, style):
    """The new name counts from the same date as the old one, so the days until it is mapped are no gap."""
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
def test_unmapped_status_mapped_after_its_rename_floods_nothing(account, style):
    """It counts from the day it is mapped, like any added label."""
    account.book = book("gagne")
    account.put(*leads_in(style, "Devis accepté"))
    account.night()
    account.put(*leads_in(style, "Signé"))
    next_night(account)
    account.book = book("gagne", "signe", digest="r2")
    next_night(account)

    assert [] == sent(account)


@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, StatusDated))
def test_new_label_sends_nothing_before_a_complete_reading(account, style):
    """A failed page keeps leads of the other pages waiting; the night that completes the reading decides."""
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


def test_rename_during_a_reading_is_reported_and_floods_nothing(account):
    """Earlier pages have the old name and later ones the new, so the first pages are read again."""
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
def test_new_label_in_a_filtered_reading_causes_a_full_one(account, style):
    """A filter shows only edited leads, here two of six; a lead that both readings cannot read is one."""
    account.book = book("gagne", "signe")
    account.source.filters = True
    account.sync_window = PullOptions(SyncMode.SINCE, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(style, "Devis accepté", when=WON - 2 * DAY))
    account.night()
    renamed = leads_in(style, "Signé", when=WON - 2 * DAY)
    account.put(*[changed(one, updated_at=account.clock.time) for one in renamed[:2]], *renamed[2:])
    account.source.unreadable = (UnreadableLead(None, "no id"),)
    summary = next_night(account)

    assert ({}, 1) == (account.states, len(summary.review.renames))
    assert 1 == len(summary.pulled.unreadable) == summary.review.unreadable
    assert [False, True] == [since is None for since, _ in account.source.calls[1:]]


def test_leads_that_all_enter_a_new_status_are_sent(account):
    """Their own history shows both statuses, so the first sales of a young account are no rename."""
    account.book = book("gagne")
    account.put(*leads_in(WholeStory, "Nouveau", when=CREATED))
    account.night()
    steps = WholeStory.history(("Nouveau", CREATED), ("Gagné", account.clock.time + DAY))
    account.put(*[lead(f"L-{number}", history=steps, updated_at=account.clock.time + DAY) for number in range(6)])
    summary = next_night(account)

    assert ([], 6) == (summary.review.renames, len(sent(account)))


def test_four_leads_are_too_few_for_a_rename(account):
    """They may have moved by chance, so their new status counts."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté", 4))
    account.night()
    account.put(*leads_in(Undated, "Signé", 4))
    summary = next_night(account)

    assert ([], 4) == (summary.review.renames, len(sent(account)))


def test_entry_under_a_new_name_is_recorded_as_a_relabel(account):
    """`explain` can then state that nothing happened to the lead."""
    account.book = book("gagne")
    account.put(*leads_in(WholeStory, "Gagné"))
    account.night()
    account.put(*leads_in(WholeStory, "Signé"))
    next_night(account)

    assert {"gagne": {"reported"}, "nouveau": {"reported"}, "signe": {"relabel"}} == {
        label: {row.origin for row in account.rows(StatusChange) if row.label == label}
        for label in ("gagne", "nouveau", "signe")
    }


def test_dated_rereading_after_a_rename_enters_no_stage(account):
    """The entry now has a date under the new name, but it is still not new."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"))
    account.night()
    account.put(*leads_in(Undated, "Signé"))
    next_night(account)
    account.put(*leads_in(StatusDated, "Signé"))
    next_night(account)

    assert [] == sent(account)


def test_status_renamed_twice_is_still_recognised(account):
    """Conversions known under the first name are sent under the third."""
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


def test_lead_waiting_for_a_complete_reading_keeps_its_contact_hashes(account):
    """Its conversion may still need them."""
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


def test_due_delivery_waits_with_its_lead(account):
    """It was decided before the new label appeared, and may change once the label is understood."""
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


def test_lead_showing_the_new_name_late_enters_no_stage(account):
    """It was not read on the night of the rename, and moved on long ago."""
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


def test_old_name_used_again_ends_the_rename(account):
    """A lead that then moves from the old name to the new one has really moved."""
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


def test_detail_mode_checks_every_lead_for_the_old_label(account):
    """The list shows no labels; six leads that moved while two stayed are no rename."""
    account.book = book("signe")
    account.sync_window = PullOptions(SyncMode.DETAILS, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(Undated, "Devis accepté", 8))
    account.night()
    entered = account.clock.time + DAY
    account.put(*leads_in(Undated, "Signé", 6, when=entered))
    summaries = [next_night(account), next_night(account)]

    assert [[], []] == [summary.review.renames for summary in summaries]
    assert 6 == len(sent(account))


def test_detail_mode_finds_a_rename_once_all_leads_are_read(account):
    """Before that it looks like a new status, and no conversion is sent."""
    account.book = book("signe")
    account.sync_window = PullOptions(SyncMode.DETAILS, overlap=3 * DAY, budget=timedelta(hours=4))
    account.put(*leads_in(Undated, "Devis accepté", 6))
    account.night()
    account.put(*leads_in(Undated, "Signé", 6))
    summary = next_night(account)

    assert ([], 1) == (sent(account), len(summary.review.renames))


# ── renames and the settings ─────────────────────────────────────────────────────────────────────


def with_old_name(label):
    """Return settings that declare the old name a separate status, which counts for nothing."""
    plain = book("gagne", "signe", digest="r2")
    return replace(plain, meanings={**plain.meanings, label: ""})


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("style", suite.mostly_exhaustive(ALL, Undated))
def test_labels_declared_separate_in_the_settings_are_no_rename(account, style, fresh):
    """A move of all leads from an ignored status to a stage in one day means sales, even for a used label."""
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
def test_operator_can_overrule_a_rename(account, style, fresh):
    """The notice says what to write; after that, withheld conversions are sent once, dated when found."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(style, "Devis accepté", 20, when=WON - DAY))
    if not fresh:
        account.put(*leads_in(style, "Signé", 1, prefix="W", when=WON - 9 * DAY))
    account.night()
    found = account.clock.time + DAY
    account.put(*leads_in(style, "Signé", 20, when=WON - DAY))
    told = list(map(message_in_words, next_night(account).review.renames))
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


def test_overruled_rename_keeps_the_dates_of_the_leads(account):
    """Oplead dated the new status separately from the old one."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(StatusDated, "Devis accepté", when=WON - DAY))
    account.night()
    account.put(*leads_in(StatusDated, "Signé", when=WON))
    told = list(map(message_in_words, next_night(account).review.renames))
    account.book = with_old_name("devis accepte")
    next_night(account)

    assert (1, {WON}) == (len(told), {row.at for row in account.rows()})


def test_overruled_rename_stays_overruled(account):
    """Leads that move the same way later do not wait, whatever the settings are by then."""
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


def test_overruling_one_of_two_renames_keeps_the_other(account):
    """Two old names became one status; the leads of the other old name stay withheld."""
    account.book = book("gagne", "signe")
    account.put(*leads_in(Undated, "Devis accepté"), *leads_in(Undated, "Devis reçu", prefix="R"))
    account.night()
    account.put(*leads_in(Undated, "Signé"), *leads_in(Undated, "Signé", prefix="R"))
    told = list(map(message_in_words, next_night(account).review.renames))
    account.book = with_old_name("devis recu")
    next_night(account)

    assert (2, {"R"}) == (len(told), {name[0] for name in sent(account)})


def test_conversion_sent_under_the_old_name_is_not_sent_again(account):
    """The new name then belongs to another conversion."""
    both = [route(labels=frozenset({"gagne"})), route("signed", labels=frozenset({"signe"}))]
    account.book = rulebook(both[0], known_labels=KNOWN | {"gagne"})
    account.put(*leads_in(Undated, "Nouveau", when=CREATED))
    account.night()
    account.put(*leads_in(Undated, "Gagné", 6, when=account.clock.time + DAY / 2))
    account.book = replace(account.book, meanings={**account.book.meanings, "nouveau": ""})
    next_night(account)
    account.put(*leads_in(Undated, "Signé"))
    told = list(map(message_in_words, next_night(account).review.renames))
    account.book = rulebook(*both, known_labels=KNOWN | {"gagne", "signe"}, rules_digest="r2")
    next_night(account)
    next_night(account)

    assert (1, {("sale", 1), ("signed", 1)}) == (
        len(told),
        {(row.conversion, account.sink.counted[row.key]) for row in account.rows()},
    )


# ── statuses merged into a label in use ──────────────────────────────────────────────────────────


def merge(account, style, count, *, when=WON):
    """Move leads to a won label that other leads already have."""
    account.put(*leads_in(style, "Gagné", count, when=when))


def in_use(account, style, count):
    """Set up leads that await a signature, and a few that are won."""
    account.book = book("gagne")
    account.put(*leads_in(style, "Devis accepté", count), *leads_in(style, "Gagné", 3, prefix="W", when=WON - 9 * DAY))
    account.night()


@pytest.mark.parametrize(("style", "count"), [(Undated, 20), (StatusDated, 5), (WholeStory, 5)])
def test_merged_status_floods_nothing(account, style, count):
    """It is handled like a rename, though other leads already had the label, and reported once."""
    in_use(account, style, count)
    merge(account, style, count)
    summary = next_night(account)
    again = next_night(account)

    assert ([], 1, 1, 0) == (sent(account), len(summary.review.renames), summary.exit_code, again.exit_code)


@pytest.mark.parametrize(("style", "count"), [(Undated, 19), (StatusDated, 30), (WholeStory, 30)])
def test_leads_that_all_sell_in_one_day_are_sent(account, style, count):
    """A real change has its own date; without dates, few leads are no evidence of a merge."""
    in_use(account, style, count)
    merge(account, style, count, when=account.clock.time + DAY / 2)
    summary = next_night(account)

    assert (count, []) == (len(sent(account)), summary.review.renames)


def test_status_that_other_leads_still_have_is_not_merged(account):
    """Its leads moved on."""
    in_use(account, Undated, 40)
    account.put(*leads_in(Undated, "Devis accepté", 1, prefix="D"))
    merge(account, Undated, 40)
    next_night(account)

    assert 40 == len(sent(account))


def test_status_used_again_after_a_merge_counts_as_separate(account):
    """If a status is emptied every day, that costs a single night, which is reported."""
    in_use(account, Undated, 20)
    merge(account, Undated, 20)
    first = next_night(account)
    account.put(*leads_in(Undated, "Devis accepté", 20, prefix="D"))
    next_night(account)
    account.put(*leads_in(Undated, "Gagné", 20, prefix="D"))
    second = next_night(account)

    assert (1, 0) == (len(first.review.renames), len(second.review.renames))
    assert {f"D-{number}" for number in range(20)} == set(sent(account))


def test_merge_seen_in_half_a_reading_waits_for_the_rest(account):
    """A failed page keeps the leads read before it waiting."""
    account.source.page = 30
    in_use(account, Undated, 50)
    merge(account, Undated, 50)
    account.source.fails = {1: Transient("503")}
    broken = next_night(account)
    whole = next_night(account)

    assert (3, 1, []) == (broken.exit_code, len(whole.review.renames), sent(account))


def test_merge_is_found_by_a_filtered_reading(account):
    """The ledger shows that no other lead has the old label."""
    account.source.filters = True
    account.sync_window = PullOptions(SyncMode.SINCE, overlap=3 * DAY, budget=timedelta(hours=4))
    in_use(account, Undated, 20)
    account.put(*[changed(one, updated_at=account.clock.time) for one in leads_in(Undated, "Gagné", 20)])
    summary = next_night(account)

    assert ([], 1) == (sent(account), len(summary.review.renames))


def test_lead_that_moved_on_before_the_merge_enters_no_stage(account):
    """Its history shows the old entry under the new name."""
    gone_on = [("Nouveau", CREATED), ("Devis accepté", WON), ("Perdu", WON + timedelta(hours=1))]
    account.put(lead("G-0", label="Perdu", history=WholeStory.history(*gone_on)))
    in_use(account, WholeStory, 6)
    merge(account, WholeStory, 6)
    account.put(lead("G-0", label="Perdu", history=WholeStory.history(gone_on[0], ("Gagné", WON), gone_on[2])))
    next_night(account)

    assert [] == sent(account)


@pytest.mark.parametrize("style", ALL)
@pytest.mark.parametrize(("before", "after"), [("14", "Gagné"), ("Gagné", "14")])
def test_code_that_is_read_as_its_text_moves_no_lead(account, style, before, after):
    """One lead is enough: the reading itself says that both are one status. Sales count once, old ones never."""
    account.book = book(normalise_label(before), since=WON - 5 * DAY)
    account.put(*leads_in(style, before, 1), *leads_in(style, before, 1, when=WON - 9 * DAY, prefix="OLD"))
    account.night()
    first = sent(account), account.states["OLD-0"]
    account.book = book(normalise_label(after), digest="r2")
    for one in list(account.source.leads.values()):
        history = tuple(
            replace(each, label=after, also_called=(before,)) if each.label == before else each for each in one.history
        )
        account.put(changed(one, label=after, also_called=(before,), history=history))
    next_night(account)
    next_night(account)

    assert first == (sent(account), account.states["OLD-0"])
    assert len(first[0]) == len(account.rows()) - 1 or style is Undated


def test_lead_that_leaves_a_code_enters_the_next_status_by_its_text(account):
    """What was recorded as a code is outside of what the lead enters now."""
    account.book = book("gagne")
    account.put(*leads_in(Undated, "12", 1, when=CREATED))
    account.night()
    account.clock.time += DAY
    account.put(
        *(changed(one, label="Gagné", also_called=("14",), updated_at=None) for one in leads_in(Undated, "12", 1))
    )
    account.night()
    next_night(account)

    assert ["L-0"] == sent(account)


def test_sale_that_waits_goes_out_though_its_status_is_read_otherwise_now(account):
    """Another lead's reading shows that the code is the text; the one that waits is not read again."""
    account.book = book("14")
    account.put(*leads_in(WholeStory, "14", 2))
    waiting = changed(account.source.leads["L-1"], fields={"consent": "peut-être"})
    account.put(waiting)
    account.night()
    account.book = book("gagne", digest="r2")
    read = account.source.leads["L-0"]
    history = tuple(replace(each, label="Gagné", also_called=("14",)) for each in read.history[-1:])
    account.put(changed(read, label="Gagné", also_called=("14",), history=(read.history[0], *history)))
    next_night(account)
    account.put(changed(waiting, fields={"consent": "oui"}, digest="x"))
    next_night(account)

    assert ["L-0", "L-1"] == sent(account)
