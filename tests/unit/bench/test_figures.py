"""What several measurements say, how they are shown, and what the stand-ins count."""

from dataclasses import replace

import pytest
from google.ads.googleads.v26.services.types import ClickConversion, UploadClickConversionsRequest

from tests.bench.__main__ import GROUPS, SIZES, measured
from tests.bench.figures import FIGURES, Figure, Spread
from tests.bench.pace import share_of_rate
from tests.bench.platforms import RESULT, Platforms, fields
from tests.bench.table import Results, curve_rows, markdown, number, plain, replaced, rows

RATE = Figure("rate", "débit", "leads/s", 1_000, more_is_better=True)
SECONDS = Figure("time", "durée", "s", 2, digits=1)
BARE = Figure("bare", "nu", "s")


def test_a_spread_is_the_median_between_the_least_and_the_most():
    """In whatever order they were measured."""
    assert Spread(3, 1, 8, 3) == Spread.of([8, 1, 3])


@pytest.mark.parametrize(
    ("figure", "median", "met"),
    [(RATE, 1_000, True), (RATE, 999, False), (SECONDS, 2, True), (SECONDS, 2.01, False), (BARE, 5, None)],
)
def test_a_target_is_met_by_the_median(figure, median, met):
    """A rate is to be at least its target, a duration at most."""
    assert met is figure.is_met(Spread(median, 0, 9_999, 3))


@pytest.mark.parametrize(("figure", "gain"), [(RATE, 4), (SECONDS, 0.25)])
def test_a_gain_is_above_one_where_it_is_better(figure, gain):
    """Four times the rate is better, four times the duration worse."""
    assert gain == figure.gain(Spread.of([2]), Spread.of([8]))


def test_no_gain_is_claimed_over_nothing():
    """Such as memory that a run of the older revision did not need."""
    assert SECONDS.gain(Spread.of([3]), Spread.of([0])) is None


def test_a_table_has_a_row_for_each_figure_that_was_measured():
    """With its target, its spread, and whether it is met."""
    head, row = rows(Results({"first pull": [3_000, 2_000, 2_600]}), "en")

    assert ["what", "target", "median", "min–max", "runs", "met"] == head
    assert ["≥ 2,500 leads/s", "2,600 leads/s", "2,000–3,000", "3", "yes"] == row[1:]


def test_a_table_of_two_revisions_says_how_many_times_better_one_is():
    """A figure that only one of them has is shown without."""
    found = list(rows(Results({"check": [0.5], "help": [0.1]}, {"check": [1.25]}), "en"))

    assert [["1.25 s", "0.50 s", "2.5"], ["", "0.10 s", ""]] == [[row[2], row[3], row[-1]] for row in found[1:]]


def test_memory_is_the_most_that_any_run_used():
    """Not the median of runs that differ."""
    _, row = rows(Results({"memory": [1, 70, 3]}), "en")

    assert ["70 MB", "70–70", "1", "**no**"] == row[2:]


def test_ledgers_have_a_row_for_each_size():
    """Of two revisions, both figures are shown."""
    here = {("idle", 10_000): [2.0], ("idle", 1_000_000): [3.0], ("idle memory", 1_000_000): [40]}
    _, small, large = curve_rows(Results(here, {("idle", 1_000_000): [32.0]}), "fr")

    assert ["10 000", "2,00 s"] == small[:2]
    assert ["1 000 000", "32,00 s → 3,00 s", "40 Mo"] == [large[0], large[1], large[4]]


@pytest.mark.parametrize(("language", "text"), [("en", "1,234.5"), ("fr", "1 234,5")])
def test_numbers_are_written_as_people_write_them(language, text):
    """Separators are those of the language."""
    assert text == number(1234.5, 1, language)


def test_tables_are_aligned_on_a_terminal_and_marked_in_pages():
    """The first column is text, the others are numbers."""
    table = [["what", "n"], ["`check`", "10"]]

    assert ["what    n", "check  10"] == list(plain(table))
    assert ["| what | n |", "| --- | ---: |", "| `check` | 10 |"] == list(markdown(table))


def test_only_what_stands_between_the_marks_is_replaced():
    """What people wrote around it stays."""
    page = "a\n<!-- measured: figures -->\nold\n<!-- end -->\nb\n"

    assert "a\n<!-- measured: figures -->\n\nnew\n\n<!-- end -->\nb\n" == replaced(page, "figures", ["new"])
    with pytest.raises(ValueError, match="no place for ledgers"):
        replaced(page, "ledgers", ["new"])


def test_the_share_of_the_rate_leaves_out_the_first_minutes_burst():
    """90 slots come back 61.5 seconds after they were used; a time-lapse runs ten times as fast."""
    arrivals = [6.15 * (number // 90) for number in range(5 * 90 + 1)]

    assert 100 * 60 / 61.5 == pytest.approx(share_of_rate(arrivals, 10))
    assert 100 / 3 == pytest.approx(share_of_rate([number * 2.0 for number in range(60)], 1))


def test_the_stand_in_counts_the_rows_of_a_grpc_request():
    """It answers each with a row, without parsing the request."""
    conversion = ClickConversion(gclid="Cj0" * 60, order_id="a")
    request = UploadClickConversionsRequest(customer_id="1", partial_failure=True, conversions=[conversion] * 3)
    platforms = Platforms()

    assert RESULT * 3 == platforms.upload(UploadClickConversionsRequest.serialize(request), None)
    assert {"google_ads_api requests": 1, "google_ads_api rows": 3} == platforms.counts
    assert [1, 2, 2, 2, 3] == sorted(fields(UploadClickConversionsRequest.serialize(request)))


def test_a_slow_list_ends_when_its_time_is_over():
    """The first page begins anew."""
    platforms = Platforms()
    pages = [platforms.slow_page(number, 0.5, 60.0)[0] for number in (1, 2)]
    end, seconds = platforms.slow_page(3, 0.5, 0.0)

    assert [True, True, False] == [b"L-" in page for page in (*pages, end)]
    assert (0.5, 3) == (seconds, len(platforms.arrivals))


class _Group:
    """Notes its turns."""

    turns = []  # noqa: RUF012

    def __init__(self, program, *_):
        self.program = program

    def measure(self):
        """Yield one figure."""
        self.turns.append(self.program)
        yield "check", len(self.turns)


def test_two_revisions_are_measured_in_turn(monkeypatch, tmp_path):
    """A machine that grows slower meanwhile then slows both."""
    monkeypatch.setitem(GROUPS, "starting", _Group)

    assert [{"check": [1, 3, 5]}, {"check": [2, 4, 6]}] == measured(
        ["starting"], ["base", "here"], None, replace(SIZES["tiny"], repeats=3), tmp_path
    )
    assert ["base", "here"] * 3 == _Group.turns


def test_every_figure_belongs_to_a_group():
    """`make bench` without arguments measures all of them."""
    assert FIGURES.keys() == {key for group in GROUPS.values() for key in group.keys}
