"""A restored backup, once declared: nothing is lost, and what may count twice is flagged or held."""

import shutil
from collections import Counter
from datetime import timedelta

import pytest

from jobs.cli.night import approval
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path, lock_lead_creation_outbox
from tests.builders import attention
from tests.e2e.support.typed import type_in

A_DAY = timedelta(days=1)
LATER = 4
"""How many nights follow the backup before the state is lost."""


def sold(company, *numbers, dated=True):
    """Serve leads won an hour ago, which both platforms can take; undated, Oplead shows only where they stand."""
    won = company.clock.now() - timedelta(hours=1)
    for number in numbers:
        one = company.lead(number, ("Gagné", won), created=won - 2 * A_DAY, clicks=company.both(number))
        if not dated:
            one |= {"status": "Nouveau", "statusDate": None, "statusHistory": []}
        company.serve(one)


def undated_sale(company, number):
    """Have an undated lead show that it is won, and nothing that says since when."""
    seen = company.sandbox.oplead.leads()[f"L-{number}"]
    company.serve(seen | {"status": "Gagné", "updatedAt": None})


def backed_up(company):
    """A copy of the state's file."""
    return shutil.copy(company.state, company.state.with_name("backup"))


def restore(company, backup):
    """Bring the backup back, as somebody does who has lost the rest."""
    for name in ("-wal", "-shm"):
        company.state.with_name(company.state.name + name).unlink(missing_ok=True)
    shutil.copy(backup, company.state)


def lived_on(company, *, dated=True):
    """Play a night, back up, play on, and restore: of the last nights' sales, the state knows nothing."""
    sold(company, 1, 2, dated=dated)
    sold(company, *range(10, 10 + LATER), dated=dated)
    company.night()
    company.later()
    if not dated:
        undated_sale(company, 1)
        company.later(A_DAY)
    backup = backed_up(company)
    for night in range(LATER):
        company.clock.advance(company.clock.now() + A_DAY)
        if dated:
            sold(company, 20 + night)
        else:
            undated_sale(company, 10 + night)
        company.night()
        company.later()
    restore(company, backup)
    company.clock.advance(company.clock.now() + timedelta(hours=6))


def declare(company):
    """Declare the restore, as the refusal says."""
    refused = type_in(company, "run")
    assert 2 == refused.code
    assert "oplead-sync state restored" in refused.err
    assert company.lock.name not in refused.err
    done = type_in(company, "state", "restored", "--yes")
    assert 0 == done.code, done.err
    return done


def nights_on(company, number=3):
    """Play on, with a new sale each day; return the summaries."""
    summaries = []
    company.clock.advance(company.clock.now() + timedelta(hours=6))
    for night in range(number):
        sold(company, 40 + night)
        summaries.append(company.night())
        company.later()
        company.clock.advance(company.clock.now() + A_DAY)
    return summaries


def counted_twice(company, destination):
    """What counts more than once at a platform, by lead and conversion."""
    return {name for name, times in Counter(company.taken(destination)).items() if times > 1}


def test_restored_state_at_meta_flags_every_double(company):
    """What counts twice there is flagged; nothing that happened after the restore is."""
    company.use_meta_alone()
    company.sandbox.meta.set_switch("meta_deduplication", False)
    lived_on(company)
    declare(company)
    nights_on(company)

    flagged = {name for name, row in company.deliveries("meta").items() if row.may_count_twice}
    doubles = counted_twice(company, "meta")
    assert doubles == {(f"L-{20 + night}", name) for night in range(LATER) for name in ("sale", "appointment")}
    assert doubles <= flagged
    assert not {name for name in flagged if name[0] in ("L-40", "L-41", "L-42")}
    assert {"accepted"} == set(company.states("meta").values())
    assert set(company.states("meta")) == set(company.taken("meta"))
    assert [] == company.disagreements()


def test_undated_change_that_a_restored_state_sees_late_is_flagged(company):
    """It is dated by the reading that found it, after the restore; it may have been sent before all the same."""
    company.use_meta_alone()
    company.sandbox.meta.set_switch("meta_deduplication", False)
    lived_on(company, dated=False)
    declare(company)
    nights_on(company)

    doubles = counted_twice(company, "meta")
    flagged = {name for name, row in company.deliveries("meta").items() if row.may_count_twice}
    assert doubles
    assert doubles <= flagged
    assert not {name for name in flagged if name[0] in ("L-40", "L-41", "L-42")}
    assert {"accepted"} == set(company.states("meta").values())
    assert set(company.states("meta")) == set(company.taken("meta"))


