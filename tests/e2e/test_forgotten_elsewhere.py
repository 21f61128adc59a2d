"""`forgotten:` keeps whoever was forgotten forgotten when a backup is restored, and knows that one was."""

import json
import shutil
from datetime import timedelta

import pytest

from tests import postgresql
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)


@pytest.fixture
def place(company):
    """The second place, in a folder of its own."""
    found = company.directory / "elsewhere" / "maison-test.forgotten"
    found.parent.mkdir()
    company.settings["forgotten"] = str(found)
    return found


def won(company, *numbers):
    """Serve leads won the day before."""
    at = company.clock.now() - DAY
    company.serve(*(company.lead(number, ("Gagné", at), clicks=company.both(number)) for number in numbers))


def run(company):
    """The command's night, a while later."""
    company.clock.advance(company.clock.now() + timedelta(hours=13))
    return type_in(company, "run")


def backup(company):
    """A copy of the state."""
    return shutil.copy(company.state, company.state.with_name("backup"))


def restore(company, copy):
    """Bring a copy back in place of the state, and what stands beside it with it: nothing there notices."""
    for name in ("-wal", "-shm"):
        company.state.with_name(company.state.name + name).unlink(missing_ok=True)
    shutil.move(copy, company.state)
    company.lock.unlink()


def leads(company):
    """The leads with deliveries."""
    return {lead for lead, _ in company.states()}


@pytest.mark.usefixtures("place")
def test_forgotten_person_stays_forgotten_after_a_restore(company):
    """Known or unknown to the backup, they are erased and kept out before anything is read."""
    won(company, 1, 2)
    assert 0 == run(company).code
    copy = backup(company)
    won(company, 3)
    assert 0 == run(company).code
    for lead in ("L-1", "L-3"):
        assert 0 == type_in(company, "forget", "--lead", lead).code
    restore(company, copy)
    assert 2 == run(company).code
    assert 0 == type_in(company, "state", "restored", "--yes").code

    assert {"L-2"} == leads(company)
    assert not any(b"Cj0KCQjw" + company.gclid(1)[8:].encode() in data for data in company.contents().values())
    for _ in range(2):
        assert run(company).code in (0, 1)
        assert {"L-2"} == leads(company)


@pytest.mark.usefixtures("place")
def test_restore_is_noticed_although_nothing_was_sent_since(company):
    """What a run has read or settled since is lost too, and no request tells of it."""
    won(company, 1)
    assert 0 == run(company).code
    copy = backup(company)
    assert 0 == run(company).code
    restore(company, copy)

    assert 2 == run(company).code


def test_second_place_names_nobody(company, place):
    """It holds salted hashes and days, for its owner's eyes only."""
    won(company, 1)
    run(company)
    assert 0 == type_in(company, "forget", "--lead", "L-1").code
    told = json.loads(place.read_text())

    assert 1 == len(told["forgotten"])
    assert "L-1" not in place.read_text()
    assert "maison-test" not in place.read_text()
    assert 0o600 == place.stat().st_mode & 0o777
    assert [place] == list(place.parent.iterdir())


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("point", ["in the ledger's commit", "ledger committed"])
def test_killed_forget_holds_after_a_restore(company, point):
    """Whoever was to be forgotten is forgotten by the next run, whatever backup that finds."""
    won(company, 1, 2)
    run(company)
    copy = backup(company)
    command = ("forget", "--lead", "L-1")
    assert -9 == company.killed(point, command=command, points="killed_forget")
    restore(company, copy)
    assert 0 == type_in(company, "state", "restored", "--yes").code
    run(company)

    assert {"L-2"} == leads(company)


@pytest.mark.usefixtures("place")
def test_killed_forget_is_finished_by_the_next_night(company):
    """Without a restore, too: the second place knew first."""
    won(company, 1, 2)
    run(company)
    command = ("forget", "--lead", "L-1")
    assert -9 == company.killed("in the ledger's commit", command=command, points="killed_forget")
    assert {"L-1", "L-2"} == leads(company)
    run(company)

    assert {"L-2"} == leads(company)


def test_place_learns_whom_the_state_knows(company, place):
    """Somebody was forgotten before the setting was written."""
    del company.settings["forgotten"]
    won(company, 1, 2)
    run(company)
    copy = backup(company)
    type_in(company, "forget", "--lead", "L-1")
    company.settings["forgotten"] = str(place)
    run(company)
    restore(company, copy)
    assert 0 == type_in(company, "state", "restored", "--yes").code

    assert {"L-2"} == leads(company)


