"""One message for a cause, however many accounts it hits and however many workers look."""

from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from connectors.language import Language, using_language
from jobs.alerts.notify import Recipient
from jobs.exit_codes import Exit
from jobs.fleet import notices
from jobs.fleet.accounts import add_account
from jobs.fleet.notices import CLAIM, MOST_AN_HOUR, MOST_TRIES_WHEN_OVER, QUIET_AFTER_END, send_due_notices
from jobs.fleet.problems import record_problems
from jobs.fleet.work import DidTask, WorkResult

pytestmark = pytest.mark.xdist_group("postgresql")
KEY = "google_ads: the key is refused (invalid_grant)"
DONE = WorkResult(DidTask.NIGHT, Exit.DONE, problems=())
NAMES = [f"maison-{number:03}" for number in range(800)]


class Inbox:
    """One address, which takes messages or refuses them."""

    def __init__(self):
        self.is_up = True
        self.tried = 0
        self.messages = []
        self.urgent = []

    def send_message(self, title, text, *, urgent=True, page=None):
        """Take a message while the address is up."""
        assert page is None
        self.tried += 1
        if self.is_up:
            self.messages.append((title, text))
            self.urgent.append(urgent)
        return self.is_up

    @property
    def titles(self):
        """The title of each message, in order."""
        return [title for title, _ in self.messages]


class Fleet:
    """A fleet whose own addresses are told what its accounts need a human for."""

    def __init__(self, database):
        self.database = database
        self.inboxes = {"a": Inbox()}

    @property
    def inbox(self):
        """The only one, or the first."""
        return self.inboxes["a"]

    def fail(self, *names, why=KEY):
        """Have these accounts' nights fail."""
        with self.database.connect() as connection:
            for name in names:
                add_account(connection, name, "", first_run=True)
                record_problems(connection, name, WorkResult(DidTask.NIGHT, Exit.CONFIGURATION, why=why), asked=False)

    def mend(self, *names):
        """Have their nights run."""
        with self.database.connect() as connection:
            for name in names:
                record_problems(connection, name, DONE, asked=False)

    def look(self, *, after=timedelta()):
        """Look as a worker does, some time later."""
        if after:
            with self.database.connect() as connection:
                connection.execute(
                    """
                    UPDATE fleet_notice
                    SET told_at = told_at - %(t)s, next_try_at = next_try_at - %(t)s, over_at = over_at - %(t)s
                    """,
                    {"t": after},
                )
                connection.execute("UPDATE fleet_message SET sent_at = sent_at - %s", [after])
        recipients = {mark: Recipient(f"notify.{mark}", inbox) for mark, inbox in self.inboxes.items()}
        send_due_notices(self.database, recipients, lambda: False)

    def rows(self):
        """What is on record of messages."""
        with self.database.connect() as connection:
            return connection.execute("SELECT * FROM fleet_notice").fetchall()


@pytest.fixture
def fleet(database):
    """A fleet without accounts."""
    return Fleet(database)


def test_eight_hundred_accounts_with_one_cause_are_one_message(fleet):
    """With their number and the first few names; looking again adds nothing."""
    fleet.fail(*NAMES)
    for _ in range(3):
        fleet.look()

    ((title, text),) = fleet.inbox.messages
    assert "800 accounts: Nights do not run: settings, secrets or state" == title
    assert [KEY, "Accounts: maison-000, maison-001, maison-002, maison-003, maison-004, 795 more"] == text.splitlines()[
        :2
    ]
    assert "Who can do it: Whoever runs this program · since" in text


def test_each_cause_is_a_message_the_worst_first(fleet):
    """Each goes out on its own."""
    fleet.fail("one", why="no token")
    fleet.fail("two", "three")
    fleet.look()

    assert ["2 accounts", "1 account"] == [title.partition(":")[0] for title in fleet.inbox.titles]