def test_ask_holds_what_a_restored_state_may_have_sent(company):
    """A human is told of it and it waits; what is new goes out. `resend` then sends it, flagged."""
    company.use_meta_alone(in_doubt="ask")
    company.sandbox.meta.set_switch("meta_deduplication", False)
    lived_on(company)
    declare(company)
    summaries = nights_on(company)

    held = {(f"L-{20 + night}", name) for night in range(LATER) for name in ("sale", "appointment")}
    rows = company.deliveries("meta")
    assert held == {name for name, row in rows.items() if row.state == "pending"}
    assert {"after_restore"} == {rows[name].reason for name in held}
    assert set() == counted_twice(company, "meta")
    for summary in summaries:
        assert 1 == summary.exit_code
        assert len(held) == summary.held_after_restore
        assert any("before the state was restored" in sentence for sentence in attention(summary))
    assert {"accepted"} == {row.state for name, row in rows.items() if name not in held}

    told = type_in(company, "status")
    assert "was restored" in told.lines
    company.settings["meta"]["in_doubt"] = "resend"
    released = company.night()

    assert 0 == released.exit_code
    assert held == counted_twice(company, "meta")
    assert held <= {name for name, row in company.deliveries("meta").items() if row.may_count_twice}


@pytest.mark.parametrize("in_doubt", ["resend", "ask"])
def test_what_is_too_late_after_a_restore_is_not_called_unsent(company, in_doubt):
    """The lost state sent it in time, so nobody may say that it expired; what never could go out did expire."""
    company.use_meta_alone(in_doubt=in_doubt)
    sold(company, 1)
    company.night()
    backup = backed_up(company)
    company.clock.advance(company.clock.now() + A_DAY)
    sold(company, 20)
    refused = company.lead(21, ("Gagné", company.clock.now()), clicks=company.both(21))
    company.serve(refused | {"leadData": refused["leadData"] | {"consent": "non"}})
    company.night()
    company.clock.advance(company.clock.now() + 9 * A_DAY)
    company.later()
    restore(company, backup)
    declare(company)
    summaries = nights_on(company, 2)

    rows = company.deliveries("meta")
    late = {name: (row.state, row.reason) for name, row in rows.items() if name[0] == "L-20"}
    assert {("unconfirmed", "sent_before_restore")} == set(late.values())
    assert {"expired"} == {row.state for name, row in rows.items() if name[0] == "L-21"}
    assert 2 == summaries[0].unconfirmed
    assert set() == counted_twice(company, "meta")
    told = type_in(company, "explain", "L-20").lines
    assert "may have been sent before the state was restored" in told
    assert "It was sent" not in told


def test_what_is_held_until_too_late_after_a_restore_is_not_called_unsent(company):
    """Held with `in_doubt: ask` until its platform takes it no more, it may still have been sent."""
    company.use_meta_alone(in_doubt="ask")
    lived_on(company)
    declare(company)
    nights_on(company, 1)
    company.clock.advance(company.clock.now() + 9 * A_DAY)
    nights_on(company, 1)

    held = [row for name, row in company.deliveries("meta").items() if name[0] in {f"L-{20 + n}" for n in range(LATER)}]
    assert {("unconfirmed", "sent_before_restore")} == {(row.state, row.reason) for row in held}
    assert set() == counted_twice(company, "meta")


def test_held_leads_may_be_settled_as_sent(company):
    """`backfill --already-sent` says that the platform has them: they never go out."""
    company.use_meta_alone(in_doubt="ask")
    lived_on(company)
    declare(company)
    nights_on(company, 1)
    file = company.directory / "sent.txt"
    file.write_text("".join(f"L-{20 + night}\n" for night in range(LATER)))
    assert 0 == type_in(company, "backfill", "--already-sent", str(file), "--yes").code
    company.settings["meta"]["in_doubt"] = "resend"
    company.later(A_DAY)

    assert set() == counted_twice(company, "meta")
    assert {"skipped"} == {
        state for (lead, _), state in company.states("meta").items() if lead.startswith("L-2") and lead != "L-2"
    }


@pytest.mark.parametrize("interface", ["data_manager", "google_ads"])
def test_restored_state_at_google_is_true(company, interface):
    """Neither interface counts twice: what they have is accepted, whoever sent it."""
    if interface == "google_ads":
        company.use_ads_api()
    lived_on(company)
    declare(company)
    nights_on(company)

    assert {"accepted"} == set(company.states().values())
    assert set() == counted_twice(company, "google_ads")
    assert set(company.states()) == set(company.taken())
    assert not any(row.may_count_twice for row in company.deliveries().values())
    assert [] == company.disagreements()


@pytest.mark.parametrize("point", ["in the commit", "committed", "recorded"])
def test_declaring_a_restore_survives_a_kill(company, point):
    """Killed anywhere, it is refused again or done; repeated, it ends the same."""
    company.use_meta_alone()
    company.sandbox.meta.set_switch("meta_deduplication", False)
    lived_on(company)
    assert -9 == company.killed(point, command=("state", "restored", "--yes"), points="killed_restore")
    again = type_in(company, "run")
    if again.code == 2:
        assert "oplead-sync state restored" in again.err
        assert 0 == type_in(company, "state", "restored", "--yes").code
    nights_on(company)

    doubles = counted_twice(company, "meta")
    assert doubles <= {name for name, row in company.deliveries("meta").items() if row.may_count_twice}
    assert set(company.states("meta")) == set(company.taken("meta"))
    assert [] == company.disagreements()


