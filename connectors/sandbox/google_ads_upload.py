"""One upload to the Google Ads API, judged row by row."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.sandbox import google_ads_rules as rules
from connectors.sandbox.book import Acceptance
from connectors.sandbox.google import Google
from connectors.sandbox.google_ads_checks import Fault, action_id, row_problem, row_problems
from connectors.sandbox.google_ads_errors import Problem
from connectors.sandbox.google_ads_lookups import Arrival, acceptance, broken_rule, target
from connectors.sandbox.google_ads_rulings import Ruling, planted
from connectors.sandbox.google_ads_wire import Conversion, Upload


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each row: its errors, or the event to be counted."""

    problems: Mapping[int, Sequence[Problem]]
    accepted: Sequence[Acceptance]


def judge(
    upload: Upload,
    arrival: Arrival,
    google: Google,
    rulings: Mapping[str, tuple[Ruling, ...]],
    duplicates: str,
) -> Verdict:
    """Judge every row, and change nothing.

    An error that names no row (planted only) is about the whole upload: then every row fails with it.

    Args:
        upload: what was sent.
        arrival: by whom, when, and under which switches.
        google: what is known.
        rulings: planted errors, by order id or click id.
        duplicates: the switch ads_api_duplicates.
    """
    repeated = _repeated(upload.conversions, arrival.click_dedup, duplicates)
    problems: dict[int, Sequence[Problem]] = {}
    accepted: list[Acceptance] = []
    for index, row in enumerate(upload.conversions):
        found = planted(rulings, (row.order_id, *row.clicks.values()), "submit")
        problems[index] = [each.problem(index) for each in found] or row_problems(row, index, arrival.at)
        if not problems[index]:
            verdict = repeated.get(index) or _looked_up(row, index, arrival, google)
            if isinstance(verdict, Acceptance):
                accepted.append(verdict)
            else:
                problems[index] = [row_problem(verdict[0], index, verdict[1])]
    unplaced = [each for row in problems.values() for each in row if not each.place]
    if unplaced:
        return Verdict({index: own or unplaced for index, own in problems.items()}, ())
    return Verdict({index: own for index, own in problems.items() if own}, accepted)


def _looked_up(row: Conversion, index: int, arrival: Arrival, google: Google) -> Acceptance | Fault:
    aim = target(row.action, arrival.customer, google.accounts)
    if aim is None:
        return rules.ACTION_KNOWN, "conversion_action"
    event = acceptance(row, index, aim, arrival)
    return broken_rule(row, event, aim, arrival, google) or event


def _repeated(rows: Sequence[Conversion], click_dedup: str, duplicates: str) -> dict[int, Fault]:
    """Rows that repeat others of their upload, or are repeated where all such are refused."""
    keys = [list(_keys(row, click_dedup)) for row in rows]
    times = Counter(key for each in keys for key, _ in each)
    seen: set[Hashable] = set()
    found: dict[int, Fault] = {}
    for index, each in enumerate(keys):
        for key, fault in each:
            if times[key] > 1 and (duplicates == "all" or key in seen):
                found.setdefault(index, fault)
            seen.add(key)
    return found


def _keys(row: Conversion, click_dedup: str) -> Iterator[tuple[Hashable, Fault]]:
    action = action_id(row.action)
    if row.order_id:
        yield (action, row.order_id), (rules.ORDER_ID_ONCE, "order_id")
    if row.clicks and (click_dedup == "always" or not row.order_id):
        yield (action, *row.clicks.values(), row.time), (rules.CLICK_ONCE, "conversion_date_time")