def test_an_address_has_a_bounded_number_of_messages_an_hour(fleet):
    """However many different things are wrong; those that hit most accounts come first, and none is left out."""
    for name in NAMES[: MOST_AN_HOUR + 5]:
        fleet.fail(name, why=f"this is what only {chr(97 + int(name[-2:]))} says")
    fleet.fail(*NAMES[100:102])
    for _ in range(3):
        fleet.look()
    assert MOST_AN_HOUR == len(fleet.inbox.messages)
    assert fleet.inbox.titles[0].startswith("2 accounts")

    fleet.look(after=timedelta(hours=1))
    assert MOST_AN_HOUR + 6 == len(fleet.inbox.messages)


def test_of_two_workers_one_sends(fleet):
    """Both look while the first is at it, and find it claimed."""
    fleet.fail(*NAMES[:3])
    sending, release = Barrier(2, timeout=30), Barrier(2, timeout=30)

    class Slow(Inbox):
        def send_message(self, title, text, **more):
            sending.wait()
            release.wait()
            return super().send_message(title, text, **more)

    other, fleet.inboxes["a"] = fleet.inbox, Slow()
    first = Thread(target=fleet.look)
    first.start()
    sending.wait()
    slow, fleet.inboxes["a"] = fleet.inbox, other
    fleet.look()
    release.wait()
    first.join(30)

    assert ([], 1) == (other.messages, len(slow.messages))


def test_workers_that_claim_at_once_claim_one_message(fleet):
    """The second leaves it to the first."""
    fleet.fail("one")
    with fleet.database.connect() as one, fleet.database.connect() as two:
        claimed = [notices.claim_next_notice(each, ["a"]) for each in (one, two)]

    assert [True, False] == [each is not None for each in claimed]


def test_cause_that_grows_is_told_again_when_it_has_doubled(fleet):
    """But not within an hour, since nights come one after the other."""
    fleet.fail(*NAMES[:4])
    fleet.look()
    fleet.fail(*NAMES[:7])
    fleet.look(after=timedelta(hours=2))
    assert 1 == len(fleet.inbox.messages)

    fleet.fail(*NAMES[:9])
    fleet.look()
    fleet.look(after=timedelta(hours=1))

    assert ["4 accounts", "9 accounts"] == [title.partition(":")[0] for title in fleet.inbox.titles]
    assert fleet.inbox.messages[1][1].startswith("Before, it was 4 accounts.\n")


def test_doubling_within_the_hour_waits(fleet):
    """One account at first and hundreds minutes later are two messages, not ten."""
    for count in (1, 2, 4, 8, 16, 32):
        fleet.fail(*NAMES[:count])
        fleet.look(after=timedelta(minutes=1))
    fleet.look(after=timedelta(hours=1))

    assert ["1 account", "32 accounts"] == [title.partition(":")[0] for title in fleet.inbox.titles]


def test_what_lasts_is_told_once_a_day(fleet):
    """Even if it does not grow."""
    fleet.fail("one")
    fleet.look()
    for _ in range(4):
        fleet.look(after=timedelta(hours=12))

    assert 3 == len(fleet.inbox.messages)
    assert fleet.inbox.messages[2][1].startswith("It still needs a human.\n")


def test_what_is_over_is_told_once_and_may_come_back(fleet):
    """When the last account has run; coming back an hour later, it is new."""
    fleet.fail("one", "two")
    fleet.look()
    fleet.mend("one")
    fleet.look()
    assert 1 == len(fleet.inbox.messages)

    fleet.mend("two")
    for _ in range(2):
        fleet.look()
    title, text = fleet.inbox.messages[1]
    assert "Resolved: Nights do not run: settings, secrets or state" == title
    assert "No account needs a human for this any more; 2 did." == text
    assert [True, False] == fleet.inbox.urgent

    fleet.look(after=QUIET_AFTER_END)
    assert [] == fleet.rows()
    fleet.fail("one")
    fleet.look()
    assert 3 == len(fleet.inbox.messages)