def test_newer_state_that_turns_up_after_a_declared_restore_is_refused(company):
    """Somebody finds the lost state and brings it back: it does not know what was sent since the restore."""
    company.use_meta_alone()
    sold(company, 1)
    company.night()
    backup = backed_up(company)
    company.later(A_DAY)
    company.later(A_DAY)
    newest = shutil.copy(company.state, company.state.with_name("found"))
    restore(company, backup)
    declare(company)
    restore(company, newest)

    assert 2 == type_in(company, "run").code


def test_a_restore_marks_the_record_of_created_leads(company):
    """Leads may have been created since that backup too, so that the next import looks before it sends."""
    company.night()
    path = lead_creation_outbox_path(company.state.parent, company.settings["account"])
    with lock_lead_creation_outbox(path, now=company.clock.now) as outbox:
        assert outbox.complete_until() is None
    done = type_in(company, "state", "restored", "--yes")

    assert path.name in "".join(done.out.split())
    with lock_lead_creation_outbox(path, now=company.clock.now) as outbox:
        assert outbox.complete_until() is not None


def said_by_every_screen(company):
    """What `run`, `status`, the page and `check` say of the state, and the exit codes of the first and the last."""
    company.settings["report"] = {"folder": str(company.directory / "pages")}
    screens = {name: type_in(company, name) for name in ("run", "status", "report", "check")}
    page = next((company.directory / "pages").glob("*-report.html")).read_text(encoding="utf-8")
    texts = [" ".join((one.out + one.err).split()) for one in screens.values()]
    return screens["run"].code, screens["check"].code, [*texts[:2], texts[3], page]


@pytest.mark.parametrize("keeps", ["lock", "place"])
def test_an_undeclared_backup_is_told_by_every_screen_as_by_the_run_that_it_refuses(company, keeps):
    """Whatever remembers how far it had come: `status`, page and `check` say what `run` says; once declared, none."""
    if keeps == "place":
        (company.directory / "elsewhere").mkdir()
        company.settings["forgotten"] = str(company.directory / "elsewhere" / "maison-test.forgotten")
    sold(company, 1)
    company.night()
    backup = backed_up(company)
    company.clock.advance(company.clock.now() + A_DAY)
    sold(company, 2)
    company.night()
    restore(company, backup)
    if keeps == "place":
        company.lock.unlink()
    ran, checked, screens = said_by_every_screen(company)
    (as_json,) = type_in(company, "status", "--json").objects
    (checked_json,) = type_in(company, "check", "--json").objects

    assert (2, 2) == (ran, checked)
    for screen in screens:
        assert "this state is older than what was done here" in screen
        assert "oplead-sync state restored" in screen
    for told in (as_json, checked_json):
        assert "this state is older than what was done here" in told["refused"]

    assert type_in(company, "state", "restored", "--yes").code in (0, 1)
    ran, checked, screens = said_by_every_screen(company)

    assert ran in (0, 1)
    assert 0 == checked
    assert not any("this state is older" in screen for screen in screens)
    assert type_in(company, "status", "--json").objects[0]["refused"] is None


@pytest.fixture
def answering(company, monkeypatch):
    """Type the command at a terminal, and answer its question."""

    def declare_at_terminal(answer):
        monkeypatch.setattr(approval, "is_interactive", lambda: True)
        monkeypatch.setattr(approval.ApprovalOptions, "_is_answered_with_yes", lambda *_: answer == "y")
        return type_in(company, "state", "restored")

    return declare_at_terminal


def test_a_restore_is_declared_only_once_somebody_agrees(company, answering):
    """Who types it reads first what it will do; whoever says no, or is not there, has marked nothing."""
    sold(company, 1)
    company.night()
    backup = backed_up(company)
    company.clock.advance(company.clock.now() + A_DAY)
    company.night()
    restore(company, backup)
    nobody = type_in(company, "state", "restored")
    rehearsed = type_in(company, "state", "restored", "--dry-run")
    refused = answering("n")
    still = type_in(company, "run").code
    agreed = answering("y")

    assert (2, 0, 0, 2, 0) == (nobody.code, rehearsed.code, refused.code, still, agreed.code)
    assert "--yes" in nobody.err
    for shown in (rehearsed, refused, agreed):
        assert "Google counts it once" in shown.lines
    assert "Nothing was declared." in rehearsed.lines
    assert "Nothing was declared." in refused.lines
    assert "Declared: runs go on from this state." in agreed.lines
    assert type_in(company, "run").code in (0, 1)
