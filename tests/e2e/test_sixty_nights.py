"""Sixty nights with each platform unreachable for five: what is in time arrives once, and the rest is reported."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.language import format_day, format_time
from jobs.account.night import RunOptions, do_night
from jobs.ledger import schema
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import DestinationScope
from tests.e2e.support.receiver import receiving
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NIGHTS = 60
DOWN = {"meta": range(20, 25), "google_ads": range(40, 45)}
ADDRESS = {"meta": "graph_url", "google_ads": "endpoint"}
NOBODY = "http://127.0.0.1:9"
"""An address where nothing listens."""
TOLD_BEFORE = 3 * DAY
PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Way:
    """One lead's path to its conversion."""

    number: int
    night: int
    """The night that sees it first."""
    label: str
    age: timedelta
    """How long before that night it was created."""
    ago: timedelta = 5 * HOUR
    """How long before that night it took its status."""

    @property
    def name(self):
        """The lead and its conversion."""
        return f"L-{self.number}", {"Rendez-vous": "appointment", "Gagné": "sale"}[self.label]


def every_night():
    """Two leads a night, of all ages that both platforms accept."""
    ages = (1, 4, 12, 30, 60, 75)
    for night in range(NIGHTS):
        yield Way(1000 + night, night, "Rendez-vous", 2 * DAY)
        yield Way(2000 + night, night, "Gagné", ages[night % len(ages)] * DAY)


# Meta takes events of up to seven days (less four hours, so that none expires on its way), Google those with a
# click of at most ninety. So these are in time on the first of five nights, and too late after the last.
TOO_LATE = {
    "meta": (Way(3001, 20, "Gagné", 20 * DAY, 2 * DAY), Way(3002, 20, "Rendez-vous", 20 * DAY, 2 * DAY)),
    "google_ads": (Way(3003, 40, "Gagné", 88 * DAY), Way(3004, 40, "Rendez-vous", 86 * DAY)),
}
JUST_IN_TIME = (
    Way(3005, 22, "Gagné", 20 * DAY, 3 * DAY),
    Way(3006, 24, "Rendez-vous", 20 * DAY, 5 * DAY),
    Way(3007, 41, "Gagné", 85 * DAY),
    Way(3008, 44, "Rendez-vous", 88 * DAY),
)
pytestmark = pytest.mark.xdist_group("sixty nights")
WAYS = (*every_night(), *TOO_LATE["meta"], *TOO_LATE["google_ads"], *JUST_IN_TIME)


class Years:
    """A company whose notices are received, one night after the other.

    Attributes:
        codes: the exit code of each night.
        told: the night, title and text of each message.
        standing: the incidents open after each night.
    """

    def __init__(self, company, receiver):
        self.company = company
        self.receiver = receiver
        self.codes, self.told, self.standing = [], [], []
        company.use_meta(contact_data="none")
        company.conversion("appointment").pop("implied_by")
        company.environ["NOTIFY_URL"] = f"json://{receiver.address}/hook"
        company.settings["notify"] = ["${NOTIFY_URL}"]

    def at(self, night):
        """The moment of a night."""
        return self.company.START + night * DAY

    def night(self, number):
        """Have Oplead show what is new, and do the run with its messages."""
        for way in WAYS:
            if way.night == number:
                created, changed = self.at(number) - way.age, self.at(number) - way.ago
                clicks = self.company.both(way.number)
                self.company.serve(self.company.lead(way.number, (way.label, changed), created=created, clicks=clicks))
        for destination, nights in DOWN.items():
            self.company.settings[destination].pop(ADDRESS[destination], None)
            if number in nights:
                self.company.settings[destination][ADDRESS[destination]] = NOBODY
        self.company.clock.advance(self.at(number))
        before = len(self.receiver.taken)
        night = do_night(self.company.read_settings(), RunOptions(wait=HOUR))
        self.codes.append(night.summary.exit_code)
        self.standing.append({one.incident.id for one in night.notices})
        self.told += [(number, title.partition(": ")[2], text) for title, text in self.receiver.taken[before:]]


