"""What Meta says about the events it received: how many of each name, by which keys, and how well web events match.

https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/stats/
https://developers.facebook.com/docs/marketing-api/conversions-api/dataset-quality-api
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.language import N_
from connectors.meta.outcomes import (
    NO_DATASET,
    NO_PERMISSION,
    TOKEN,
    WRONG_SECRET,
    GraphError,
    read_error,
    read_object,
)
from connectors.meta.preflight import EVENT_NAME, objects, sum_event_counts
from connectors.meta.sink import GraphApi, MetaOptions
from connectors.records import CountedRowsFilter, PlatformStatement, SentRequest, StatementSubject, Target
from connectors.statement_messages import NO_ANSWER, NOT_STATED, NOTHING_YET, REFUSED, UNREADABLE

_MAY_NOT_COUNT = N_("the access token may not read this; it needs ads_read and access to the dataset")
_MAY_NOT_RATE = N_(
    "the access token may not read this; it needs ads_read, one of ads_management and business_management, and access"
    " to the dataset"
)
_SESSION_OVER = (TOKEN, 102)
_MOST_NAMES = 20
QUALITY = ("dataset_quality", "web{event_name,event_match_quality{composite_score}}")
"""The path of a dataset's ratings, and the fields that are asked for."""
_SECONDS = 5.0
"""To connect and for each read: nobody's night is to depend on these readings."""


class MetaStatementReader:
    """`PlatformStatementReader` for one Meta dataset; each reading is three calls at most."""

    def __init__(self, options: MetaOptions) -> None:
        """Check the options without making a call; raise Misconfigured if one is malformed."""
        self._dataset = options.dataset_id
        connect, read = options.timeout
        self._graph = GraphApi(replace(options, timeout=(min(connect, _SECONDS), min(read, _SECONDS))))

    def read_statements(
        self, since: datetime, until: datetime, sent: Sequence[SentRequest]
    ) -> Sequence[PlatformStatement]:
        """Return Meta's counts of the events sent, the keys they carried, and its ratings of web events."""
        # Meta counts by whole hours.
        since, until = _hour(since + timedelta(hours=1, microseconds=-1)), _hour(until)
        return list(self._statements(since, until, [each.target for each in sent]))

    def _statements(self, since: datetime, until: datetime, targets: Sequence[Target]) -> Iterator[PlatformStatement]:
        span = {"start_time": str(int(since.timestamp())), "end_time": str(int(until.timestamp()))}
        stats = (self._dataset, "stats")
        counted = self._ask(StatementSubject.EVENT_COUNT, _MAY_NOT_COUNT, *stats, aggregation="event", **span)
        if isinstance(counted, PlatformStatement):
            yield counted
        else:
            yield from _event_counts(counted, since, until, targets)
        if counted == _nothing(StatementSubject.EVENT_COUNT, NO_ANSWER):
            return  # nor would the others be answered
        keys = self._ask(StatementSubject.MATCH_KEYS, _MAY_NOT_COUNT, *stats, aggregation="match_keys", **span)
        yield from [keys] if isinstance(keys, PlatformStatement) else _match_keys(keys)
        rated = self._ask(
            StatementSubject.EVENT_MATCH_QUALITY,
            _MAY_NOT_RATE,
            QUALITY[0],
            dataset_id=self._dataset,
            fields=QUALITY[1],
        )
        yield from [rated] if isinstance(rated, PlatformStatement) else _ratings(rated)

    def _ask(
        self, subject: StatementSubject, may_not: str, *path: str, **params: str
    ) -> Mapping[str, object] | PlatformStatement:
        """Make one call and return its answer, or the statement that takes its place."""
        try:
            response = self._graph.get(*path, **params)
        except OSError:  # from requests, or no CA bundle at the path the environment sets
            return _nothing(subject, NO_ANSWER)
        if error := read_error(response):
            return _nothing(subject, _why_not(error, may_not))
        answer = read_object(response)
        return answer if answer is not None and response.ok else _nothing(subject, UNREADABLE)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _nothing(subject: StatementSubject, why: str) -> PlatformStatement:
    return PlatformStatement(subject, "", why, None)


def _why_not(error: GraphError, may_not: str) -> str:
    # A token that may send and not read may also be told that there is no such dataset.
    if error.meaning in (NO_PERMISSION, NO_DATASET):
        return may_not
    return REFUSED if error.code in _SESSION_OVER or error.meaning is WRONG_SECRET else NOT_STATED


def _event_counts(
    answer: Mapping[str, object], since: datetime, until: datetime, targets: Sequence[Target]
) -> Iterator[PlatformStatement]:
    """Yield how many events Meta counted of each name that was sent, whoever sent them."""
    counts = sum_event_counts(answer)
    if counts is None:
        yield _nothing(StatementSubject.EVENT_COUNT, UNREADABLE)
        return
    names = {(each.transport, each.owner, each.action) for each in targets}
    for transport, owner, name in sorted(names)[:_MOST_NAMES]:
        span = CountedRowsFilter(transport, owner, name, since, until, is_shared=True)
        yield PlatformStatement(StatementSubject.EVENT_COUNT, name, counts[name], None, span)


def _match_keys(answer: Mapping[str, object]) -> Iterator[PlatformStatement]:
    counts = sum_event_counts(answer)
    if not counts:
        yield _nothing(StatementSubject.MATCH_KEYS, UNREADABLE if counts is None else NOTHING_YET)
        return
    for key, count in sorted(counts.items())[:_MOST_NAMES]:
        yield PlatformStatement(StatementSubject.MATCH_KEYS, key, str(count), None)


def _ratings(answer: Mapping[str, object]) -> Iterator[PlatformStatement]:
    """Yield the ratings of web events, out of 10; Meta rates no events from a CRM."""
    rated = {}
    for each in objects(answer.get("web")):
        name, quality = each.get("event_name"), each.get("event_match_quality")
        score = quality.get("composite_score") if isinstance(quality, dict) else None
        if isinstance(name, str) and EVENT_NAME.fullmatch(name) and isinstance(score, int | float):
            rated[name] = f"{score:.3g}"
    for name, score in sorted(rated.items())[:_MOST_NAMES]:
        yield PlatformStatement(StatementSubject.EVENT_MATCH_QUALITY, name, score, None)
    if not rated:
        yield _nothing(StatementSubject.EVENT_MATCH_QUALITY, NOTHING_YET)