def test_what_comes_and_goes_is_told_twice_an_hour(fleet):
    """Once that it is there and once that it is over, whatever becomes of it in between."""
    for _ in range(80):
        fleet.fail("one")
        fleet.look(after=timedelta(seconds=45))
        fleet.mend("one")
        fleet.look()
    assert ["1 account", "Resolved"] == [title.partition(":")[0] for title in fleet.inbox.titles]

    fleet.fail("one")
    fleet.look(after=timedelta(minutes=2))
    assert 3 == len(fleet.inbox.messages)


def test_what_comes_back_and_stays_is_told(fleet):
    """As soon as the hour is over."""
    fleet.fail("one")
    fleet.look()
    fleet.mend("one")
    fleet.look()
    fleet.fail("one")
    fleet.look(after=QUIET_AFTER_END - timedelta(minutes=1))
    assert 2 == len(fleet.inbox.messages)

    for _ in range(2):
        fleet.look(after=timedelta(minutes=1))
    assert [True, False, True] == fleet.inbox.urgent


def test_what_is_over_at_once_is_one_message(fleet):
    """With the first few of what it was."""
    for number in range(8):
        fleet.fail(NAMES[number], why=f"this is what only {chr(97 + number)} says")
    fleet.fail("late", why="no token")
    fleet.look()
    fleet.mend("late", *NAMES[:8])
    fleet.look()

    (title, text), *more = fleet.inbox.messages[9:]
    assert ("9 problems are resolved", []) == (title, more)
    head, *lines = text.splitlines()
    assert "No account needs a human for these any more:" == head
    assert ["- Nights do not run: settings, secrets or state"] == lines