@pytest.fixture(scope="module")
def years(companies):
    """Sixty completed nights; after every tenth, platforms and ledger are compared."""
    with receiving() as receiver:
        years = Years(companies(), receiver)
        for number in range(NIGHTS):
            years.night(number)
            if number % 10 == 9:
                assert [] == years.company.disagreements(), number
        yield years


def test_conversions_in_time_arrive_once_and_others_expire(years):
    """No other state occurs at either platform."""
    late = {destination: {way.name for way in ways} for destination, ways in TOO_LATE.items()}
    for destination, expired in late.items():
        expected = {way.name: "expired" if way.name in expired else "accepted" for way in WAYS}
        taken = Counter(years.company.taken(destination))

        assert expected == years.company.states(destination)
        assert {name: 1 for name, state in expected.items() if state == "accepted"} == taken
    assert [] == years.company.disagreements()


def test_only_nights_with_an_outage_exit_with_3(years):
    """The night after each outage exits with 0."""
    stopped = {*DOWN["meta"], *DOWN["google_ads"]}

    assert [3 if night in stopped else 0 for night in range(NIGHTS)] == years.codes


def test_each_cause_is_notified_once(years):
    """The messages are one stop and one coming expiry per platform, and nothing else in sixty nights."""
    heard = Counter((title.partition(":")[0], "expire" in title) for _, title, _ in years.told)

    assert {
        ("meta stopped", False): 1,
        ("meta", True): 1,
        ("google_ads stopped", False): 1,
        ("google_ads", True): 1,
    } == (heard)
    for destination, nights in DOWN.items():
        assert [nights[0]] == [night for night, title, _ in years.told if title == f"{destination} stopped"]


def test_expiry_is_announced_three_days_ahead(years):
    """If less time is left, the first night of the outage announces it; the message says how many, when, and why."""
    for destination, ways in TOO_LATE.items():
        rows = years.company.deliveries(destination)
        closing = [rows[way.name].expires_at for way in ways]
        ((night, title, text),) = [one for one in years.told if "expire" in one[1] and one[1].startswith(destination)]

        assert night in DOWN[destination]
        for at in closing:
            assert years.at(night) <= max(at - TOLD_BEFORE, years.at(DOWN[destination][0]))
        assert "conversions will expire" in title
        assert f"by {format_day(max(closing).astimezone(PARIS).date())} unless this is fixed" in text
        assert f"the first at {format_time(min(closing).astimezone(PARIS))}" in text
        assert "Why nothing goes there: no connection" in text
    (meta,) = [night for night, title, _ in years.told if title.startswith("meta:")]
    assert DOWN["meta"][0] < meta


def test_incident_clears_on_the_first_night_after_the_outage(years):
    """It stays open on each night until then."""
    for destination, nights in DOWN.items():
        stopped = IncidentId(IncidentKind.STOPPED, DestinationScope(destination))
        assert list(nights) == [night for night, causes in enumerate(years.standing) if stopped in causes]
    assert set() == set.union(*(years.standing[night] for night in (*range(20), *range(25, 40), *range(45, NIGHTS))))
    assert all(years.at(25) <= row.cleared_at for row in years.company.rows(schema.IncidentRow))


def test_explain_and_status_show_expired_conversions(years):
    """`explain` names the destination, and `status` counts them."""
    status = type_in(years.company, "status", "--json").objects
    counted = Counter()
    for one in status[-1]["tallies"]:
        counted[one["destination"], one["state"], one["reason"]] += one["count"]
    for destination, ways in TOO_LATE.items():
        assert len(ways) == counted[destination, "expired", "window_closed"]
        for way in ways:
            story = type_in(years.company, "explain", way.name[0]).lines

            assert f"→ {destination}: expired" in story
            assert "older than the platform accepts" in story