def test_place_that_could_not_be_begun_is_begun_once_it_can_be(company, place):
    """Its folder could not be written the first time: the next run begins it, and needs nobody to declare a restore."""
    won(company, 1)
    draft = place.with_name(f".{place.name}.draft")
    del company.settings["forgotten"]
    assert 0 == run(company).code
    company.settings["forgotten"] = str(place)
    draft.mkdir()
    assert 2 == run(company).code
    draft.rmdir()

    assert (0, True) == (run(company).code, place.exists())


@pytest.mark.parametrize("gone", ["file", "folder", "emptied", "another's", "damaged"])
def test_missing_place_is_refused(company, place, gone):
    """A place that was in use and is not there may be a volume that is not mounted: nothing is read or sent."""
    won(company, 1)
    run(company)
    sent = len(company.ingests)
    match gone:
        case "file":
            place.unlink()
        case "folder":
            shutil.rmtree(place.parent)
        case "emptied":
            place.write_text("")
        case "another's":
            place.write_text(json.dumps(json.loads(place.read_text()) | {"salt": "00"}))
        case "damaged":
            place.write_bytes(place.read_bytes()[:40])
    won(company, 2)
    done = run(company)

    assert 2 == done.code
    assert f"forgotten: {place}" in done.err
    assert sent == len(company.ingests)
    assert 2 == type_in(company, "forget", "--lead", "L-1").code
    assert {"L-1"} == leads(company)


def test_lost_place_is_begun_anew_only_by_a_human(company, place):
    """It learns whom the state knows."""
    won(company, 1, 2)
    run(company)
    type_in(company, "forget", "--lead", "L-1")
    place.unlink()
    assert 2 == run(company).code
    assert 0 == type_in(company, "state", "restored", "--yes").code
    assert 0 == run(company).code

    assert 1 == len(json.loads(place.read_text())["forgotten"])


def test_check_warns_of_a_place_beside_the_state(company):
    """Whatever brings the state back brings it back too."""
    company.settings["forgotten"] = str(company.state.with_name("beside"))
    assert "lies with the state" in type_in(company, "check").lines
    company.settings.pop("forgotten")
    assert "lies with the state" not in type_in(company, "check").lines


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("state_in", ["database"])
def test_restored_database_is_noticed_and_forgotten_people_stay_so(company):
    """The server restores the ledger's own progress with it; the second place knows better."""
    company.use_meta_alone()
    won(company, 1, 2)
    run(company)
    server, live = postgresql.server(), company.environ["DATABASE"]
    copy = server.create(like=live.partition("@/")[2].partition("?")[0])
    try:
        won(company, 3, 4)
        run(company)
        assert 0 == type_in(company, "forget", "--lead", "L-1").code
        company.go_on_in(server.url(copy))
        refused = run(company)
        assert 2 == refused.code
        assert "oplead-sync state restored" in refused.err
        assert 0 == type_in(company, "state", "restored", "--yes").code
        run(company)
        rows = company.deliveries("meta")
    finally:
        company.go_on_in(live)
        server.drop(copy)

    assert {"L-2", "L-3", "L-4"} == {lead for lead, _ in rows}
    assert all(row.may_count_twice == (row.lead != "L-2") for row in rows.values())


@pytest.mark.parametrize("shared", ["click", "contact", "nothing"])
def test_forget_says_beforehand_which_leads_may_be_the_same_persons(company, shared):
    """They share its click or a contact hash; once it is erased, nothing shows that any more."""
    won(company, 1, 3)
    other = company.lead(2, ("Rendez-vous", company.clock.now() - DAY), clicks=company.both(2))
    like = company.sandbox.oplead.leads()["L-1"]
    company.serve(other | {"leadData": like["leadData"]} if shared == "click" else other)
    if shared == "contact":
        company.serve(other | {"contact": like["contact"]})
    company.fail("data_manager", "status", status=503, count=100)
    run(company)
    rehearsed = type_in(company, "forget", "--lead", "L-1", "--dry-run")
    done = type_in(company, "forget", "--lead", "L-1")

    told = "Lead L-2 shares the click or a contact hash"
    assert (told in rehearsed.out) == (told in done.err) == (shared != "nothing")
    assert "L-3" not in rehearsed.out + done.out + done.err