def test_good_news_counts_in_the_bound_too(fleet):
    """A hundred things that are mended one by one are no more messages than a hundred that break."""
    for number in range(60):
        name = NAMES[number]
        fleet.fail(name, why="no " + chr(97 + number // 26) + chr(97 + number % 26))
        fleet.look()
        fleet.mend(name)
        fleet.look(after=timedelta(seconds=10))
    assert MOST_AN_HOUR == len(fleet.inbox.messages)

    fleet.look(after=timedelta(hours=1))
    assert MOST_AN_HOUR + 1 >= len(fleet.inbox.messages)


def test_what_was_over_before_it_was_told_is_not_told(fleet):
    """There is nothing to take back."""
    fleet.inbox.is_up = False
    fleet.fail("one")
    fleet.look()
    fleet.mend("one")
    fleet.inbox.is_up = True
    fleet.look(after=timedelta(hours=2))

    assert ([], []) == (fleet.inbox.messages, fleet.rows())


def test_what_is_not_taken_is_tried_again_ever_later(fleet):
    """After a minute, two, four, up to an hour, until it is taken; each look tries once."""
    fleet.inbox.is_up = False
    fleet.fail("one")
    fleet.look()
    waits = []
    for _ in range(8):
        fleet.look()
        with fleet.database.connect() as connection:
            (row,) = connection.execute("SELECT next_try_at - now() AS wait FROM fleet_notice").fetchall()
        waits.append(round(row["wait"] / timedelta(minutes=1)))
        fleet.look(after=row["wait"])

    assert [1, 2, 4, 8, 16, 32, 60, 60] == waits
    assert 9 == fleet.inbox.tried
    fleet.inbox.is_up = True
    fleet.look(after=timedelta(hours=1))
    assert 1 == len(fleet.inbox.messages)


def test_what_is_over_is_tried_a_bounded_number_of_times(fleet):
    """Good news is not worth more."""
    fleet.fail("one")
    fleet.look()
    fleet.mend("one")
    fleet.inbox.is_up = False
    for _ in range(MOST_TRIES_WHEN_OVER + 3):
        fleet.look(after=timedelta(hours=1))

    assert (1 + MOST_TRIES_WHEN_OVER, []) == (fleet.inbox.tried, fleet.rows())


def test_good_news_has_tries_of_its_own(fleet):
    """However often the address refused to be told that the cause is still there."""
    fleet.fail("one")
    fleet.look()
    fleet.inbox.is_up = False
    for _ in range(MOST_TRIES_WHEN_OVER + 1):
        fleet.look(after=timedelta(days=1))
    fleet.mend("one")
    for _ in range(MOST_TRIES_WHEN_OVER - 1):
        fleet.look(after=timedelta(hours=1))
    fleet.inbox.is_up = True
    fleet.look(after=timedelta(hours=1))

    assert fleet.inbox.titles[-1].startswith("Resolved")


def test_good_news_is_not_lost_with_older_good_news(fleet):
    """In one message, each has tries of its own."""
    fleet.fail("one")
    fleet.fail("two", why="no token")
    fleet.look()
    fleet.mend("one")
    fleet.inbox.is_up = False
    for _ in range(MOST_TRIES_WHEN_OVER - 1):
        fleet.look(after=timedelta(hours=1))
    fleet.mend("two")
    fleet.look(after=timedelta(hours=1))
    assert 2 + MOST_TRIES_WHEN_OVER == fleet.inbox.tried

    fleet.inbox.is_up = True
    fleet.look(after=timedelta(hours=1))
    assert 3 == len(fleet.inbox.messages)
    assert fleet.inbox.titles[-1].startswith("Resolved")


def test_an_address_that_takes_nothing_keeps_nothing_from_another(fleet):
    """Each is told on its own, and neither twice."""
    fleet.inboxes["b"] = Inbox()
    fleet.inbox.is_up = False
    fleet.fail("one")
    fleet.fail("two", why="no token")
    fleet.look()
    assert (1, 2) == (fleet.inbox.tried, len(fleet.inboxes["b"].messages))

    fleet.inbox.is_up = True
    fleet.look(after=timedelta(minutes=1))
    assert [2, 2] == [len(inbox.messages) for inbox in fleet.inboxes.values()]


class Killed(BaseException):
    """A worker's end."""


@contextmanager
def dying_worker():
    """A worker that dies in the block."""
    with pytest.raises(Killed):
        yield


@pytest.mark.parametrize("sends_first", [False, True])
def test_a_worker_that_dies_costs_at_most_one_repeat_and_no_silence(fleet, sends_first):
    """Between its claim and the record: the claim runs out, and another sends it."""
    fleet.fail("one")
    taken = Inbox()

    class Deadly(Inbox):
        def send_message(self, title, text, **more):
            if sends_first:
                taken.send_message(title, text, **more)
            raise Killed

    with dying_worker():
        send_due_notices(fleet.database, {"a": Recipient("notify.0", Deadly())}, lambda: False)
    fleet.inboxes["a"] = taken
    fleet.look()
    assert sends_first == len(taken.messages)

    fleet.look(after=CLAIM)
    for _ in range(2):
        fleet.look()
    assert sends_first + 1 == len(taken.messages)


def test_a_stop_is_heeded_between_two_messages(fleet):
    """What is left is sent by whoever looks next."""
    fleet.fail("one")
    fleet.fail("two", why="no token")
    send_due_notices(fleet.database, {"a": Recipient("notify.0", fleet.inbox)}, lambda: bool(fleet.inbox.messages))
    assert 1 == len(fleet.inbox.messages)

    fleet.look()
    assert 2 == len(fleet.inbox.messages)


def test_what_no_address_is_told_of_any_more_is_forgotten(fleet):
    """A month after, when it is over."""
    fleet.fail("one")
    fleet.look()
    fleet.inboxes = {"b": Inbox()}
    fleet.mend("one")
    fleet.look(after=timedelta(days=31))

    assert [] == fleet.rows()


def test_messages_speak_the_worker_s_language(fleet):
    """And hold no control characters, whatever an account says."""
    fleet.fail("one", why="no\x1btoken")
    with using_language(Language.FRENCH):
        fleet.look()

    ((title, text),) = fleet.inbox.messages
    assert title.startswith("1 compte\N{NO-BREAK SPACE}: Des nuits ne se font pas")
    assert "\x1b" not in text
